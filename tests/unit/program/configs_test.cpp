/// Every config in configs/ parses and trains for a few steps.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/support/program.h"

namespace regulon::testing {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> all_configs() {
  std::vector<std::string> found;
  const fs::path folder = fs::path(REGULON_SOURCE_DIR) / "configs";
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".toml") found.push_back(fs::relative(entry.path(), folder).string());
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

INSTANTIATE_TEST_SUITE_P(All, Configs, ::testing::ValuesIn(all_configs()), test_name);

}  // namespace
}  // namespace regulon::testing
