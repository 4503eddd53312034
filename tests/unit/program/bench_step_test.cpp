/// `regulon bench step`: that its figures are there and fit each other, not how large they are.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/io/safetensors.h"
#include "tests/unit/support/program.h"

namespace regulon::tests {
namespace {

class BenchStep : public ::testing::Test {
 protected:
  static Ended bench(const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"bench",   "step", "--json",     "--batch",   "64",
                                       "--width", "16",   "--features", "96",        "--steps",
                                       "7",       "--k",  "4",          "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }
  static nlohmann::json figures(const std::vector<std::string>& more) {
    const Ended ended = bench(more);
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    return nlohmann::json::parse(ended.out);
  }
  ScratchFolder scratch_;
};

void expect_sensible(const nlohmann::json& found) {
  for (const std::string name : {"step_ms", "mean_ms", "floor_ms", "ratio", "peak_mib", "l0"}) {
    EXPECT_TRUE(std::isfinite(found.at(name).get<double>())) << name;
    EXPECT_GT(found.at(name).get<double>(), 0) << name;
  }
  double sum = 0;
  for (const auto& [name, milliseconds] : found.at("phases").items()) {
    EXPECT_TRUE(std::isfinite(milliseconds.get<double>())) << name;
    EXPECT_GE(milliseconds.get<double>(), 0) << name;
    sum += milliseconds.get<double>();
  }
  const double mean = found.at("mean_ms").get<double>();
  EXPECT_GT(sum, 0.5 * mean);
  EXPECT_LE(sum, 1.001 * mean);
  EXPECT_GE(found.at("report_share").get<double>(), 0);
  EXPECT_LT(found.at("report_share").get<double>(), 1);
}

TEST_F(BenchStep, FiguresArePositiveAndThePhasesAddUpToTheStep) {
  const nlohmann::json found = figures({});
  expect_sensible(found);
  EXPECT_EQ(found.at("l0").get<double>(), 4);
  EXPECT_EQ(found.at("dead_share").get<double>(), 0);
  EXPECT_EQ(found.at("report_every").get<int>(), 50);
  EXPECT_GT(found.at("phases").at("product").get<double>(), 0);
}

TEST_F(BenchStep, DeadFeaturesStayDead) {
  const nlohmann::json found = figures({"--loss", "mse", "--loss", "auxk", "--dead", "0.25"});
  expect_sensible(found);
  EXPECT_DOUBLE_EQ(found.at("dead_share").get<double>(), 0.25);
  const Ended table = run_program({"bench", "step", "--batch", "64", "--width", "16", "--features", "96",
                                   "--steps", "1", "--k", "4", "--dead", "0.25"});
  EXPECT_NE(table.out.find("dead 25.0%"), std::string::npos) << table.out << table.err;
  EXPECT_NE(table.out.find("a report every 50 steps"), std::string::npos) << table.out;
}

TEST_F(BenchStep, DeadFeaturesNeedAnEncoderWithWeightsOfItsOwn) {
  const Ended ended = bench({"--dead", "0.25", "--set", "encoder.tied=true"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_NE(ended.err.find("--dead"), std::string::npos) << ended.err;
}

TEST_F(BenchStep, DensityOfAThresholdActivationIsSettled) {
  const nlohmann::json found = figures({"--activation", "relu", "--loss", "mse", "--loss", "l1"});
  expect_sensible(found);
  EXPECT_NEAR(found.at("l0").get<double>(), 4, 2);
}

TEST_F(BenchStep, TakesRowsOfFilesAndTheirWidth) {
  core::write_safetensors(scratch_ / "rows.safetensors", {{"activations", at::rand({300, 24})}});
  const nlohmann::json found = figures({"--data", (scratch_ / "rows.safetensors").string()});
  expect_sensible(found);
  EXPECT_EQ(found.at("l0").get<double>(), 4);
}

TEST_F(BenchStep, RefusesWhatCannotBe) {
  const auto refused = [](const std::vector<std::string>& arguments, const std::string& word) {
    std::vector<std::string> all{"bench", "step"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Ended ended = run_program(all);
    EXPECT_EQ(ended.exit_code, 2) << ended.out;
    EXPECT_NE(ended.err.find(word), std::string::npos) << ended.err;
  };
  refused({"--batch", "64", "--width", "16", "--features", "96", "--k", "97"}, "97");
  refused({"--batch", "0"}, "--batch");
  refused({"--dead", "1.5"}, "--dead");
  refused({"--loss", "nope"}, "nope");
  refused({"--data", (scratch_ / "none*.npy").string()}, "none*.npy");
}

}  // namespace
}  // namespace regulon::tests
