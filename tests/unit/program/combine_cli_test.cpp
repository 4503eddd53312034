/// `regulon combine` as a person uses it.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/io/safetensors.h"
#include "tests/unit/support/expect_words.h"
#include "tests/unit/support/program.h"

namespace regulon::tests::combine_verb {
namespace {

namespace fs = std::filesystem;

constexpr char kCombineConfig[] = R"(
[run]
steps = 100
report_every = 100
[data]
source = "toy.pairs"
batch = 128
[model]
features = 16
[optimiser]
learning_rate = 3e-3
[encoder]
plugin = "linear"
activation = "topk"
k = 3
[[loss]]
plugin = "mse"
)";

class CombineVerb : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(scratch_ / "c.toml", kCombineConfig);
    const Ended ended = run_program({"train", at("c.toml"), "--out", at("run")});
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
  }
  std::string at(const std::string& name) const { return (scratch_ / name).string(); }
  Ended combine(const std::string& out, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"combine", at("run"), "--out", at(out)});
    return run_program(more);
  }
  ScratchFolder scratch_;
};

TEST_F(CombineVerb, WritesFeaturesThatEvalReadsAsTheTruth) {
  for (const std::string choose : {"coactive", "nearest", "random"}) {
    const Ended ended = combine(choose, {"--choose", choose, "--count", "3"});
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    expect_words(ended.out, {"16 features and 3 combinations of 2", "eval RUN --truth"});
    const core::SafetensorsFile file(scratch_ / choose / "features.safetensors");
    EXPECT_EQ(file.tensor("features").sizes(), (at::IntArrayRef{19, 16}));
    EXPECT_EQ(file.tensor("combination").clone().sum().item<std::int64_t>(), 3);
    EXPECT_EQ(file.tensor("parts").sizes(), (at::IntArrayRef{3, 2}));
    const Ended measured =
        run_program({"eval", at("run"), "--truth", at(choose + "/features.safetensors"), "--json"});
    ASSERT_EQ(measured.exit_code, 0) << measured.err;
    const auto known = nlohmann::json::parse(measured.out).at("known_features");
    EXPECT_GE(known.at("found").size(), 1U);
  }
  EXPECT_TRUE(fs::exists(scratch_ / "coactive" / "combine.json"));
}

TEST_F(CombineVerb, AddsUpWhatAFileNames) {
  write_file(scratch_ / "parts.txt", "3, 7\n\n 12 0 5\r\n7,3\n");
  const Ended ended = combine("given", {"--parts", at("parts.txt")});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  expect_words(ended.out, {"3 combinations of up to 3", "16  = 3 + 7\n", "17  = 0 + 5 + 12\n"});
  const core::SafetensorsFile file(scratch_ / "given" / "features.safetensors");
  EXPECT_TRUE(at::equal(file.tensor("parts").clone(),
                        at::tensor({3, 7, -1, 0, 5, 12, 3, 7, -1}, at::kLong).view({3, 3})));
  const at::Tensor features = file.tensor("features").clone();
  const at::Tensor sum = features[0] + features[5] + features[12];
  EXPECT_TRUE(at::allclose(features[17], sum / sum.norm(), 1e-5, 1e-6));
  EXPECT_TRUE(at::equal(file.tensor("weights").clone().select(1, 2) != 0,
                        at::tensor({0, 1, 0}, at::kLong).to(at::kBool)));
}

TEST_F(CombineVerb, NamesTheLineThatIsNoCombination) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"1 2\n3 16\n", "ids from 0 to 15"},
      {"1 2\n3 -1\n", "'-1'"},
      {"1 2\n3 4x\n", "'4x'"},
      {"1 2\n5\n", "two features or more"},
      {"1 2\n5,5\n", "twice"},
      {"1 2\n99999999999999999999 1\n", "ids from 0 to 15"}};
  for (const auto& [text, word] : wrong) {
    write_file(scratch_ / "parts.txt", text);
    const Ended ended = combine("given", {"--parts", at("parts.txt")});
    EXPECT_EQ(ended.exit_code, 2) << text;
    expect_words(ended.err, {"parts.txt, line 2", word});
  }
  write_file(scratch_ / "parts.txt", "\n \n");
  expect_words(combine("given", {"--parts", at("parts.txt")}).err, {"holds no combination"});
  expect_words(combine("given", {"--parts", at("none.txt")}).err, {"none.txt"});
  EXPECT_FALSE(fs::exists(scratch_ / "given"));
}

TEST_F(CombineVerb, RefusesOptionsThatDoNothing) {
  write_file(scratch_ / "parts.txt", "3 7\n");
  const std::vector<std::pair<std::string, std::vector<std::string>>> idle = {
      {"--seed", {"--choose", "coactive", "--seed", "3"}},
      {"--seed", {"--choose", "nearest", "--seed", "3"}},
      {"--rows", {"--choose", "nearest", "--rows", "100"}},
      {"--data", {"--choose", "random", "--data", "x.npy"}},
      {"--count", {"--parts", at("parts.txt"), "--count", "1"}},
      {"--choose", {"--parts", at("parts.txt"), "--choose", "random"}},
      {"--of", {"--parts", at("parts.txt"), "--of", "2"}},
      {"--seed", {"--parts", at("parts.txt"), "--seed", "2"}},
      {"--rows", {"--parts", at("parts.txt"), "--rows", "20"}}};
  for (const auto& [option, arguments] : idle) {
    const Ended ended = combine("idle", arguments);
    EXPECT_EQ(ended.exit_code, 2) << option;
    expect_words(ended.err, {option + ": does nothing here", "leave '" + option + "' out"});
  }
  EXPECT_FALSE(fs::exists(scratch_ / "idle"));
}

TEST_F(CombineVerb, SaysWhatIsWrong) {
  ASSERT_EQ(combine("c", {"--count", "2", "--choose", "random", "--json"}).exit_code, 0);
  const Ended again = combine("c", {"--count", "2", "--choose", "random"});
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_TRUE(again.out.empty());
  expect_words(again.err, {at("c")});
  const Ended many = combine("d", {"--count", "9", "--choose", "random"});
  EXPECT_EQ(many.exit_code, 2);
  expect_words(many.err, {"9 from 16 features", "found 8"});
  EXPECT_FALSE(fs::exists(scratch_ / "d"));
  EXPECT_EQ(combine("e", {"--choose", "best"}).exit_code, 2);
  EXPECT_EQ(combine("e", {"--data", at("nothing-*.safetensors")}).exit_code, 2);
  EXPECT_FALSE(fs::exists(scratch_ / "e"));
}

}  // namespace
}  // namespace regulon::tests::combine_verb
