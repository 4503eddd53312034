/// Kill it at any instant: a resumed run ends in the same bits as one that was never killed.

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/unit/support/expect_words.h"
#include "tests/unit/support/program.h"

namespace regulon::tests {
namespace {

namespace fs = std::filesystem;

/// Everything that has state in a run: schedules, a feature cost, Adam, terms that run now and then, a learnt
/// threshold.
constexpr char kResumedConfig[] = R"(
[run]
name = "killed"
seed = 5
steps = 400
report_every = 7
checkpoint_every = 25
[data]
source = "toy.pairs"
batch = 128
normalise = "scale"
[model]
features = 24
[optimiser]
learning_rate = 3e-3
warm_up = 20
decay = 0.3
clip = 1.0
[encoder]
plugin = "linear"
activation = "batch_topk"
k = 3
[cost]
plugin = "log_rarity"
[[loss]]
plugin = "mse"
[[loss]]
plugin = "l1"
weight = { from = 0.0, to = 0.05, over = 100 }
[[loss]]
plugin = "orthogonality"
weight = 0.1
every = 3
[[loss]]
plugin = "coherence_cap"
projection = true
mu = 0.6
every = 20
)";

std::vector<std::string> train_arguments(const fs::path& config, const fs::path& out) {
  return {"train", config.string(), "--out", out.string(), "--resume"};
}

/// The metrics without what depends on the clock.
std::string metrics_of(const fs::path& run) {
  std::istringstream stream(read_file(run / "metrics.jsonl"));
  std::string kept;
  for (std::string line; std::getline(stream, line);) {
    auto parsed = nlohmann::json::parse(line);
    parsed.erase("seconds");
    parsed.erase("rows_per_second");
    kept += parsed.dump() + "\n";
  }
  return kept;
}

class Resume : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(config_, kResumedConfig);
    const Ended whole = run_program(train_arguments(config_, whole_));
    ASSERT_EQ(whole.exit_code, 0) << whole.err;
  }
  void expect_same(const fs::path& run) const {
    EXPECT_EQ(read_file(run / "weights.safetensors"), read_file(whole_ / "weights.safetensors"));
    EXPECT_EQ(metrics_of(run), metrics_of(whole_));
  }
  ScratchFolder scratch_;
  fs::path config_ = scratch_ / "killed.toml";
  fs::path whole_ = scratch_ / "whole";
};

TEST_F(Resume, TwentyKillsEndInTheSameBits) {
  const fs::path run = scratch_ / "killed";
  std::mt19937 random(20);
  int killed = 0;
  for (int attempt = 0; killed < 20 && attempt < 60; ++attempt) {
    Program program(train_arguments(config_, run));
    const auto moment = std::chrono::milliseconds(std::uniform_int_distribution<>(100, 900)(random));
    std::this_thread::sleep_for(moment);
    program.send(SIGKILL);
    if (program.wait().signal == SIGKILL) {
      ++killed;
    } else {
      expect_same(run);  // it was through before the kill: begin again
      fs::remove_all(run);
    }
  }
  EXPECT_EQ(killed, 20);
  const Ended last = run_program(train_arguments(config_, run));
  ASSERT_EQ(last.exit_code, 0) << last.err;
  expect_same(run);
}

TEST_F(Resume, InterruptWritesACheckpointAndExits130) {
  const fs::path run = scratch_ / "interrupted";
  Program program(train_arguments(config_, run));
  ASSERT_TRUE(program.wait_for_err("step 7/400"));
  program.send(SIGINT);
  const Ended ended = program.wait();
  EXPECT_EQ(ended.exit_code, 130);
  EXPECT_NE(ended.err.find("--resume"), std::string::npos) << ended.err;
  EXPECT_FALSE(fs::is_empty(run / "checkpoints"));
  ASSERT_EQ(run_program(train_arguments(config_, run)).exit_code, 0);
  expect_same(run);
}

TEST_F(Resume, ADamagedCheckpointIsNamedWithWhatIsThereWithoutIt) {
  const fs::path run = scratch_ / "damaged";
  fs::copy(whole_, run, fs::copy_options::recursive);
  fs::remove(run / "summary.json");
  std::vector<fs::path> kept;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints")) kept.push_back(entry.path());
  std::sort(kept.begin(), kept.end());
  ASSERT_EQ(kept.size(), 2U);
  fs::resize_file(kept[1], fs::file_size(kept[1]) / 2);
  const std::string older = std::to_string(std::stoi(kept[0].stem().string()));
  const Ended refused = run_program(train_arguments(config_, run));
  EXPECT_EQ(refused.exit_code, 2);
  expect_words(refused.err, {kept[1].string(), "without that file the run goes on from step " + older});

  fs::remove(kept[1]);
  ASSERT_EQ(run_program(train_arguments(config_, run)).exit_code, 0);
  expect_same(run);
  fs::remove(run / "summary.json");
  for (const auto& entry : fs::directory_iterator(run / "checkpoints"))
    if (entry.path() != kept[1]) fs::remove(entry.path());
  fs::resize_file(kept[1], 3);
  const Ended only = run_program(train_arguments(config_, run));
  EXPECT_EQ(only.exit_code, 2);
  expect_words(only.err, {kept[1].string(), "without that file the run begins anew"});
}

TEST_F(Resume, KilledBetweenTheLastCheckpointAndTheSummary) {
  const auto last_of = [](const fs::path& run) {
    auto last = nlohmann::json::parse(read_file(run / "summary.json"))["last"];
    last.erase("seconds");
    last.erase("rows_per_second");
    return last;
  };
  const auto before = last_of(whole_);
  fs::remove(whole_ / "summary.json");
  fs::remove(whole_ / "weights.safetensors");
  ASSERT_EQ(run_program(train_arguments(config_, whole_)).exit_code, 0);
  EXPECT_EQ(last_of(whole_), before);
  EXPECT_EQ(before["step"], 400);
}

TEST_F(Resume, SameSeedTwiceIsTheSameBits) {
  const fs::path run = scratch_ / "again";
  ASSERT_EQ(run_program(train_arguments(config_, run)).exit_code, 0);
  expect_same(run);
}

TEST_F(Resume, AnotherConfigIsRefusedAndNamed) {
  auto arguments = train_arguments(config_, whole_);
  arguments.insert(arguments.end(), {"--set", "run.steps=500", "--set", "optimiser.clip=2.0"});
  const Ended ended = run_program(arguments);
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_NE(ended.err.find("config.run.steps: 400 there, 500 here"), std::string::npos) << ended.err;
  EXPECT_NE(ended.err.find("config.optimiser.clip"), std::string::npos) << ended.err;
}

TEST_F(Resume, AFinishedRunIsNotTrainedAgain) {
  const auto before = fs::last_write_time(whole_ / "weights.safetensors");
  const Ended ended = run_program(train_arguments(config_, whole_));
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(fs::last_write_time(whole_ / "weights.safetensors"), before);
}

}  // namespace
}  // namespace regulon::tests
