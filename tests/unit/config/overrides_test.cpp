#include <gtest/gtest.h>

#include "fake_catalogue.h"

namespace regulon::core::testing {
namespace {

Config overridden(const std::vector<Override>& overrides) {
  static FakeCatalogue catalogue;
  return parse_config(kGood, "a.toml", overrides, catalogue);
}

TEST(Overrides, ReplaceAndAdd) {
  EXPECT_EQ(overridden({"run.steps=7"}).run.steps, 7);
  EXPECT_EQ(overridden({"run.seed=3"}).run.seed, 3);
  EXPECT_EQ(overridden({"optimiser.clip=0.5"}).optimiser.clip, 0.5);
  EXPECT_FALSE(overridden({"model.unit_norm=false"}).model.unit_norm);
  EXPECT_EQ(overridden({"run.steps=7", "run.steps=8"}).run.steps, 8);
  EXPECT_EQ(overridden({" run.steps = 7 "}).run.steps, 7);
}

TEST(Overrides, TextWithAndWithoutQuotes) {
  EXPECT_EQ(overridden({"run.name=other"}).run.name, "other");
  EXPECT_EQ(overridden({"run.name=\"other one\""}).run.name, "other one");
  EXPECT_EQ(overridden({"run.name=a=b"}).run.name, "a=b");
  EXPECT_EQ(overridden({"run.name=2024-x"}).run.name, "2024-x");
  EXPECT_EQ(overridden({"encoder.activation=topk"}).activation.plugin, "topk");
  EXPECT_EQ(std::get<std::vector<std::string>>(overridden({"data.files=x/[0-9]*.npy"}).source.values.at(1)),
            std::vector<std::string>{"x/[0-9]*.npy"});
}

TEST(Overrides, ArraysAndSchedules) {
  EXPECT_EQ(std::get<std::vector<double>>(overridden({"data.levels=[0.25, 1]"}).source.values.at(2)),
            (std::vector<double>{0.25, 1.0}));
  const Config config = overridden({"loss.neighbours.weight={ from = 0, to = 1, over = 4 }"});
  EXPECT_EQ(config.losses[1].weight.at(2), 0.5);
  const Config longer =
      overridden({"loss.neighbours.weight={ from = 0, to = 1, over = 4 }", "loss.neighbours.weight.over=8"});
  EXPECT_EQ(longer.losses[1].weight.at(2), 0.25);
}

TEST(Overrides, LossTermsByNameOrPlugin) {
  EXPECT_EQ(overridden({"loss.neighbours.weight=0.5"}).losses[1].weight, Schedule(0.5));
  EXPECT_EQ(overridden({"loss.mse.weight=-1"}).losses[0].weight, Schedule(-1.0));
  EXPECT_EQ(overridden({"loss.neighbours.margin=0.5"}).losses[1].weight, Schedule(0.25));
  const Config renamed = overridden({"loss.neighbours.name=others", "loss.others.every=2"});
  EXPECT_EQ(renamed.losses[1].term.name, "others");
  EXPECT_EQ(renamed.losses[1].every, 2);
}

TEST(Overrides, UnknownKeysGetTheSameHelp) {
  EXPECT_PARTS(problem_of(kGood, {"run.stesp=7"}), "--set run.stesp=7: ", "unknown key 'stesp' in [run]",
               "did you mean 'steps'?");
  EXPECT_PARTS(problem_of(kGood, {"modle.features=7"}), "--set modle.features=7: ", "unknown section [modle]",
               "did you mean 'model'?");
  EXPECT_PARTS(problem_of(kGood, {"loss.neighbors.weight=7"}),
               "--set loss.neighbors.weight=7: ", "no loss term is called 'neighbors'",
               "did you mean 'neighbours'?");
  EXPECT_PARTS(problem_of(kGood, {"loss.mse.wieght=7"}), "--set loss.mse.wieght=7: ", "'wieght'",
               "did you mean 'weight'?");
}

TEST(Overrides, WrongValuesAreToldWithTheOverride) {
  EXPECT_PARTS(problem_of(kGood, {"run.steps=0"}), "--set run.steps=0: ", "'steps'", "found 0");
  EXPECT_PARTS(problem_of(kGood, {"run.steps=many"}), "--set run.steps=many: ", "an integer",
               "\"many\" (text)");
  EXPECT_PARTS(problem_of(kGood, {"run.name=7"}), "--set run.name=7: ", "a text", "in quotes");
  EXPECT_PARTS(problem_of(kGood, {"run.device=gpu"}), "--set run.device=gpu: ", "one of: cpu");
  EXPECT_PARTS(problem_of(kGood, {"loss.mse.weight={ from = 0 }"}), "--set loss.mse.weight=", "lacks 'over'");
  EXPECT_PARTS(problem_of(kGood, {"data.levels=[0.5, 3]"}), "--set data.levels=", "element 2");
  EXPECT_PARTS(problem_of(kGood, {"encoder.k=64"}), "--set encoder.k=64: ", "exceeds");
}

TEST(Overrides, MalformedOnes) {
  EXPECT_PARTS(problem_of(kGood, {"run.steps"}), "--set run.steps: ", "not an override", "SECTION.KEY=VALUE");
  EXPECT_PARTS(problem_of(kGood, {"steps=3"}), "--set steps=3: ", "SECTION.KEY=VALUE");
  EXPECT_PARTS(problem_of(kGood, {"run..steps=3"}), "SECTION.KEY=VALUE");
  EXPECT_PARTS(problem_of(kGood, {"=3"}), "SECTION.KEY=VALUE");
  EXPECT_PARTS(problem_of(kGood, {""}), "SECTION.KEY=VALUE");
  EXPECT_PARTS(problem_of(kGood, {"loss.weight=3"}), "loss.NAME.KEY=VALUE");
  EXPECT_PARTS(problem_of(kGood, {"data.levels=[0.5"}), "not valid TOML", "[0.5");
  EXPECT_PARTS(problem_of(kGood, {"run.name=\xff"}), "not UTF-8");
  EXPECT_PARTS(problem_of(kGood, {"run.steps.more=3"}), "'steps' has no keys of its own", "200 (integer)",
               "a.toml:3");
}

TEST(Overrides, AllProblemsWithThoseOfTheFile) {
  const auto problems = problems_of(with(kGood, "steps", "stesp"), {"run.sed=1", "data.batch=0", "x"});
  std::vector<std::string> places;
  for (const Problem& problem : problems) places.push_back(problem.where);
  EXPECT_EQ(places.size(), 4U);
  EXPECT_EQ(places.front(), "a.toml:3");
}

}  // namespace
}  // namespace regulon::core::testing
