/// Reports and event files as `regulon train`, `study` and `report` write them.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/io/event_file.h"
#include "core/io/safetensors.h"
#include "core/report/words.h"
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

/// On files, which are the same for every seed.
constexpr char kReportedFiles[] = R"(
[study]
name = "alike"
seeds = 3
set = ["data.source=files", "data.files=[\"rows.safetensors\"]", "model.features=8"]
[[axis]]
key = "loss.l1.weight"
values = [0.1, 0.3]
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
               {"compared", "Reconstruction against sparsity", "4 of 4", "Learnt features", "0.3, seed 0",
                "Active features a row (L0) by step", "Loss term l1 by step",
                "2 pairs of seeds are not compared", "draws data of its own"});
  for (const auto& entry : fs::directory_iterator(run_ / "runs"))
    EXPECT_FALSE(fs::exists(entry.path() / "report.html"));
  fs::remove(report_);
  EXPECT_EQ(run_program({"report", run_.string()}).exit_code, 0);
  EXPECT_TRUE(fs::exists(report_));
}

TEST_F(Reporting, ShowsTokensByTheirNames) {
  at::manual_seed(0);
  core::write_safetensors(scratch_ / "rows.safetensors",
                          {{"activations", at::rand({400, 16})}, {"token_ids", at::arange(400, at::kInt)}});
  std::string words;
  for (int i = 0; i < 400; ++i) words += "word<" + std::to_string(i) + ">\n";
  write_file(scratch_ / "vocab.txt", words);
  const std::vector<std::string> data = {"--set", "data.source=files", "--set",
                                         "data.files=[\"rows.safetensors\"]"};
  ASSERT_EQ(train(data).exit_code, 0);
  expect_words(read_file(report_),
               {"Most frequent features", "token 38", "--vocab FILE", "Rows by their loss"});
  const Ended named = run_program({"report", run_.string(), "--vocab", (scratch_ / "vocab.txt").string()});
  ASSERT_EQ(named.exit_code, 0) << named.err;
  expect_words(read_file(report_), {"word&lt;38"});
  EXPECT_EQ(read_file(report_).find("token 38"), std::string::npos);
  std::vector<std::string> again = data;
  again.insert(again.end(), {"--resume", "--vocab", (scratch_ / "vocab.txt").string()});
  fs::remove(report_);
  ASSERT_EQ(train(again).exit_code, 0);
  expect_words(read_file(report_), {"word&lt;38"});
}

TEST_F(Reporting, AVocabularyWithoutTokensIsRefused) {
  ASSERT_EQ(train({"--no-report"}).exit_code, 0);
  const auto refused = [&](const fs::path& folder, const fs::path& words, const char* why) {
    const Ended ended = run_program({"report", folder.string(), "--vocab", words.string()});
    EXPECT_EQ(ended.exit_code, 2) << why;
    expect_words(ended.err, {why});
    EXPECT_FALSE(fs::exists(folder / "report.html"));
  };
  refused(run_, config_, "there are no token ids to look up");
  refused(run_, scratch_ / "nowhere", "cannot be read");
  write_file(scratch_ / "study" / "study.json", "{}");
  refused(scratch_ / "study", config_, "a study's report shows none");
  EXPECT_EQ(train({"--vocab", (scratch_ / "nowhere").string()}).exit_code, 2);
}

TEST_F(Reporting, SeedsOnTheSameDataAreCompared) {
  at::manual_seed(0);
  core::write_safetensors(scratch_ / "rows.safetensors", {{"activations", at::rand({400, 16})}});
  write_file(config_, std::string(kReportedFiles) + kReported);
  const Ended ended = run_program({"study", config_.string(), "--out", run_.string(), "--jobs", "2"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  expect_words(read_file(report_),
               {"How alike the seeds&apos; dictionaries are", "all pairs of seeds are compared"});
  // The same as compare says of two of the runs.
  std::vector<fs::path> runs;
  for (const char* seed : {"0", "1"}) {
    for (const auto& entry : fs::directory_iterator(run_ / "runs")) {
      const std::string name = entry.path().filename().string();
      if (name.find("0.1") != std::string::npos && name.ends_with(std::string("seed=") + seed))
        runs.push_back(entry.path());
    }
  }
  ASSERT_EQ(runs.size(), 2U);
  const Ended compared = run_program({"compare", runs[0].string(), runs[1].string(), "--json"});
  ASSERT_EQ(compared.exit_code, 0) << compared.err;
  const auto alive = nlohmann::json::parse(compared.out).at("alive");
  const double mmcs = (alive.at("a").at("mmcs").get<double>() + alive.at("b").at("mmcs").get<double>()) / 2;
  expect_words(read_file(report_), {core::report::number_text(alive.at("mcc").get<double>()) + "</td>",
                                    core::report::number_text(mmcs) + "</td>"});
}

TEST_F(Reporting, DamagedFoldersAreRefusedWithOneMessage) {
  ASSERT_EQ(train().exit_code, 0);
  const std::string before = read_file(report_);
  const auto refused = [&](const fs::path& folder, const std::vector<std::string>& words) {
    const Ended ended = run_program({"report", folder.string()});
    EXPECT_EQ(ended.exit_code, 2) << words.front();
    EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
    EXPECT_EQ(ended.err.find("json.exception"), std::string::npos) << ended.err;
    expect_words(ended.err, words);
  };
  write_file(run_ / "metrics.jsonl", "{\"step\": 10}\nnonsense\n{\"step\": 30}\n");
  refused(run_, {"metrics.jsonl:2", "is damaged", "no JSON"});
  write_file(run_ / "summary.json", "{\"held_out\": {\"fvu\": \"good\"}}");
  refused(run_, {"summary.json", "is damaged", "held_out.fvu", "--resume"});
  EXPECT_EQ(read_file(report_), before);  // an old report stays, and is not written anew

  const fs::path study = scratch_ / "study";
  write_file(config_, std::string(kReportedAxis) + kReported);
  ASSERT_EQ(run_program({"study", config_.string(), "--out", study.string()}).exit_code, 0);
  fs::rename(study / "runs", scratch_ / "away");
  fs::create_directories(study / "runs");
  refused(study, {"summary.json", "is not there", "regulon study"});
  fs::remove(study / "runs");
  fs::rename(scratch_ / "away", study / "runs");
  const std::string results = read_file(study / "results.json");
  write_file(study / "results.json", "{\"study\": [}");
  refused(study, {"results.json", "is damaged", "regulon study"});
  write_file(study / "results.json", results);
  write_file(study / "study.json", "{");
  refused(study, {"study.json", "is damaged"});
}

TEST_F(Reporting, WhatIsNoRunIsRefused) {
  const Ended ended = run_program({"report", (scratch_ / "nothing").string()});
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {"nothing", "holds nothing to report on", "regulon train"});
}

}  // namespace
}  // namespace regulon::tests
