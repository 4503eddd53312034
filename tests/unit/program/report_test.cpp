/// Reports and event files as `regulon train`, `study` and `report` write them.

#include <gtest/gtest.h>

#include "core/io/event_file.h"
#include "tests/unit/support/expect_words.h"
#include "tests/unit/support/program.h"

namespace regulon::tests {
namespace {

namespace fs = std::filesystem;

constexpr char kReported[] = R"(
[run]
name = "reported"
steps = 40
report_every = 10
[data]
source = "toy.pairs"
batch = 64
[model]
features = 16
[encoder]
plugin = "linear"
[[loss]]
plugin = "mse"
[[loss]]
plugin = "l1"
weight = 0.1
)";

constexpr char kReportedAxis[] = R"(
[study]
name = "compared"
seeds = 2
[[axis]]
key = "loss.l1.weight"
values = [0.1, 0.3]
)";

class Reporting : public ::testing::Test {
 protected:
  void SetUp() override { write_file(config_, kReported); }
  Ended train(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"train", config_.string(), "--out", run_.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }
  ScratchFolder scratch_;
  fs::path config_ = scratch_ / "reported.toml";
  fs::path run_ = scratch_ / "run";
  fs::path report_ = run_ / "report.html";
};

TEST_F(Reporting, ARunIsReportedAtItsEnd) {
  const Ended ended = train();
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  expect_words(ended.out, {"report: ", report_.string()});
  // What is measured in the run and what is measured again make the same page.
  const std::string at_end = read_file(report_);
  expect_words(at_end, {"Learnt against true features", "How often features fire", "Loss terms"});
  const Ended again = run_program({"report", run_.string(), "--out", (scratch_ / "again.html").string()});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(read_file(scratch_ / "again.html"), at_end);
}

TEST_F(Reporting, ARunLeavesEventsForTensorBoard) {
  ASSERT_EQ(train({"--no-report"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(report_));
  std::string events;
  for (const auto& entry : fs::directory_iterator(run_)) {
    if (entry.path().filename().string().rfind(core::kEventFile, 0) == 0) events += read_file(entry.path());
  }
  expect_words(events, {"brain.Event:2", "fvu", "dead_share", "terms/mse/value", "terms/l1/weighted"});
}

TEST_F(Reporting, AReportThatFailsLeavesTheRun) {
  const fs::path config = scratch_ / "long.toml";
  write_file(config, kReported);
  ASSERT_EQ(train({"--no-report"}).exit_code, 0);
  fs::create_directories(report_ / "in the way");
  const Ended ended = train({"--resume"});  // done already: only the report is written
  EXPECT_EQ(ended.exit_code, 1);
  expect_words(ended.err, {"report.html", "Only the report is missing", "regulon report"});
  EXPECT_TRUE(fs::exists(run_ / "summary.json"));
}

TEST_F(Reporting, AStudyIsReportedAndItsRunsAreNot) {
  write_file(config_, std::string(kReportedAxis) + kReported);
  const Ended ended = run_program({"study", config_.string(), "--out", run_.string(), "--jobs", "2"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  expect_words(read_file(report_),
               {"compared", "Reconstruction against sparsity", "4 of 4", "Learnt features", "0.3, seed 0"});
  for (const auto& entry : fs::directory_iterator(run_ / "runs"))
    EXPECT_FALSE(fs::exists(entry.path() / "report.html"));
  fs::remove(report_);
  EXPECT_EQ(run_program({"report", run_.string()}).exit_code, 0);
  EXPECT_TRUE(fs::exists(report_));
}

TEST_F(Reporting, WhatIsNoRunIsRefused) {
  const Ended ended = run_program({"report", (scratch_ / "nothing").string()});
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {"nothing", "holds nothing to report on", "regulon train"});
}

}  // namespace
}  // namespace regulon::tests
