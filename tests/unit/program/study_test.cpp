/// `regulon study` as a person meets it: killed, continued, interrupted, with runs that fail.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/io/file_lock.h"
#include "tests/unit/support/expect_words.h"
#include "tests/unit/support/program.h"

namespace regulon::tests {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kStudy[] = R"(
[study]
name = "small"
seeds = 2

[run]
steps = 300
report_every = 10
checkpoint_every = 20

[data]
source = "toy.pairs"
batch = 128

[model]
features = 16

[optimiser]
learning_rate = 3e-3

[encoder]
plugin = "linear"

[[loss]]
plugin = "mse"

[[loss]]
plugin = "l1"
weight = 0.1

[[axis]]
key = "loss.l1.weight"
values = [0.1, 0.3]
)";

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t found = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
  return found;
}

/// Waits for it, two minutes at most.
bool eventually(const std::function<bool()>& come) {
  for (int tries = 0; tries < 60'000; ++tries) {
    if (come()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

class StudyCommand : public ::testing::Test {
 protected:
  void SetUp() override { write_file(file_, kStudy); }

  std::vector<std::string> arguments(const fs::path& out, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all{"study", file_.string(), "--out", out.string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  Ended study(const fs::path& out, const std::vector<std::string>& more = {}) const {
    return run_program(arguments(out, more));
  }
  void replace(const std::string& from, const std::string& to) const {
    std::string text = read_file(file_);
    text.replace(text.find(from), from.size(), to);
    write_file(file_, text);
  }
  fs::path manifest_of(const std::string& run) const { return out_ / "runs" / run / "manifest.json"; }
  /// Runs that have begun and are not done, once no process holds them.
  std::vector<std::string> begun_runs() const {
    std::vector<std::string> names;
    if (!fs::exists(out_ / "runs")) return names;
    for (const auto& entry : fs::directory_iterator(out_ / "runs")) {
      const fs::path lock = entry.path() / ".lock";
      EXPECT_TRUE(eventually([&] { return !fs::exists(lock) || core::FileLock::try_take(lock); }));
      const bool begun = fs::exists(entry.path() / "manifest.json");
      if (begun && !fs::exists(entry.path() / "summary.json")) names.push_back(entry.path().filename());
    }
    return names;
  }

  ScratchFolder scratch_;
  fs::path file_ = scratch_ / "small.toml";
  fs::path out_ = scratch_ / "out";
};

TEST_F(StudyCommand, TrainsAllRunsAndTabulatesThem) {
  const Ended ended = study(out_, {"--jobs", "2"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  expect_words(ended.out,
               {"l1.weight", "FVU", "found", "±", "Differences from the first line", "results.csv"});
  expect_words(ended.err, {"4 runs, 0 of them done", "starts    l1.weight=0.1,seed=0", "(4/4 done"});
  const auto results = json::parse(read_file(out_ / "results.json"));
  ASSERT_EQ(results["runs"].size(), 4U);
  for (const auto& run : results["runs"]) {
    EXPECT_EQ(run["status"], "done");
    const auto summary = json::parse(read_file(out_ / std::string(run["folder"]) / "summary.json"));
    EXPECT_EQ(run["summary"], summary);
  }
  for (const char* measure :
       {"fvu", "l0", "train.dead_share", "known.found", "known.missed", "known.mean_best"}) {
    EXPECT_TRUE(results["points"][1]["measures"][measure].contains("difference")) << measure;
  }
  EXPECT_LT(results["points"][1]["measures"]["l1"]["difference"]["mean"], 0);
}

TEST_F(StudyCommand, DoneRunsAreNotTrainedAgain) {
  ASSERT_EQ(study(out_).exit_code, 0);
  const auto before = fs::last_write_time(out_ / "runs" / "l1.weight=0.1,seed=0" / "summary.json");
  const std::string table = read_file(out_ / "results.csv");
  const Ended again = study(out_);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  expect_words(again.err, {"4 runs, 4 of them done already"});
  EXPECT_EQ(again.err.find("starts"), std::string::npos) << again.err;
  EXPECT_EQ(fs::last_write_time(out_ / "runs" / "l1.weight=0.1,seed=0" / "summary.json"), before);
  EXPECT_EQ(read_file(out_ / "results.csv"), table);
  // One more seed: only its runs are new.
  const Ended more = study(out_, {"--set", "study.seeds=3"});
  EXPECT_EQ(more.exit_code, 0) << more.err;
  expect_words(more.err, {"6 runs, 4 of them done already"});
  EXPECT_EQ(count(more.err, "starts"), 2U);
}

TEST_F(StudyCommand, RunsThatLostFilesAreTrainedAgain) {
  ASSERT_EQ(study(out_).exit_code, 0);
  const std::string table = read_file(out_ / "results.csv");
  write_file(out_ / "runs" / "l1.weight=0.1,seed=0" / "summary.json", "");
  fs::remove(out_ / "runs" / "l1.weight=0.1,seed=1" / "weights.safetensors");
  const Ended again = study(out_);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  expect_words(again.err, {"4 runs, 2 of them done already"});
  EXPECT_EQ(read_file(out_ / "results.csv"), table);
  EXPECT_TRUE(fs::exists(out_ / "runs" / "l1.weight=0.1,seed=1" / "weights.safetensors"));
}

TEST_F(StudyCommand, KilledAndContinuedGivesTheSameTables) {
  const fs::path whole = scratch_ / "whole";
  ASSERT_EQ(study(whole).exit_code, 0);
  const std::string first = "l1.weight=0.1,seed=0";
  const std::string third = "l1.weight=0.1,seed=1";
  const auto has_checkpoint = [&] {
    const fs::path folder = out_ / "runs" / first / "checkpoints";
    return fs::exists(folder) && !fs::is_empty(folder);
  };
  const std::function<bool()> moments[] = {[&] { return fs::exists(out_ / "study.json"); },
                                           [&] { return fs::exists(manifest_of(first)); }, has_checkpoint,
                                           [&] { return fs::exists(out_ / "runs" / first / "summary.json"); },
                                           [&] { return fs::exists(manifest_of(third)); }};
  int resumed = 0;
  for (const auto& come : moments) {
    const auto begun = begun_runs();
    Program program(arguments(out_, {"--jobs", "2"}));
    ASSERT_TRUE(eventually(come));
    program.send(SIGKILL);
    const Ended ended = program.wait();
    EXPECT_EQ(ended.signal, SIGKILL);
    EXPECT_EQ(ended.err.find("FAILED"), std::string::npos) << ended.err;
    for (const std::string& run : begun) {
      EXPECT_EQ(ended.err.find("starts    " + run), std::string::npos) << ended.err;
      if (ended.err.find("goes on   " + run) != std::string::npos) ++resumed;
    }
  }
  EXPECT_GT(resumed, 0);
  const Ended last = study(out_);
  ASSERT_EQ(last.exit_code, 0) << last.err;
  EXPECT_EQ(read_file(out_ / "results.csv"), read_file(whole / "results.csv"));
  EXPECT_EQ(read_file(out_ / "runs.csv"), read_file(whole / "runs.csv"));
}

TEST_F(StudyCommand, RunsDieWithTheStudy) {
  Program program(arguments(out_, {"--set", "run.steps=1000000"}));
  ASSERT_TRUE(program.wait_for_err("starts"));
  const fs::path metrics = out_ / "runs" / "l1.weight=0.1,seed=0" / "metrics.jsonl";
  for (int tries = 0; tries < 3000 && (!fs::exists(metrics) || fs::file_size(metrics) == 0); ++tries)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  program.send(SIGKILL);
  program.wait();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const auto size = fs::file_size(metrics);
  EXPECT_GT(size, 0U);
  std::this_thread::sleep_for(std::chrono::milliseconds(1000));
  EXPECT_EQ(fs::file_size(metrics), size);
}

TEST_F(StudyCommand, InterruptKeepsWhatWasTrainedAndExits130) {
  const fs::path whole = scratch_ / "whole";
  ASSERT_EQ(study(whole).exit_code, 0);
  Program program(arguments(out_));
  ASSERT_TRUE(program.wait_for_err("starts    l1.weight=0.3,seed=0"));
  program.send(SIGINT);
  const Ended ended = program.wait();
  EXPECT_EQ(ended.exit_code, 130);
  expect_words(ended.err, {"The same command goes on"});
  EXPECT_TRUE(fs::exists(out_ / "runs" / "l1.weight=0.1,seed=0" / "summary.json"));
  EXPECT_TRUE(fs::is_empty(out_ / "failures"));
  ASSERT_EQ(study(out_).exit_code, 0);
  EXPECT_EQ(read_file(out_ / "results.csv"), read_file(whole / "results.csv"));
}

TEST_F(StudyCommand, ShardsTogetherMakeTheWhole) {
  const fs::path whole = scratch_ / "whole";
  ASSERT_EQ(study(whole).exit_code, 0);
  const Ended first = study(out_, {"--shard", "1/2"});
  EXPECT_EQ(first.exit_code, 0) << first.err;
  expect_words(first.err, {"2 runs, 0 of them done"});
  expect_words(first.out, {"2 of 4 runs are not done yet"});
  ASSERT_EQ(study(out_, {"--shard", "2/2"}).exit_code, 0);
  EXPECT_EQ(read_file(out_ / "results.csv"), read_file(whole / "results.csv"));
}

TEST_F(StudyCommand, AFailingRunIsRecordedAndTheRestGoOn) {
  replace("[0.1, 0.3]", "[0.1, 1e38, 0.3]");
  replace("seeds = 2", "seeds = 1");
  replace("[model]", "[model]\nunit_norm = false");
  const Ended ended = study(out_);
  EXPECT_EQ(ended.exit_code, 1) << ended.err;
  expect_words(ended.err, {"FAILED    l1.weight=1e+38,seed=0", "done      l1.weight=0.3,seed=0"});
  expect_words(ended.out, {"failed: l1.weight=1e+38,seed=0", "finite"});
  const auto results = json::parse(read_file(out_ / "results.json"));
  EXPECT_EQ(results["runs"][1]["status"], "failed");
  EXPECT_NE(std::string(results["runs"][1]["error"]).find("finite"), std::string::npos);
  EXPECT_EQ(results["runs"][2]["status"], "done");
  // It is tried again, and fails again; the others are not.
  const Ended again = study(out_);
  EXPECT_EQ(again.exit_code, 1);
  expect_words(again.err, {"3 runs, 2 of them done already"});
}

TEST_F(StudyCommand, APluginThatCrashesTakesOnlyItsRunAlong) {
  replace("seeds = 2", "seeds = 1");
  replace("[[axis]]\nkey = \"loss.l1.weight\"\nvalues = [0.1, 0.3]",
          "[[loss]]\nplugin = \"misbehaves\"\nweight = 0.001\nhow = \"good\"\n[[axis]]\nkey = "
          "\"loss.misbehaves.how\"\nvalues = [\"value.crashes\", \"nothing\"]");
  const std::string folder = std::string(REGULON_BUILD_DIR) + "/tests/bad_plugins/misbehaves";
  const Ended ended = study(out_, {"--plugin-path", folder});
  EXPECT_EQ(ended.exit_code, 1) << ended.err;
  expect_words(ended.out, {"failed: misbehaves.how=value.crashes,seed=0", "ended by signal 6"});
  EXPECT_TRUE(fs::exists(out_ / "runs" / "misbehaves.how=nothing,seed=0" / "summary.json")) << ended.err;
}

TEST_F(StudyCommand, DryRunTrainsNothing) {
  const Ended ended = study(out_, {"--dry-run"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  expect_words(ended.out, {"2 points, 4 runs", "to do    l1.weight=0.3,seed=1", "about", "of disk",
                           "from 20 steps of 2 points, trained just now"});
  EXPECT_FALSE(fs::exists(out_));
  ASSERT_EQ(study(out_).exit_code, 0);
  expect_words(study(out_, {"--dry-run"}).out, {"done     l1.weight=0.3,seed=1", "nothing is left to do"});
  expect_words(study(out_, {"--dry-run", "--set", "study.seeds=3"}).out,
               {"to do    l1.weight=0.3,seed=2", "from the runs of 2 points that are done"});
}

TEST_F(StudyCommand, IsNoRun) {
  ASSERT_EQ(study(out_).exit_code, 0);
  const Ended ended = run_program({"eval", out_.string()});
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {"is a study, not a run", "runs"});
}

TEST_F(StudyCommand, TheCommandLineGoesAboveTheStudysOwnSettings) {
  replace("[study]", "[study]\nset = [\"run.steps=40\"]");
  ASSERT_EQ(study(out_, {"--set", "run.steps=20"}).exit_code, 0);
  const auto config = nlohmann::json::parse(read_file(out_ / "configs" / "l1.weight=0.1,seed=0.json"));
  EXPECT_EQ(config.at("run").at("steps"), 20);
}

TEST_F(StudyCommand, OtherFoldersAreRefused) {
  ASSERT_EQ(study(out_).exit_code, 0);
  const auto refuses = [&](const fs::path& out, const std::vector<std::string>& more,
                           const std::vector<std::string>& words) {
    const Ended ended = study(out, more);
    EXPECT_EQ(ended.exit_code, 2) << ended.err;
    expect_words(ended.err, words);
  };
  refuses(out_, {"--set", "study.name=other"}, {"holds another study", "the study 'small'", "--out"});
  refuses(out_, {"--set", "optimiser.learning_rate=0.001"},
          {"holds another run of the name l1.weight=0.1,seed=0",
           "config.optimiser.learning_rate: 0.003 there", "--redo"});
  refuses(out_, {"--set", "study.seeds=[7]"}, {"holds another study"});
  refuses(scratch_.path(), {}, {"holds no study", "--out"});
  refuses(file_, {}, {"cannot be a study's folder"});
  refuses(file_ / "x", {}, {"small.toml"});
  refuses(out_, {"--shard", "3/2"}, {"--shard", "I/N", "3/2"});
  refuses(out_, {"--jobs", "0"}, {"jobs"});
}

TEST_F(StudyCommand, ChangedRunsAreTrainedAgainWhenAsked) {
  replace("seeds = 2", "seeds = 1");
  ASSERT_EQ(study(out_).exit_code, 0);
  const Ended ended = study(out_, {"--set", "optimiser.learning_rate=0.001", "--redo"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(count(ended.err, "starts"), 2U);
  const auto manifest = json::parse(read_file(out_ / "runs" / "l1.weight=0.1,seed=0" / "manifest.json"));
  EXPECT_EQ(manifest["config"]["optimiser"]["learning_rate"], 0.001);
}

TEST_F(StudyCommand, TablesDoNotMixOldRunsWithNewOnes) {
  ASSERT_EQ(study(out_).exit_code, 0);
  const Ended half = study(out_, {"--set", "optimiser.learning_rate=0.001", "--redo", "--shard", "1/2"});
  EXPECT_EQ(half.exit_code, 0) << half.err;
  expect_words(half.out, {"2 of 4 runs are left out"});
  const auto results = json::parse(read_file(out_ / "results.json"));
  std::vector<std::string> states;
  for (const auto& run : results["runs"]) states.push_back(run["status"]);
  EXPECT_EQ(states, (std::vector<std::string>{"done", "changed", "done", "changed"}));
  EXPECT_EQ(results["points"][0]["measures"]["fvu"]["n"], 2);
  EXPECT_TRUE(results["points"][1]["measures"].empty());
}

TEST_F(StudyCommand, ARunThatIsHeldIsNotRemoved) {
  replace("seeds = 2", "seeds = 1");
  ASSERT_EQ(study(out_).exit_code, 0);
  const std::string name = "l1.weight=0.1,seed=0";
  const std::string before = read_file(manifest_of(name));
  const auto held = core::FileLock::take(out_ / "runs" / name / ".lock");
  const Ended ended = study(out_, {"--set", "optimiser.learning_rate=0.001", "--redo"});
  EXPECT_EQ(ended.exit_code, 1) << ended.err;
  expect_words(ended.err, {"FAILED    " + name, "done      l1.weight=0.3,seed=0"});
  expect_words(ended.out, {"is in use by another process"});
  EXPECT_EQ(read_file(manifest_of(name)), before);
  EXPECT_TRUE(fs::exists(out_ / "runs" / name / "summary.json"));
}

TEST_F(StudyCommand, AnInterruptedDryRunLeavesNothing) {
  const fs::path temporary = scratch_ / "tmp";
  fs::create_directories(temporary);
  Program program(arguments(out_, {"--dry-run"}), {"env", "TMPDIR=" + temporary.string()});
  ASSERT_TRUE(eventually([&] { return !fs::is_empty(temporary); }));
  program.send(SIGINT);
  EXPECT_EQ(program.wait().exit_code, 130);
  EXPECT_TRUE(fs::is_empty(temporary));
}

TEST_F(StudyCommand, AFolderInUseIsRefused) {
  Program program(arguments(out_, {"--set", "run.steps=1000000"}));
  ASSERT_TRUE(program.wait_for_err("starts"));
  const Ended second = study(out_, {"--set", "run.steps=1000000"});
  EXPECT_EQ(second.exit_code, 2);
  expect_words(second.err, {"is in use by another process", out_.string()});
}

TEST_F(StudyCommand, KeysAreListedFromTheirDeclarations) {
  expect_words(run_program({"plugins", "study"}).out, {"leave_one_out", "grid, one_at_a_time", "seeds"});
  expect_words(run_program({"plugins", "axis"}).out, {"key", "values", "labels"});
  expect_words(run_program({"plugins", "axis.point"}).out, {"set", "unset"});
}

TEST_F(StudyCommand, ARunsConfigTrainsByHand) {
  replace("seeds = 2", "seeds = 1");
  ASSERT_EQ(study(out_).exit_code, 0);
  const Ended ended = run_program({"train", (out_ / "configs" / "l1.weight=0.3,seed=0.json").string(),
                                   "--out", (scratch_ / "hand").string()});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(read_file(scratch_ / "hand" / "weights.safetensors"),
            read_file(out_ / "runs" / "l1.weight=0.3,seed=0" / "weights.safetensors"));
}

}  // namespace
}  // namespace regulon::tests
