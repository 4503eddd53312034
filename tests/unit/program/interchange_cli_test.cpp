/// The verbs export and import as a person uses them: there, back, measured, trained on.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/support/expect_words.h"
#include "tests/unit/support/program.h"

namespace regulon::tests {
namespace {

namespace fs = std::filesystem;

constexpr char kInterchangeConfig[] = R"(
[run]
steps = 40
[data]
source = "files"
files = ["data/train-*.safetensors"]
batch = 64
normalise = "center"
[model]
features = 16
{}
[encoder]
plugin = "linear"
activation = "topk"
k = 2
[[loss]]
plugin = "mse"
)";

class InterchangeCommands : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return (scratch_ / name).string(); }
  fs::path config(const std::string& name, const std::string& model) const {
    std::string text = kInterchangeConfig;
    text.replace(text.find("{}"), 2, model);
    write_file(scratch_ / name, text);
    return scratch_ / name;
  }
  static Ended succeed(const std::vector<std::string>& arguments) {
    Ended ended = run_program(arguments);
    EXPECT_EQ(ended.exit_code, 0) << arguments.front() << ": " << ended.err;
    return ended;
  }
  void SetUp() override {
    write_file(
        scratch_ / "toy.toml",
        "[data]\nsource = \"toy.pairs\"\n[model]\nfeatures = 8\n[encoder]\nplugin = \"linear\"\n[[loss]]\n"
        "plugin = \"mse\"\n");
    succeed({"data", at("toy.toml"), "--rows", "600", "--out", at("data")});
    succeed({"train", config("first.toml", "").string(), "--out", at("run")});
  }
  nlohmann::json measured(const std::string& run) const {
    return nlohmann::json::parse(
        succeed({"eval", at(run), "--data", at("data/train-*.safetensors"), "--json"}).out);
  }
  ScratchFolder scratch_;
};

TEST_F(InterchangeCommands, ThereAndBackMeasuresTheSame) {
  for (const std::string to : {"saelens", "sparsify", "dictionary_learning"}) {
    const Ended there = succeed({"export", at("run"), "--to", to, "--out", at(to)});
    expect_words(there.out, {at(to), "folded: the data's normalisation"});
    const Ended back = succeed({"import", at(to), "--out", at(to + "_run")});
    expect_words(back.out, {"16 features of width 16", "regulon eval"});
    const auto before = measured("run");
    const auto after = measured(to + "_run");
    EXPECT_NEAR(after.at("fvu").get<double>(), before.at("fvu").get<double>(), 1e-5);
    EXPECT_EQ(after.at("l0"), before.at("l0"));
    EXPECT_EQ(after.at("unused_share"), before.at("unused_share"));
  }
}

TEST_F(InterchangeCommands, AnImportedRunIsComparedEncodedAndReportedLikeAnyOther) {
  succeed({"export", at("run"), "--to", "dictionary_learning", "--out", at("sae")});
  succeed({"import", at("sae"), "--out", at("imported")});
  const std::string data = at("data/train-*.safetensors");
  const Ended compared = succeed({"compare", at("run"), at("imported"), "--data", data});
  expect_words(compared.out, {"MCC 1.0000", "They rebuild the rows alike"});
  const Ended encoded = succeed({"encode", at("imported"), "--data", data, "--solver", "omp", "--k", "2",
                                 "--rows", "50", "--out", at("codes.safetensors")});
  expect_words(encoded.out, {"50 rows"});
  succeed({"report", at("imported")});
  EXPECT_TRUE(fs::exists(scratch_ / "imported" / "report.html"));
}

TEST_F(InterchangeCommands, AnImportedRunIsTrainedOn) {
  succeed({"export", at("run"), "--to", "saelens", "--out", at("sae")});
  succeed({"import", at("sae"), "--out", at("imported")});
  succeed({"train", config("second.toml", "init = \"imported\"").string(), "--out", at("second"), "--set",
           "run.steps=1", "--set", "optimiser.learning_rate=1e-9"});
  EXPECT_NEAR(measured("second").at("fvu").get<double>(), measured("run").at("fvu").get<double>(), 1e-3);
}

TEST_F(InterchangeCommands, AResumeIntoAnImportedRunLeavesItAsItWas) {
  succeed({"export", at("run"), "--to", "saelens", "--out", at("sae")});
  succeed({"import", at("sae"), "--out", at("imported")});
  const Ended ended =
      run_program({"train", config("second.toml", "").string(), "--resume", "--out", at("imported")});
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {"holds another run"});
  EXPECT_FALSE(fs::exists(scratch_ / "imported" / ".lock"));
  EXPECT_FALSE(fs::exists(scratch_ / "imported" / "checkpoints"));
}

TEST_F(InterchangeCommands, WhatIsWrongIsToldWithExitCodeTwo) {
  const Ended format = run_program({"export", at("run"), "--to", "saelenz", "--out", at("x")});
  EXPECT_EQ(format.exit_code, 2);
  expect_words(format.err, {"saelenz", "did you mean 'saelens'?"});
  expect_words(run_program({"export", at("run"), "--to", "SAELens", "--out", at("x")}).err,
               {"did you mean 'saelens'?"});
  expect_words(run_program({"export", at("run"), "--to", "saelens", "--out", ""}).err, {"--out", "empty"});
  const Ended folder = run_program({"import", at("data"), "--out", at("x")});
  EXPECT_EQ(folder.exit_code, 2);
  expect_words(folder.err, {"no dictionary of a library known here"});
  const Ended without = run_program({"export", at("run"), "--to", "saelens"});
  EXPECT_EQ(without.exit_code, 2);
  EXPECT_FALSE(fs::exists(at("x")));
}

}  // namespace
}  // namespace regulon::tests
