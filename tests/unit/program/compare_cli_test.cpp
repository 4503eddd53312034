/// `regulon compare` as a person uses it.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/io/safetensors.h"
#include "tests/unit/support/expect_words.h"
#include "tests/unit/support/program.h"

namespace regulon::tests::compare_verb {
namespace {

namespace fs = std::filesystem;

constexpr char kCompareConfig[] = R"(
[run]
steps = 150
report_every = 150
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

class CompareVerb : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return (scratch_ / name).string(); }
  void train(const std::string& name, const std::vector<std::string>& settings) const {
    write_file(scratch_ / "c.toml", kCompareConfig);
    std::vector<std::string> words = {"train", at("c.toml"), "--out", at(name)};
    for (const std::string& setting : settings) words.insert(words.end(), {"--set", setting});
    const Ended ended = run_program(words);
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
  }
  Ended compare(const std::string& a, const std::string& b, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"compare", at(a), at(b)});
    return run_program(more);
  }
  nlohmann::json measured(const std::string& a, const std::string& b) const {
    const Ended ended = compare(a, b, {"--json", "--rows", "2500"});
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    return nlohmann::json::parse(ended.out);
  }
  void refused(const Ended& ended, const std::vector<std::string>& words) const {
    EXPECT_EQ(ended.exit_code, 2);
    EXPECT_TRUE(ended.out.empty()) << ended.out;
    expect_words(ended.err, words);
  }
  ScratchFolder scratch_;
};

TEST_F(CompareVerb, ARunIsItself) {
  train("a", {});
  const nlohmann::json found = measured("a", "a");
  EXPECT_EQ(found.at("other_data"), false);
  EXPECT_NEAR(found.at("all").at("mcc").get<double>(), 1, 1e-6);
  EXPECT_NEAR(found.at("alive").at("a").at("mmcs").get<double>(), 1, 1e-6);
  const auto& losses = found.at("rows").at("losses");
  EXPECT_NEAR(losses.at("correlation").get<double>(), 1, 1e-9);
  EXPECT_EQ(losses.at("a_worse").size(), 0U);
  EXPECT_EQ(losses.at("a_better_share"), 0.0);
  const Ended text = compare("a", "a");
  EXPECT_EQ(text.exit_code, 0);
  expect_words(text.out, {"rows that A holds out", "mostly the same features", "rebuild the rows alike",
                          "The same rows are hard for both"});
}

TEST_F(CompareVerb, FiguresAreThoseOfEval) {
  train("a", {});
  train("b", {"run.seed=1", "model.features=24"});
  const nlohmann::json found = measured("a", "b");
  const Ended eval = run_program({"eval", at("b"), "--json", "--rows", "2500"});
  ASSERT_EQ(eval.exit_code, 0);
  const auto alone = nlohmann::json::parse(eval.out);
  EXPECT_EQ(found.at("rows").at("b").at("rows"), alone.at("rows"));
  EXPECT_EQ(found.at("all").at("b").at("features"), 24);
  EXPECT_EQ(found.at("all").at("matched_pairs"), 16);
  const auto& losses = found.at("rows").at("losses");
  EXPECT_NEAR(losses.at("a").at("mean").get<double>(), found.at("rows").at("a").at("fvu").get<double>(),
              1e-9);
  EXPECT_NEAR(losses.at("b").at("mean").get<double>(), found.at("rows").at("b").at("fvu").get<double>(),
              1e-9);
  const nlohmann::json turned = measured("b", "a");
  EXPECT_EQ(found.at("all").at("mcc"), turned.at("all").at("mcc"));
}

TEST_F(CompareVerb, WritesTables) {
  train("a", {});
  train("b", {"run.seed=1"});
  ASSERT_EQ(compare("a", "b", {"--rows", "3000", "--out", at("tables")}).exit_code, 0);
  const core::SafetensorsFile file(at("tables"));
  EXPECT_EQ(file.tensor("a.loss").size(0), 3000);
  EXPECT_EQ(file.tensor("b.loss").scalar_type(), at::kDouble);
  EXPECT_EQ(file.tensor("all.a.match").size(0), 16);
  const double unit = std::stod(file.metadata().at("loss_unit"));
  const nlohmann::json found = nlohmann::json::parse(compare("a", "b", {"--rows", "3000", "--json"}).out);
  EXPECT_NEAR(file.tensor("a.loss").mean().item<double>() / unit,
              found.at("rows").at("a").at("fvu").get<double>(), 1e-9);
  EXPECT_EQ(std::distance(fs::directory_iterator(scratch_.path()), fs::directory_iterator()), 4)
      << "only the config, the two runs and the tables are left";
}

TEST_F(CompareVerb, FeaturesAreSums) {
  train("a", {});
  train("b", {"run.seed=1"});
  const Ended ended = compare("a", "b", {"--arithmetic", "--json", "--out", at("tables")});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  const auto found = nlohmann::json::parse(ended.out);
  const auto& points = found.at("a_from_b").at("points");
  EXPECT_NEAR(points[0].at("mean_cosine").get<double>(), found.at("alive").at("a").at("mmcs").get<double>(),
              1e-5);
  EXPECT_GE(points[3].at("mean_cosine").get<double>(), points[0].at("mean_cosine").get<double>());
  EXPECT_EQ(core::SafetensorsFile(at("tables")).tensor("b_from_a.cosines").size(1), 7);
  const auto same = nlohmann::json::parse(compare("a", "a", {"--arithmetic", "--json"}).out);
  EXPECT_EQ(same.at("a_from_b").at("same"), 1.0);
  EXPECT_EQ(same.at("a_from_b").at("combined"), 0.0);
  expect_words(compare("a", "b", {"--arithmetic"}).out, {"A's features as sums of B's", "omp of 4", "lasso"});
}

