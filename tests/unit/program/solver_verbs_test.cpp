/// The verbs that solve for codes: encode, and eval --gap.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/io/codes_file.h"
#include "core/io/safetensors.h"
#include "tests/unit/support/expect_words.h"
#include "tests/unit/support/program.h"

namespace regulon::tests::solver_verbs {
namespace {

namespace fs = std::filesystem;

constexpr char kSolverRun[] = R"(
[run]
steps = 300
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

class SolverVerbs : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(scratch_ / "small.toml", kSolverRun);
    const Ended ended = run_program({"train", (scratch_ / "small.toml").string(), "--out", run_.string()});
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
  }
  Ended verb(const std::string& name, std::vector<std::string> more) const {
    std::vector<std::string> arguments{name, run_.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }
  ScratchFolder scratch_;
  fs::path run_ = scratch_ / "run";
  fs::path out_ = scratch_ / "codes.safetensors";
};

TEST_F(SolverVerbs, EncodeWritesTheEncodersCodes) {
  const Ended ended = verb("encode", {"--out", out_.string(), "--rows", "500"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  const Codes codes = core::read_codes(out_);
  EXPECT_EQ(codes.rows(), 500);
  EXPECT_EQ(codes.features(), 16);
  EXPECT_LE(codes.row_offsets().diff().max().item<std::int64_t>(), 3);
  EXPECT_GT(codes.entries(), 500);
}

TEST_F(SolverVerbs, EncodeListsActiveFeaturesAlone) {
  const fs::path jump = scratch_ / "jump";
  std::string config = kSolverRun;
  config.replace(config.find("\"topk\"\nk = 3"), 12, "\"jumprelu\"\nbandwidth = 0.5");
  write_file(scratch_ / "jump.toml", config);
  const Ended trained = run_program({"train", (scratch_ / "jump.toml").string(), "--out", jump.string()});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  ASSERT_EQ(run_program({"encode", jump.string(), "--out", out_.string(), "--rows", "500"}).exit_code, 0);
  const Codes codes = core::read_codes(out_);
  EXPECT_GT(codes.entries(), 100);
  EXPECT_GT(codes.values().min().item<double>(), 0) << "near misses are for training";
  const Ended measured = run_program({"eval", jump.string(), "--rows", "500", "--json"});
  EXPECT_NEAR(nlohmann::json::parse(measured.out).at("l0").get<double>(),
              static_cast<double>(codes.entries()) / 500, 1e-12);
}

TEST_F(SolverVerbs, EncodeSolves) {
  ASSERT_EQ(
      verb("encode", {"--out", out_.string(), "--rows", "200", "--solver", "omp", "--k", "2"}).exit_code, 0);
  EXPECT_LE(core::read_codes(out_).row_offsets().diff().max().item<std::int64_t>(), 2);
  const fs::path codes = scratch_ / "lasso";
  const Ended lasso =
      verb("encode", {"--out", codes.string(), "--rows", "200", "--solver", "cd", "--lambda", "0.1"});
  ASSERT_EQ(lasso.exit_code, 0) << lasso.err;
  const core::SafetensorsFile file(codes);
  EXPECT_EQ(file.metadata().at("solver"), "cd");
  EXPECT_EQ(file.tensor("objective").size(0), 200);
  EXPECT_LT(file.tensor("gap").max().item<double>(), 1e-4);
  ASSERT_EQ(verb("encode", {"--out", (scratch_ / "warm").string(), "--rows", "200", "--solver", "cd",
                            "--lambda", "0.1", "--warm"})
                .exit_code,
            0);
  const core::SafetensorsFile warm(scratch_ / "warm");
  EXPECT_TRUE(at::allclose(warm.tensor("objective"), file.tensor("objective"), 1e-4, 1e-6));
}

TEST_F(SolverVerbs, EncodeRefusesWhatMakesNoSense) {
  const auto refused = [&](std::vector<std::string> more, const std::string& word) {
    more.insert(more.end(), {"--out", out_.string(), "--rows", "10"});
    const Ended ended = verb("encode", more);
    EXPECT_EQ(ended.exit_code, 2) << word;
    expect_words(ended.err, {word});
    EXPECT_FALSE(fs::exists(out_));
  };
  refused({"--solver", "opm", "--k", "2"}, "did you mean 'omp'");
  refused({"--solver", "cd"}, "lambda above 0");
  refused({"--solver", "cd", "--lambda", "-1"}, "lambda");
  refused({"--solver", "omp", "--k", "17"}, "0 to 16");
}

TEST_F(SolverVerbs, PruningLeavesFewerCodes) {
  const auto l0 = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Ended ended = verb("eval", arguments);
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    return nlohmann::json::parse(ended.out).at("l0").get<double>();
  };
  EXPECT_LT(l0({"--prune", "0.5"}), l0({"--prune", "0"}));
  EXPECT_LE(l0({"--prune", "0"}), l0({}));
  EXPECT_EQ(l0({"--prune", "1e9"}), 0);
  ASSERT_EQ(verb("encode", {"--out", out_.string(), "--rows", "50", "--prune", "1e9"}).exit_code, 0);
  EXPECT_EQ(core::read_codes(out_).entries(), 0);
  EXPECT_EQ(verb("eval", {"--prune", "-1"}).exit_code, 2);
}

TEST_F(SolverVerbs, EvalTellsLossesAndFiring) {
  const Ended ended = verb("eval", {"--rows", "2100", "--json", "--table", out_.string()});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  const auto found = nlohmann::json::parse(ended.out);
  const core::SafetensorsFile file(out_);
  const at::Tensor losses = file.tensor("loss") / std::stod(file.metadata().at("loss_unit"));
  EXPECT_EQ(losses.size(0), 2100);
  EXPECT_NEAR(losses.mean().item<double>(), found.at("fvu").get<double>(), 1e-9);
  EXPECT_NEAR(found.at("losses").at("highest").get<double>(), losses.max().item<double>(), 1e-9);
  EXPECT_EQ(found.at("losses").at("worst")[0].at("row"), losses.argmax().item<std::int64_t>());
  const auto& known = found.at("known_features");
  EXPECT_EQ(known.at("true_l0"), 2.0);
  EXPECT_GT(known.at("f1").get<double>(), 0.2);
  EXPECT_LE(known.at("mcc").get<double>(), 1.0);
  EXPECT_NEAR(file.tensor("frequency").sum().item<double>(), found.at("l0").get<double>(), 1e-9);
  EXPECT_NEAR(file.tensor("known.f1").mean().item<double>(), known.at("f1").get<double>(), 1e-12);
  const at::Tensor alive = file.tensor("known.cosines").index({file.tensor("frequency") > 0});
  EXPECT_TRUE(at::allclose(alive.amax(0), file.tensor("known.best_cosine"), 1e-5, 1e-6));
  EXPECT_NEAR(alive.amax(0).clamp_min(0).mean().item<double>(), known.at("mean_best").get<double>(), 1e-5);
  const Ended text = verb("eval", {"--rows", "500"});
  expect_words(text.out, {"legacy formula", "loss of a row", "worst rows", "MCC", "precision"});
}

TEST_F(SolverVerbs, EvalDropsCodes) {
  const auto curve = [&](const std::string& kind) {
    const Ended ended = verb("eval", {"--drop", kind, "--rows", "3000", "--json"});
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    return nlohmann::json::parse(ended.out);
  };
  const auto whole = nlohmann::json::parse(verb("eval", {"--rows", "3000", "--json"}).out);
  const auto weakest = curve("weakest").at("points");
  EXPECT_NEAR(weakest[0].at("fvu").get<double>(), whole.at("fvu").get<double>(), 1e-9);
  EXPECT_EQ(weakest[0].at("l0"), whole.at("l0"));
  EXPECT_EQ(weakest.back().at("l0"), 0.0);
  EXPECT_EQ(weakest.back().at("dropped"), 3);  // of at most three
  for (std::size_t i = 1; i < weakest.size(); ++i)
    EXPECT_GT(weakest[i].at("fvu").get<double>(), weakest[i - 1].at("fvu").get<double>());
  const auto frequent = curve("frequent").at("points");
  EXPECT_EQ(frequent.back().at("dropped"), 8);
  EXPECT_EQ(frequent[1].at("dropped"), 1);
  // Sixteen features share an L0 of two or so: the most frequent one has more than its share of that.
  const double lost = frequent[0].at("l0").get<double>() - frequent[1].at("l0").get<double>();
  EXPECT_GT(lost, frequent[0].at("l0").get<double>() / 16);
  EXPECT_EQ(verb("eval", {"--drop", "weakest", "--rows", "100"}).exit_code, 0);
}

TEST_F(SolverVerbs, DroppingStandsBesideOtherRuns) {
  const std::string sparser = (scratch_ / "sparser").string();
  const Ended trained =
      run_program({"train", (scratch_ / "small.toml").string(), "--set", "encoder.k=2", "--out", sparser});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const std::vector<std::string> words = {"--drop", "weakest", "--rows", "2500", "--beside", sparser};
  const Ended text = verb("eval", words);
  EXPECT_EQ(text.exit_code, 0) << text.err;
  expect_words(text.out, {"FVU of dropping", sparser});
  std::vector<std::string> as_json = words;
  as_json.emplace_back("--json");
  const auto found = nlohmann::json::parse(verb("eval", as_json).out);
  const auto alone = nlohmann::json::parse(run_program({"eval", sparser, "--rows", "2500", "--json"}).out);
  const auto& beside = found.at("beside").at(0);
  EXPECT_EQ(beside.at("fvu"), alone.at("fvu"));
  EXPECT_EQ(beside.at("l0"), alone.at("l0"));
  const auto& points = found.at("points");
  std::size_t i = 1;  // the curve's first point below that L0
  while (points[i].at("l0").get<double>() > beside.at("l0").get<double>()) ++i;
  EXPECT_GE(beside.at("curve_fvu").get<double>(), points[i - 1].at("fvu").get<double>());
  EXPECT_LE(beside.at("curve_fvu").get<double>(), points[i].at("fvu").get<double>());
  EXPECT_FALSE(beside.at("other_data").get<bool>());
  const std::string stranger = (scratch_ / "stranger").string();
  const Ended other =
      run_program({"train", (scratch_ / "small.toml").string(), "--set", "run.seed=5", "--out", stranger});
  ASSERT_EQ(other.exit_code, 0) << other.err;
  expect_words(verb("eval", {"--drop", "weakest", "--rows", "500", "--beside", stranger}).out,
               {"trained on other data"});
}

TEST_F(SolverVerbs, EvalRefusesWhatDoesNotGoTogether) {
  const auto refused = [&](const std::vector<std::string>& more, const std::string& word) {
    const Ended ended = verb("eval", more);
    EXPECT_EQ(ended.exit_code, 2) << word;
    expect_words(ended.err, {word});
  };
  refused({"--drop", "weekest"}, "did you mean 'weakest'");
  refused({"--drop", "weakest", "--gap"}, "--gap");
  refused({"--beside", run_.string()}, "--drop weakest");
  refused({"--drop", "frequent", "--table", out_.string()}, "--json");
  EXPECT_FALSE(fs::exists(out_));
}

TEST_F(SolverVerbs, EvalReportsTheGap) {
  const Ended ended = verb("eval", {"--gap", "--rows", "300", "--json", "--table", out_.string()});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  const auto report = nlohmann::json::parse(ended.out);
  const auto& methods = report.at("methods");
  ASSERT_EQ(methods.size(), 5U);
  const double encoder = methods[0].at("objective").at("mean").get<double>();
  const double lasso = methods[1].at("objective").at("mean").get<double>();
  EXPECT_LT(lasso, encoder);
  EXPECT_NEAR(methods[1].at("l0").at("mean").get<double>(), methods[0].at("l0").at("mean").get<double>(),
              0.2);
  EXPECT_EQ(core::SafetensorsFile(out_).tensor("cd.objective").size(0), 300);
  const Ended text = verb("eval", {"--gap", "--rows", "100", "--solver", "omp", "--k", "2"});
  EXPECT_EQ(text.exit_code, 0);
  expect_words(text.out, {"Amortisation gap over 100 rows", "encoder", "omp", "k 2"});
  const fs::path page = scratch_ / "gap.html";
  const Ended plotted = verb("eval", {"--gap", "--rows", "100", "--plot", page.string()});
  EXPECT_EQ(plotted.exit_code, 0) << plotted.err;
  expect_words(read_file(page), {"Amortisation gap", "Reconstruction against sparsity", "Row by row",
                                 "above that of cd on the same dictionary", "gradient_pursuit"});
  const Ended alone = verb("eval", {"--plot", page.string()});
  EXPECT_EQ(alone.exit_code, 2);
  expect_words(alone.err, {"--plot", "--gap beside it"});
}

}  // namespace
}  // namespace regulon::tests::solver_verbs
