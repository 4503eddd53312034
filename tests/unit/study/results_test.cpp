/// From summaries to tables.

#include "core/study/results.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/unit/support/program.h"

namespace regulon::core::testing {
namespace {

using nlohmann::json;
using regulon::tests::read_file;
using regulon::tests::ScratchFolder;
using regulon::tests::write_file;

json summary(double fvu, int found) {
  return {{"held_out", {{"fvu", fvu}, {"rows", 10}}},
          {"known_features",
           {{"found", std::vector<int>(static_cast<std::size_t>(found), 1)}, {"mean_best", 0.5}}},
          {"last",
           {{"dead_share", 0.25},
            {"seconds", 12.5},
            {"rows_per_second", 1e6},
            {"terms", {{"mse", {{"value", 2}}}}}}}};
}

/// Two points, two seeds, nothing trained.
class Results : public ::testing::Test {
 protected:
  Results() {
    study_.name = "s";
    study_.axes = {{"a", {{"x", {}}, {"y", {}}}}};
    plan_.points = {{"a=x", {0}}, {"a=y", {1}}};
    for (const std::int64_t seed : {0, 1}) {
      for (std::size_t point = 0; point < 2; ++point) {
        plan_.runs.push_back({plan_.points[point].label + ",seed=" + std::to_string(seed), point, seed, {}});
      }
    }
  }
  void finish(const std::string& run, const json& held) { write_file(paths_.summary(run), held.dump()); }

  /// A run with a summary counts as done, unless it is in `others_`.
  StudyResults results() const {
    return results_of(plan_, paths_, [&](const PlannedRun& run) {
      if (others_.count(run.name) != 0) return RunState::other;
      return std::filesystem::exists(paths_.summary(run.name)) ? RunState::done : RunState::missing;
    });
  }

  ScratchFolder scratch_;
  std::set<std::string> others_;
  StudyPaths paths_{scratch_.path()};
  Study study_;
  Plan plan_;
};

TEST_F(Results, MeasuresAreTheSummarysNumbersWithoutTimes) {
  const Measures expected = {{"fvu", 0.5},
                             {"rows", 10},
                             {"known.found", 3},
                             {"known.mean_best", 0.5},
                             {"train.dead_share", 0.25},
                             {"train.terms.mse.value", 2}};
  EXPECT_EQ(measures_of(summary(0.5, 3)), expected);
  EXPECT_EQ(measures_of(
                {{"held_out", {{"fvu", nullptr}, {"name", "x"}, {"list", {1, 2}}}}, {"extra", {{"mcc", 1}}}}),
            (Measures{{"extra.mcc", 1}}));
}

TEST_F(Results, DifferencesArePairedBySeed) {
  finish("a=x,seed=0", summary(0.5, 1));
  finish("a=y,seed=0", summary(0.25, 1));
  finish("a=y,seed=1", summary(0.75, 1));
  const StudyResults results = this->results();
  const PointMeasure& there = results.points[1].at("fvu");
  EXPECT_EQ(there.spread.n, 2);
  EXPECT_EQ(there.spread.mean, 0.5);
  ASSERT_TRUE(there.difference);
  EXPECT_EQ(there.difference->n, 1);  // seed 1 has no partner
  EXPECT_EQ(there.difference->mean, -0.25);
  EXPECT_FALSE(results.points[0].at("fvu").difference);
  EXPECT_EQ(results.runs[2].status, "missing");
}

TEST_F(Results, CsvHoldsALinePerPointAndMeasure) {
  finish("a=x,seed=0", {{"held_out", {{"fvu", 0.5}}}});
  finish("a=x,seed=1", {{"held_out", {{"fvu", 0.25}}}});
  finish("a=y,seed=0", {{"held_out", {{"fvu", 1.5}}}});
  EXPECT_EQ(points_csv(study_, plan_, results()),
            "a,measure,n,mean,std,min,max,difference,difference_low,difference_high,difference_n\n"
            "x,fvu,2,0.375,0.1767766952966369,0.25,0.5,,,,0\n"
            "y,fvu,1,1.5,,1.5,1.5,1,,,1\n");
}

TEST_F(Results, RunsAreListedWithTheirErrors) {
  finish("a=x,seed=0", {{"held_out", {{"fvu", 0.5}}}});
  write_file(paths_.failure("a=y,seed=0"), json{{"error", "said \"no\"\nand left"}}.dump());
  EXPECT_EQ(runs_csv(study_, plan_, results()),
            "run,a,seed,status,fvu,error\n"
            "\"a=x,seed=0\",x,0,done,0.5,\n"
            "\"a=y,seed=0\",y,0,failed,,\"said \"\"no\"\"\nand left\"\n"
            "\"a=x,seed=1\",x,1,missing,,\n"
            "\"a=y,seed=1\",y,1,missing,,\n");
}

TEST_F(Results, RunsOfAnotherConfigAreLeftOut) {
  for (const PlannedRun& run : plan_.runs) finish(run.name, {{"held_out", {{"fvu", 0.5}}}});
  others_ = {"a=y,seed=1"};
  const StudyResults results = this->results();
  EXPECT_EQ(results.runs[3].status, "changed");
  EXPECT_TRUE(results.runs[3].measures.empty());
  EXPECT_TRUE(results.runs[3].summary.is_null());
  EXPECT_EQ(results.points[1].at("fvu").spread.n, 1);
  EXPECT_EQ(results.points[0].at("fvu").spread.n, 2);
}

TEST_F(Results, ADamagedFailureIsAFailure) {
  write_file(paths_.failure("a=y,seed=0"), json{{"error", 3}}.dump());
  EXPECT_EQ(results().runs[1].status, "failed");
}

TEST_F(Results, FilesAreWrittenAndAgree) {
  finish("a=x,seed=0", summary(0.5, 2));
  finish("a=y,seed=0", summary(0.25, 4));
  const StudyResults results = this->results();
  write_results(study_, plan_, paths_, results);
  const json all = json::parse(read_file(scratch_ / "results.json"));
  EXPECT_EQ(all["points"][1]["measures"]["known.found"]["difference"]["mean"], 2);
  EXPECT_TRUE(all["points"][1]["measures"]["known.found"]["difference"]["low"].is_null());
  EXPECT_TRUE(all["points"][1]["measures"]["known.found"]["std"].is_null());
  EXPECT_EQ(all["runs"][1]["summary"]["last"]["seconds"], 12.5);
  EXPECT_EQ(all["runs"][1]["choices"]["a"], "y");
  EXPECT_EQ(read_file(scratch_ / "results.csv"), points_csv(study_, plan_, results));
  EXPECT_EQ(read_file(scratch_ / "runs.csv"), runs_csv(study_, plan_, results));
}

}  // namespace
}  // namespace regulon::core::testing
