/// Study files: what they say, what the runs are, and how wrong ones are told.

#include <gtest/gtest.h>

#include "core/io/hash.h"
#include "core/study/plan.h"
#include "core/study/study_file.h"
#include "tests/unit/config/fake_catalogue.h"
#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/program.h"

namespace regulon::core::testing {
namespace {

namespace fs = std::filesystem;
using regulon::tests::expect_error;
using regulon::tests::ScratchFolder;
using regulon::tests::write_file;

class StudyFile : public ::testing::Test {
 protected:
  void SetUp() override { write_file(scratch_ / "base.toml", kGood); }

  /// A study of the base: `section` below [study], then `axes`.
  Study read(const std::string& section, const std::string& axes = "",
             const std::vector<Override>& overrides = {}) {
    write_file(file_, "[study]\nbase = \"base.toml\"\n" + section + axes);
    return read_study(file_, overrides);
  }
  Plan plan(const std::string& section, const std::string& axes = "",
            const std::vector<Override>& overrides = {}) {
    return plan_of(read(section, axes, overrides), catalogue_);
  }
  void refuses(const std::string& section, const std::string& axes, const std::vector<std::string>& words) {
    expect_error<InputError>([&] { plan(section, axes); }, words);
  }
  static std::vector<std::string> names(const Plan& plan) {
    std::vector<std::string> all;
    for (const PlannedRun& run : plan.runs) all.push_back(run.name);
    return all;
  }

