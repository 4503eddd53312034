/// Every config in configs/ parses and trains for a few steps.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/support/program.h"

namespace regulon::tests {
namespace {

namespace fs = std::filesystem;

/// The files of configs/ that describe one run, or those that describe a study.
std::vector<std::string> all_configs(bool studies) {
  std::vector<std::string> found;
  const fs::path folder = fs::path(REGULON_SOURCE_DIR) / "configs";
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string path = fs::relative(entry.path(), folder).string();
    if (entry.path().extension() == ".toml" && path.starts_with("studies/") == studies) found.push_back(path);
  }
  std::sort(found.begin(), found.end());
  return found;
}

class Configs : public ::testing::TestWithParam<std::string> {};

TEST_P(Configs, TrainsAFewSteps) {
  const ScratchFolder scratch;
  const fs::path config = fs::path(REGULON_SOURCE_DIR) / "configs" / GetParam();
  const Ended ended = run_program({"train", config.string(), "--out", (scratch / "run").string(), "--set",
                                   "run.steps=3", "--set", "run.report_every=1"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
}

TEST_P(Configs, OpensWithTheCommandThatRunsIt) {
  const std::string text = read_file(fs::path(REGULON_SOURCE_DIR) / "configs" / GetParam());
  EXPECT_EQ(text.substr(0, text.find('\n')), "# ./regulon train configs/" + GetParam());
}

std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Configs, ::testing::ValuesIn(all_configs(false)), test_name);

class Studies : public ::testing::TestWithParam<std::string> {};

TEST_P(Studies, AreListedWithAnEstimate) {
  const ScratchFolder scratch;
  const fs::path file = fs::path(REGULON_SOURCE_DIR) / "configs" / GetParam();
  const Ended ended =
      run_program({"study", file.string(), "--out", (scratch / "study").string(), "--dry-run"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_NE(ended.out.find("trained just now"), std::string::npos) << ended.out;
}

TEST_P(Studies, OpenWithTheCommandThatRunsThem) {
  const std::string text = read_file(fs::path(REGULON_SOURCE_DIR) / "configs" / GetParam());
  EXPECT_EQ(text.substr(0, text.find('\n')), "# ./regulon study configs/" + GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, Studies, ::testing::ValuesIn(all_configs(true)), test_name);

}  // namespace
}  // namespace regulon::tests
