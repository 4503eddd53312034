/// `check-plugin` on plugins that break a contract in a way that no single call shows, and on those of the
/// house.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/support/expect_words.h"
#include "tests/unit/support/program.h"

namespace regulon::tests {
namespace {

namespace fs = std::filesystem;

const fs::path kBadPlugins = fs::path(REGULON_BUILD_DIR) / "tests" / "bad_plugins";

Ended checked(const std::string& how, const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {"check-plugin",
                                    (kBadPlugins / "misbehaves" / "misbehaves_loss.so").string(), "--set",
                                    "loss.misbehaves.how=" + how};
  words.insert(words.end(), more.begin(), more.end());
  return run_program(words);
}

TEST(CheckPlugin, FindsWhatNoSingleCallShows) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> all = {
      {"subtle.random", {"FAILED  same again", "differs in", "generator"}},
      {"subtle.threads", {"FAILED  threads", "ops::total"}},
      {"subtle.unordered", {"FAILED  threads"}},
      {"subtle.unregistered", {"FAILED  resumes", "preparation.state"}},
      {"subtle.zeros", {"FAILED  strange rows", "rows of zeros"}},
      {"subtle.sum", {"FAILED  a mean", "a sum over rows"}},
      {"value.nan", {"FAILED  trains", "in value", "misbehaves_loss.so"}}};
  for (const auto& [how, words] : all) {
    const Ended ended = checked(how);
    EXPECT_EQ(ended.exit_code, 1) << how << ended.out << ended.err;
    expect_words(ended.out, words);
  }
}

TEST(CheckPlugin, NotesWhatMayBeMeantSo) {
  const Ended gradient = checked("subtle.gradient");
  EXPECT_EQ(gradient.exit_code, 0) << gradient.out;
  expect_words(gradient.out, {"look    gradient", "finite differences", "1 to look at"});
  expect_words(checked("subtle.pairs").out, {"look    a mean"});
  expect_words(checked("value.undefined").out,
               {"look    a mean", "it has no value", "0 failed, 2 to look at"});
}

TEST(CheckPlugin, NamesThePluginBeforeItCrashes) {
  const Ended ended = checked("prepare.crashes");
  EXPECT_NE(ended.signal, 0);
  expect_words(ended.out, {"misbehaves (loss_term/1)"});
}

TEST(CheckPlugin, PassesWhatIsRight) {
  const Ended ended = checked("subtle.good");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  expect_words(ended.out, {"misbehaves (loss_term/1)", "8 passed, 0 failed, 0 to look at"});
}

TEST(CheckPlugin, TakesAConfigOfTheAuthors) {
  const ScratchFolder scratch;
  const std::string config = scratch / "own.toml";
  const std::string text = R"([data]
source = "toy.pairs"
batch = 64
[model]
features = 16
[encoder]
plugin = "linear"
activation = "topk"
k = 2
[[loss]]
plugin = "mse"
)";
  write_file(config, text + "[[loss]]\nplugin = \"misbehaves\"\nname = \"mine\"\nhow = \"subtle.good\"\n");
  const std::string library = kBadPlugins / "misbehaves" / "misbehaves_loss.so";
  const Ended ended = run_program({"check-plugin", library, "--config", config});
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  expect_words(ended.out, {"own.toml", "0 failed"});

  write_file(config, text);
  const Ended elsewhere = run_program({"check-plugin", library, "--config", config});
  EXPECT_EQ(elsewhere.exit_code, 2);
  expect_words(elsewhere.err, {"own.toml", "does not name the plugin", "misbehaves"});
}

TEST(CheckPlugin, RefusesWhatIsNoUsablePlugin) {
  const Ended text =
      run_program({"check-plugin", (kBadPlugins / "not_a_library" / "not_a_library.so").string()});
  EXPECT_EQ(text.exit_code, 2) << text.out << text.err;
  EXPECT_EQ(text.out, "");
  const Ended absent = run_program({"check-plugin", (kBadPlugins / "misbehaves" / "none.so").string()});
  EXPECT_EQ(absent.exit_code, 2);
  expect_words(absent.err, {"none.so", "is no plugin library", "no file of that name"});
  const Ended wrong = checked("subtle.good", {"--set", "loss.misbehaves.hwo=1"});
  EXPECT_EQ(wrong.exit_code, 2);
  expect_words(wrong.err, {"did you mean 'how'?"});
}

/// The plugins of the house.
std::vector<std::string> own_plugins() {
  std::vector<std::string> names;
  for (const char* const kind : {"loss", "encoder", "cost"}) {
    for (const auto& entry : fs::directory_iterator(fs::path(REGULON_SOURCE_DIR) / "plugins" / kind))
      names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class OwnPlugins : public ::testing::TestWithParam<std::string> {};

TEST_P(OwnPlugins, Conform) {
  std::vector<std::string> words = {
      "check-plugin", (fs::path(REGULON_BUILD_DIR) / "plugins" / (GetParam() + ".so")).string()};
  if (GetParam() == "two_layer") words.insert(words.end(), {"--set", "encoder.hidden=[16]"});  // required
  const Ended ended = run_program(words);
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
}

INSTANTIATE_TEST_SUITE_P(All, OwnPlugins, ::testing::ValuesIn(own_plugins()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace regulon::tests