TEST_F(CompareVerb, ADictionarysRowsAreData) {
  train("a", {});
  const std::string weights = at("a/weights.safetensors");
  const Ended refused_without = run_program({"eval", at("a"), "--data", weights});
  refused(refused_without, {"does not say which of its tensors"});
  const Ended ended =
      run_program({"eval", at("a"), "--data", weights, "--tensor", "decoder.weight", "--json"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(nlohmann::json::parse(ended.out).at("rows"), 16);
}

TEST_F(CompareVerb, SilentRunsAreComparedByAllFeatures) {
  train("a", {});
  train("b", {"run.seed=1"});
  const fs::path weights = scratch_ / "b" / "weights.safetensors";
  core::NamedTensors tensors;
  for (const auto& [name, tensor] : core::SafetensorsFile(weights).tensors()) {
    tensors.emplace_back(name, name == "encoder.bias" ? tensor - 1e6 : tensor.clone());
  }
  core::write_safetensors(weights, tensors);
  const Ended ended = compare("a", "b");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  expect_words(ended.out, {"No feature of B is active on these rows", "MCC"});
  EXPECT_FALSE(measured("a", "b").contains("alive"));
}

TEST_F(CompareVerb, ImportedRunsNeedNoRows) {
  train("a", {});
  ASSERT_EQ(run_program({"export", at("a"), "--to", "saelens", "--out", at("sae")}).exit_code, 0);
  ASSERT_EQ(run_program({"import", at("sae"), "--out", at("imported")}).exit_code, 0);
  const Ended alone = compare("imported", "imported");
  EXPECT_EQ(alone.exit_code, 0) << alone.err;
  expect_words(alone.out, {"No rows were looked at", "MCC 1.0000"});
  const Ended with_rows = compare("imported", "a", {"--json"});
  ASSERT_EQ(with_rows.exit_code, 0) << with_rows.err;
  const auto found = nlohmann::json::parse(with_rows.out);
  EXPECT_NEAR(found.at("all").at("mcc").get<double>(), 1, 1e-6);
  EXPECT_NEAR(found.at("rows").at("losses").at("correlation").get<double>(), 1, 1e-6);
}

TEST_F(CompareVerb, RowsAreOfTheRunThatHoldsSomeOut) {
  train("a", {});
  ASSERT_EQ(run_program({"data", at("c.toml"), "--rows", "200", "--out", at("d")}).exit_code, 0);
  train("none", {"data.source=files", "data.files=[\"d/train-*.safetensors\"]", "data.held_out=0"});
  const Ended ended = compare("none", "a", {"--json"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(nlohmann::json::parse(ended.out).at("other_data"), true);
  expect_words(compare("none", "a").out, {"rows that B holds out", "trained on different data"});
  EXPECT_EQ(nlohmann::json::parse(ended.out).at("rows").at("a").at("rows"), 4096);
  refused(compare("none", "none"), {"no rows are held out", "--data GLOB"});
}

TEST_F(CompareVerb, WithFilesTheRunsOwnDataNeedNotBeThere) {
  train("toy", {});
  for (const std::string name : {"d", "e"})
    ASSERT_EQ(run_program({"data", at("c.toml"), "--rows", "300", "--out", at(name)}).exit_code, 0);
  train("a", {"data.source=files", "data.files=[\"d/train-*.safetensors\"]"});
  fs::remove_all(at("d"));
  const std::vector<std::string> files = {"--data", at("e/train-*.safetensors")};
  const Ended ended = compare("a", "toy", files);
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  expect_words(ended.out, {"rows of --data", "trained on different data"});
  const Ended same = compare("a", "a", files);
  ASSERT_EQ(same.exit_code, 0) << same.err;
  EXPECT_EQ(same.out.find("trained on different data"), std::string::npos);
  refused(compare("a", "toy"), {"no file matches"});
}

TEST_F(CompareVerb, IdenticalRowsSayNothingOfWhichAreHard) {
  train("a", {});
  train("b", {"run.seed=1"});
  core::write_safetensors(at("same.safetensors"), {{"activations", at::full({50, 16}, 0.3, at::kFloat)}});
  const Ended text = compare("a", "b", {"--data", at("same.safetensors")});
  ASSERT_EQ(text.exit_code, 0) << text.err;
  expect_words(text.out, {"all rows are equally hard"});
  EXPECT_EQ(text.out.find("different rows"), std::string::npos) << text.out;
  const auto found =
      nlohmann::json::parse(compare("a", "b", {"--json", "--data", at("same.safetensors")}).out);
  EXPECT_TRUE(found.at("rows").at("losses").at("correlation").is_null());
  EXPECT_TRUE(found.at("rows").at("losses").at("log_correlation").is_null());
}

TEST_F(CompareVerb, RefusesWhatCannotBeCompared) {
  train("a", {});
  train("wide", {"data.width=20"});
  refused(compare("a", "wide"), {"wide", "a run of width 16", "found width 20"});
  fs::create_directory(at("empty"));
  refused(compare("a", "empty"), {"empty", "manifest.json"});
  refused(compare("a", "nowhere"), {"nowhere"});
  ASSERT_EQ(run_program({"data", at("c.toml"), "--set", "data.width=20", "--rows", "50", "--out", at("d")})
                .exit_code,
            0);
  refused(compare("a", "a", {"--data", at("d/*.safetensors")}), {"width 16"});
  refused(compare("a", "a", {"--rows", "0"}), {"--rows"});
}

}  // namespace
}  // namespace regulon::tests::compare_verb