  ScratchFolder scratch_;
  fs::path file_ = scratch_ / "study.toml";
  FakeCatalogue catalogue_;
};

const std::string kAxisK = "[[axis]]\nkey = \"encoder.k\"\nvalues = [4, 8]\n";
const std::string kAxisWeight = "[[axis]]\nkey = \"loss.neighbours.weight\"\nvalues = [0, 0.25, 1e-5]\n";

TEST_F(StudyFile, WithoutAxesIsTheBase) {
  const Plan one = plan("");
  EXPECT_EQ(names(one), std::vector<std::string>{"base,seed=0"});
  EXPECT_EQ(one.runs[0].config.run.steps, 200);
  EXPECT_EQ(one.runs[0].config.run.name, "base,seed=0");
  EXPECT_EQ(one.runs[0].config.file, scratch_ / "base.toml");
  EXPECT_EQ(read("").name, "study");
}

TEST_F(StudyFile, GridIsEveryCombinationSeedBySeed) {
  const Plan grid = plan("seeds = 2\n", kAxisK + kAxisWeight);
  ASSERT_EQ(grid.points.size(), 6U);
  ASSERT_EQ(grid.runs.size(), 12U);
  EXPECT_EQ(grid.runs[0].name, "k=4,neighbours.weight=0,seed=0");
  EXPECT_EQ(grid.runs[5].name, "k=8,neighbours.weight=1e-05,seed=0");
  EXPECT_EQ(grid.runs[6].name, "k=4,neighbours.weight=0,seed=1");
  EXPECT_EQ(grid.runs[5].config.losses[1].weight, Schedule(1e-5));
  EXPECT_EQ(std::get<std::int64_t>(grid.runs[5].config.activation.values[0]), 8);
  EXPECT_EQ(grid.runs[11].config.run.seed, 1);
}

TEST_F(StudyFile, OneAtATimeLeavesTheFirstChoices) {
  EXPECT_EQ(
      names(plan("mode = \"one_at_a_time\"\n", kAxisK + kAxisWeight)),
      (std::vector<std::string>{"k=4,neighbours.weight=0,seed=0", "k=8,neighbours.weight=0,seed=0",
                                "k=4,neighbours.weight=0.25,seed=0", "k=4,neighbours.weight=1e-05,seed=0"}));
}

TEST_F(StudyFile, KeysOfOneAxisMoveTogether) {
  const Plan zipped =
      plan("", "[[axis]]\nkey = [\"encoder.k\", \"model.features\"]\nvalues = [[4, 16], [8, 32]]\n");
  EXPECT_EQ(names(zipped), (std::vector<std::string>{"k+features=4+16,seed=0", "k+features=8+32,seed=0"}));
  EXPECT_EQ(zipped.runs[1].config.model.features, 32);
  EXPECT_EQ(std::get<std::int64_t>(zipped.runs[0].config.activation.values[0]), 4);
}

TEST_F(StudyFile, PointsSetAndTakeOutSeveralKeys) {
  const Plan points = plan("",
                           "[[axis]]\nname = \"encoder\"\n[[axis.point]]\nname = \"topk\"\n[[axis.point]]\n"
                           "name = \"relu\"\nset = [\"encoder.activation=relu\", \"run.steps=7\"]\n"
                           "unset = [\"encoder.k\", \"loss.neighbours\"]\n");
  EXPECT_EQ(names(points), (std::vector<std::string>{"encoder=topk,seed=0", "encoder=relu,seed=0"}));
  EXPECT_EQ(points.runs[0].config.activation.plugin, "topk");
  EXPECT_EQ(points.runs[0].config.losses.size(), 2U);
  EXPECT_EQ(points.runs[1].config.activation.plugin, "relu");
  EXPECT_EQ(points.runs[1].config.run.steps, 7);
  EXPECT_EQ(points.runs[1].config.losses.size(), 1U);
}

TEST_F(StudyFile, LossTermsOneOutAndOneIn) {
  const std::string more = kGood + "[[loss]]\nplugin = \"orthogonality\"\nname = \"far\"\npairs = \"all\"\n";
  write_file(scratch_ / "base.toml", more);
  const auto terms_at = [](const PlannedRun& run) {
    std::string all;
    for (const LossChoice& loss : run.config.losses) all += loss.term.name + " ";
    return run.name + ": " + all;
  };
  std::vector<std::string> found;
  for (const auto& run :
       plan("leave_one_out = [\"neighbours\"]\nadd_one_in = [\"neighbours\", \"far\"]\n").runs) {
    found.push_back(terms_at(run));
  }
  // With "far" alone is the base without "neighbours": trained once.
  EXPECT_EQ(found, (std::vector<std::string>{
                       "loss=all,seed=0: mse neighbours far ", "loss=without-neighbours,seed=0: mse far ",
                       "loss=none,seed=0: mse ", "loss=with-neighbours,seed=0: mse neighbours "}));
  EXPECT_EQ(plan("leave_one_out = \"all\"\n").points.size(), 4U);
}

TEST_F(StudyFile, TheStudyItselfMayHoldTheConfig) {
  write_file(file_, kGood + "[study]\nseeds = [3, 5]\nset = [\"run.steps=9\"]\n" + kAxisK);
  const Study study = read_study(file_, {"run.report_every=3", "study.name=other"});
  EXPECT_EQ(study.name, "other");
  const Plan all = plan_of(study, catalogue_);
  EXPECT_EQ(names(all), (std::vector<std::string>{"k=4,seed=3", "k=8,seed=3", "k=4,seed=5", "k=8,seed=5"}));
  EXPECT_EQ(all.runs[0].config.run.steps, 9);
  EXPECT_EQ(all.runs[0].config.run.report_every, 3);
  EXPECT_EQ(all.runs[0].config.file, file_);
}

TEST_F(StudyFile, NamesStayWithinWhatAFolderMayBeCalled) {
  std::string axes;
  for (const char* key :
       {"run.steps", "run.report_every", "run.checkpoint_every", "run.dead_after", "model.features"}) {
    axes += std::string("[[axis]]\nkey = \"") + key + "\"\nvalues = [1000000001, 1000000002]\n";
  }
  std::set<std::string> seen;
  for (const auto& run : plan("seeds = 2\n", axes).runs) {
    EXPECT_LE(run.name.size(), 100U);
    EXPECT_EQ(run.name.substr(run.name.rfind(',')).substr(0, 6), ",seed=");
    seen.insert(run.name);
  }
  EXPECT_EQ(seen.size(), 64U);
}

TEST_F(StudyFile, CutNamesThatClashAreRefused) {
  // Two long labels whose hashes begin with the same 8 digits, found by trying.
  std::map<std::string, std::string> seen;
  std::string one;
  std::string other;
  for (int i = 0; other.empty() && i < 2'000'000; ++i) {
    std::string label = std::to_string(i);
    label.insert(0, 100 - label.size(), 'a');
    const auto [earlier, fresh] = seen.emplace(hash_text("k=" + label).substr(0, 8), label);
    if (!fresh) {
      one = earlier->second;
      other = label;
    }
  }
  ASSERT_FALSE(other.empty());
  const std::string labels = "labels = [\"" + one + "\", \"" + other + "\"]\n";
  refuses("", kAxisK + labels, {"study.toml", "two runs are called k=aaa", one, other, "labels = "});
}

TEST_F(StudyFile, LabelsAreReadableAndSafe) {
  const auto label = [](const std::string& toml) {
    return label_of(doc::from_toml("v = " + toml, "x").entries[0].value);
  };
  EXPECT_EQ(label("0.25"), "0.25");
  EXPECT_EQ(label("\"a b/c\""), "a-b-c");
  EXPECT_EQ(label("\"/../..\""), "..-..");
  EXPECT_EQ(label("[1, 2]"), "1+2");
  EXPECT_EQ(label("{ from = 0.0, to = 0.5, over = 9 }"), "from-0-over-9-to-0.5");
  EXPECT_EQ(label("\"\""), "empty");
  EXPECT_EQ(label("true"), "true");
}

TEST_F(StudyFile, UnknownKeysGetASuggestionAndTheirLine) {
  refuses("", "[[axis]]\nkey = \"encoder.kk\"\nvalues = [4]\n",
          {"study.toml:5", "unknown key 'kk' in [encoder]", "k"});
  refuses("", "[[axis]]\nkey = \"modle.features\"\nvalues = [4]\n",
          {"study.toml:5", "did you mean 'model'?"});
  refuses("", "[[axis]]\nkey = \"loss.neighbors.weight\"\nvalues = [4]\n",
          {"study.toml:5", "no loss term is called 'neighbors'", "did you mean 'neighbours'?"});
  refuses("", "[[axis]]\nkey = \"steps\"\nvalues = [4]\n", {"study.toml:5", "SECTION.KEY"});
  refuses("seed = 3\n", "", {"study.toml:3", "did you mean 'seeds'?"});
  refuses("leave_one_out = [\"neighbors\"]\n", "", {"study.toml:3", "did you mean 'neighbours'?"});
  refuses("", "[[axes]]\nkey = \"encoder.k\"\n", {"study.toml:3", "did you mean 'axis'?"});
  refuses("unset = [\"encoder.kk\"]\n", "", {"study.toml:3", "there is no 'encoder.kk' to take out"});
}

TEST_F(StudyFile, WrongValuesAreToldOnceWithTheirPoint) {
  const std::string wrong = "[[axis]]\nkey = \"run.steps\"\nvalues = [5, 0]\n";
  write_file(file_, "[study]\nbase = \"base.toml\"\nseeds = 3\n" + wrong + kAxisK);
  const Study study = read_study(file_, {});
  expect_error<InputError>(
      [&] { plan_of(study, catalogue_); },
      {"study.toml:6: 'steps' of [run] is not acceptable (at the point steps=0,k=4 and 1 more)"});
  try {
    plan_of(study, catalogue_);
  } catch (const InputError& error) {
    EXPECT_EQ(error.problems().size(), 1U);
  }
}

TEST_F(StudyFile, EmptyAxesAndSeedsAreRefused) {
  refuses("", "[[axis]]\nkey = \"encoder.k\"\nvalues = []\n", {"study.toml:5", "has no values"});
  refuses("", "[[axis]]\nkey = \"encoder.k\"\n", {"study.toml:3", "has no values"});
  refuses("", "[[axis]]\nvalues = [1]\n", {"study.toml:3", "says nothing to vary"});
  refuses("", "[[axis]]\nname = \"x\"\npoint = []\n", {"study.toml:5", "not a list of points"});
  refuses("seeds = []\n", "", {"study.toml:3", "'seeds' of [study] is empty"});
  refuses("seeds = 0\n", "", {"study.toml:3", "'seeds' of [study] is empty"});
  refuses("", "axis = 3\n", {"study.toml", "unknown key 'axis'"});
}

TEST_F(StudyFile, ClashesAreRefused) {
  refuses("", kAxisK + kAxisK, {"two axes set encoder.k", "two axes are called"});
  refuses("", "[[axis]]\nkey = \"encoder.k\"\nvalues = [4, 4]\n",
          {"study.toml:5", "are called '4'", "labels"});
  refuses("", kAxisWeight + "[[axis]]\nkey = \"loss.neighbours.weight.over\"\nvalues = [4]\n",
          {"two axes set"});
  refuses("leave_one_out = [\"neighbours\"]\n", kAxisWeight, {"two axes set loss.neighbours"});
  refuses("seeds = [1, 1]\n", "", {"names one twice", "1"});
  refuses("", "[[axis]]\nkey = \"run.seed\"\nvalues = [1]\n", {"cannot set run.seed", "seeds"});
  refuses("", "[[axis]]\nname = \"a/b\"\nkey = \"encoder.k\"\nvalues = [1]\n",
          {"cannot be called that", "a/b"});
  refuses("", "[[axis]]\nkey = \"encoder.k\"\nvalues = [1]\nlabels = [\"..\"]\n", {"cannot be called that"});
  refuses("", "[[axis]]\nkey = \"encoder.k\"\nvalues = [1, 2]\nlabels = [\"a\"]\n", {"2 labels"});
  refuses("", "[[axis]]\nkey = [\"encoder.k\", \"model.features\"]\nvalues = [1]\n", {"an array of 2"});
  refuses("name = \"../evil\"\n", "", {"a study cannot be called that"});
  refuses("", "[model]\nfeatures = 3\n", {"study.toml:3", "unknown key 'model'", "set ="});
  expect_error<InputError>([&] { read("", kAxisK, {"encoder.k=3"}); },
                           {"--set encoder.k=3", "the axis 'k' sets"});
}

TEST_F(StudyFile, AxesAreCalledLikeWhatTheyVary) {
  const auto axis = [](const std::string& key, const std::string& value) {
    return "[[axis]]\nkey = \"" + key + "\"\nvalues = [" + value + "]\n";
  };
  const Plan short_names = plan("", axis("encoder.plugin", "\"linear\"") + axis("loss.mse.every", "1"));
  EXPECT_EQ(short_names.runs[0].name, "encoder=linear,mse.every=1,seed=0");
  const Plan long_names = plan("", axis("optimiser.warm_up", "5") + axis("cost.warm_up", "7"));
  EXPECT_EQ(long_names.runs[0].name, "optimiser.warm_up=5,cost.warm_up=7,seed=0");
}

TEST_F(StudyFile, MissingBaseIsToldWhereItIsNamed) {
  fs::remove(scratch_ / "base.toml");
  refuses("", "", {"study.toml:2", "base.toml", "there is no such config"});
  write_file(file_, "[study]\n");
  expect_error<InputError>([&] { read_study(file_, {}); }, {"there is no config to vary", "base ="});
  write_file(file_, kGood);
  expect_error<InputError>([&] { read_study(file_, {}); }, {"there is no [study]", "regulon train"});
}

TEST_F(StudyFile, TooManyRunsAreCountedAndNotMade) {
  const std::string hundred = [] {
    std::string list = "[";
    for (int i = 1; i <= 100; ++i) list += std::to_string(i) + ",";
    return list + "]";
  }();
  const auto axis = [&](const std::string& key) {
    return "[[axis]]\nkey = \"" + key + "\"\nvalues = " + hundred + "\n";
  };
  refuses("", axis("encoder.k") + axis("run.steps") + axis("data.batch"),
          {"too many runs", "at most 10000", "found 1000000", "100 k, 100 steps, 100 batch, 1 seed"});
  refuses("seeds = 1000000\n", "", {"at most 10000", "found 1000000"});
  refuses("seeds = 9000000000000000000\n", axis("encoder.k") + axis("run.steps"),
          {"at most 10000", "more than"});
  EXPECT_EQ(read("seeds = 100\n", axis("run.steps")).points(), 100U);
}

}  // namespace
}  // namespace regulon::core::testing
