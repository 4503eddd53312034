/// What eval tells feature by feature: --top and --absorption.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/io/safetensors.h"
#include "tests/unit/support/expect_words.h"
#include "tests/unit/support/program.h"

namespace regulon::tests::feature_verbs {
namespace {

namespace fs = std::filesystem;

constexpr char kFeatureRun[] = R"(
[run]
steps = 200
report_every = 100
[data]
source = "toy.pairs"
batch = 128
[model]
features = 16
[optimiser]
learning_rate = 3e-3
[encoder]
plugin = "ENCODER"
activation = "topk"
k = 2
[[loss]]
plugin = "mse"
)";

class FeatureVerbs : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return (scratch_ / name).string(); }
  void train(const std::string& encoder, const std::vector<std::string>& more = {}) const {
    std::string text = kFeatureRun;
    text.replace(text.find("ENCODER"), 7, encoder);
    write_file(scratch_ / "c.toml", text);
    std::vector<std::string> words = {"train", at("c.toml"), "--out", at("run")};
    words.insert(words.end(), more.begin(), more.end());
    const Ended ended = run_program(words);
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
  }
  Ended eval(std::vector<std::string> more) const {
    more.insert(more.begin(), {"eval", at("run")});
    return run_program(more);
  }
  void refused(const std::vector<std::string>& more, const std::vector<std::string>& words) const {
    const Ended ended = eval(more);
    EXPECT_EQ(ended.exit_code, 2) << words.front();
    EXPECT_TRUE(ended.out.empty());
    expect_words(ended.err, words);
  }
  /// Two files of rows with token ids, 1000 and up.
  void write_rows() const {
    for (const int part : {0, 1}) {
      at::manual_seed(static_cast<std::uint64_t>(part));
      core::write_safetensors(at("rows-" + std::to_string(part) + ".safetensors"),
                              {{"activations", at::rand({50, 16})},
                               {"token_ids", at::arange(1000 + 50 * part, 1050 + 50 * part, at::kInt)}});
    }
  }
  ScratchFolder scratch_;
};

TEST_F(FeatureVerbs, WriteOverNothingThatIsThere) {
  train("linear");
  const std::string weights = at("run/weights.safetensors");
  const std::string before = read_file(weights);
  refused({"--table", weights}, {weights, "exists already", "would be lost", "remove it first"});
  refused({"--absorption", "--table", weights}, {"exists already"});
  refused({"--gap", "--plot", weights}, {"exists already"});
  refused({"--table", at("run")}, {at("run"), "exists already", "a folder"});
  for (const auto& words : {std::vector<std::string>{"encode", at("run"), "--out", weights},
                            {"compare", at("run"), at("run"), "--out", weights},
                            {"report", at("run"), "--out", weights}}) {
    const Ended ended = run_program(words);
    EXPECT_EQ(ended.exit_code, 2) << words.front();
    expect_words(ended.err, {weights, "exists already"});
  }
  EXPECT_TRUE(read_file(weights) == before);
  EXPECT_EQ(run_program({"report", at("run")}).exit_code, 0) << "a report takes the place of another";
}

TEST_F(FeatureVerbs, TopRowsWithTheirTokens) {
  train("linear");
  write_rows();
  const Ended ended = eval({"--top", "3", "--data", at("rows-*.safetensors"), "--table", at("top")});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  expect_words(ended.out, {"rows where they are strongest", "token 10"});
  const core::SafetensorsFile file(at("top"));
  const at::Tensor rows = file.tensor("rows");
  EXPECT_EQ(rows.sizes(), at::IntArrayRef({16, 3}));
  EXPECT_TRUE(at::equal(file.tensor("token_ids"), at::where(rows >= 0, rows + 1000, rows)));
  EXPECT_GT(rows.max().item<std::int64_t>(), 50);  // the second file's, too

  std::string words;
  for (int i = 0; i < 1100; ++i) words += "word" + std::to_string(i) + "\n";
  write_file(scratch_ / "vocab.txt", words);
  const Ended named = eval({"--top", "3", "--data", at("rows-*.safetensors"), "--vocab", at("vocab.txt")});
  expect_words(named.out, {"word10"});
  expect_words(eval({"--top", "2"}).out, {"row "});  // toys have no tokens
}

TEST_F(FeatureVerbs, EncodersAgainstDecoders) {
  train("linear");
  const Ended ended = eval({"--absorption", "--json", "--table", at("signs")});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  const auto found = nlohmann::json::parse(ended.out);
  const core::SafetensorsFile signs(at("signs"));
  const core::SafetensorsFile weights(at("run/weights.safetensors"));
  const at::Tensor own =
      at::cosine_similarity(weights.tensor("encoder.weight"), weights.tensor("decoder.weight"), 1)
          .index({signs.tensor("ids")});
  EXPECT_TRUE(at::allclose(signs.tensor("own"), own, 1e-4, 1e-5));
  EXPECT_NEAR(found.at("own_cosine").at("mean").get<double>(), own.mean().item<double>(), 1e-5);
  EXPECT_EQ(found.at("features"), own.size(0));
  expect_words(eval({"--absorption"}).out, {"Encoder directions against decoder rows", "Pairs"});
}

TEST_F(FeatureVerbs, RefuseWhatMakesNoSense) {
  train("two_layer", {"--set", "encoder.hidden=[32]"});
  refused({"--absorption"}, {"an encoder without directions", "two_layer"});
  refused({"--top", "2", "--json"}, {"--table FILE"});
  refused({"--top", "0"}, {"--top"});
  refused({"--prune", "-1"}, {"--prune", "at least 0, found '-1'"});
  refused({"--prune", "inf"}, {"finite number"});
  refused({"--lambda", "0.1"}, {"--lambda requires --gap"});
  refused({"--solver", "omp"}, {"--solver requires --gap"});
  refused({"--tensor", "rows"}, {"--tensor requires --data"});
  refused({"--top", "2", "--absorption"}, {"cannot be had together"});
  refused({"--vocab", at("c.toml")}, {"--top N"});
  refused({"--top", "2", "--vocab", at("c.toml")}, {"no token ids"});
  refused({"--top", "2", "--vocab", at("nowhere")}, {"cannot be read"});
}

TEST_F(FeatureVerbs, RowsWithoutVarianceHaveNoFvu) {
  train("linear");
  core::write_safetensors(at("same.safetensors"), {{"activations", at::zeros({50, 16})}});
  expect_words(eval({"--data", at("same.safetensors")}).out, {"FVU", "not defined", "no variance"});
}

TEST_F(FeatureVerbs, NeedRows) {
  write_rows();
  train("linear", {"--set", "data.source=files", "--set", "data.files=[\"rows-*.safetensors\"]", "--set",
                   "data.held_out=0", "--set", "data.batch=50"});
  refused({"--top", "2"}, {"no rows are held out", "--data GLOB"});
  refused({"--absorption"}, {"no rows are held out"});
  refused({"--drop", "weakest"}, {"no rows are held out"});
  EXPECT_EQ(eval({"--top", "2", "--data", at("rows-*.safetensors")}).exit_code, 0);
}

}  // namespace
}  // namespace regulon::tests::feature_verbs
