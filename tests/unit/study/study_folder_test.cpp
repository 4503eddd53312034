/// Who may work in a study's folder, and what may lie in it; runs as processes.

#include "core/study/study_folder.h"

#include <gtest/gtest.h>

#include <csignal>
#include <initializer_list>

#include "core/study/child.h"
#include "core/study/run_study.h"
#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/program.h"

namespace regulon::core::testing {
namespace {

using regulon::tests::expect_error;
using regulon::tests::read_file;
using regulon::tests::ScratchFolder;
using regulon::tests::write_file;

TEST(Shards, AreReadAndDivideTheRuns) {
  const Shard shard = parse_shard("2/3");
  EXPECT_EQ(shard.index, 2);
  EXPECT_EQ(shard.of, 3);
  for (std::size_t run = 0; run < 20; ++run) {
    int owners = 0;
    for (const char* text : {"1/3", "2/3", "3/3"}) owners += parse_shard(text).has(run) ? 1 : 0;
    EXPECT_EQ(owners, 1) << run;
  }
  for (const char* bad : {"", "1", "0/2", "3/2", "1/0", "-1/2", "1/2x", "a/b", "1/", "/2", "1.5/2"}) {
    expect_error<InputError>([&] { parse_shard(bad); }, {"--shard", "I/N", bad});
  }
}

/// Runs of an empty config.
Plan plan_of_runs(std::initializer_list<std::string> names) {
  Plan plan;
  plan.points = {{"base", {}}};
  for (const std::string& name : names) plan.runs.push_back({name, 0, 0, {}});
  return plan;
}

TEST(StudyLocks, AStudyIsAloneAndShardsShare) {
  const ScratchFolder scratch;
  const Plan plan = plan_of_runs({"a", "b"});
  const StudyPaths paths{scratch / "study"};
  {
    const StudyLock whole(paths, {}, plan);
    expect_error<InputError>([&] { StudyLock again(paths, {}, plan); },
                             {"in use by another process", "--out"});
    expect_error<InputError>([&] { StudyLock shard(paths, {1, 2}, plan); }, {"in use by another process"});
  }
  const StudyLock first(paths, {1, 2}, plan);
  const StudyLock second(paths, {2, 2}, plan);
  expect_error<InputError>(
      [&] {
        StudyLock again(paths, {2, 2}, plan);
      },
      {"in use by another process", "shard"});
  expect_error<InputError>([&] { StudyLock whole(paths, {}, plan); }, {"in use by another process"});
}

TEST(StudyLocks, ShardsThatDivideOtherwiseAreRefused) {
  const ScratchFolder scratch;
  const StudyPaths paths{scratch / "study"};
  const Plan plan = plan_of_runs({"a", "b"});
  {
    const StudyLock first(paths, {1, 2}, plan);
    expect_error<InputError>(
        [&] {
          StudyLock other(paths, {2, 3}, plan);
        },
        {"in use by other shards", "a shard of 2", "one of 3"});
    expect_error<InputError>(
        [&] {
          StudyLock other(paths, {2, 2}, plan_of_runs({"b", "a"}));
        },
        {"in use by other shards", "the same study file", "other runs"});
    const StudyLock second(paths, {2, 2}, plan);
  }
  // Nobody is there any more: it may be divided anew.
  const StudyLock other(paths, {2, 3}, plan_of_runs({"c"}));
}

TEST(StudyFolders, AKillWhileItIsClaimedLeavesAFolderToGoOnWith) {
  const ScratchFolder scratch;
  const StudyPaths paths{scratch.path()};
  const Plan plan = plan_of_runs({"a", "b"});
  Study study;
  study.name = "s";
  write_file(scratch / "configs", "in the way: the claim ends here as a kill would end it");
  EXPECT_THROW(claim_study_folder(paths, study, plan), RunError);
  std::filesystem::remove(scratch / "configs");
  EXPECT_NO_THROW(check_study_folder(paths, study, plan, false));
  claim_study_folder(paths, study, plan);
  EXPECT_FALSE(read_file(paths.config("b")).empty());
}

TEST(StudyFolders, ADamagedDescriptionIsTold) {
  const ScratchFolder scratch;
  const StudyPaths paths{scratch.path()};
  const Plan plan = plan_of_runs({"a"});
  Study study;
  study.name = "s";
  for (const char* damaged : {"", "{\"study\": \"s\", \"ru", "[1]", "{\"study\": 3, \"runs\": {}}",
                              "{\"study\": \"s\", \"runs\": 3}", "{}"}) {
    write_file(paths.description(), damaged);
    expect_error<InputError>([&] { check_study_folder(paths, study, plan, false); },
                             {"study.json", "is damaged", "--out"});
  }
}

TEST(StudyFolders, RunsAreRemovedInOneStep) {
  const ScratchFolder scratch;
  const StudyPaths paths{scratch.path()};
  write_file(paths.run("a") / "manifest.json", "{}");
  write_file(paths.root / "runs" / ".old-a" / "weights", "left by a kill");
  remove_run(paths, "a");
  EXPECT_TRUE(std::filesystem::is_empty(paths.root / "runs"));
  // What a kill leaves goes when the next one begins; runs stay.
  write_file(paths.root / "runs" / ".old-b" / "weights", "left by a kill");
  write_file(paths.summary("c"), "{}");
  const StudyLock lock(paths, {}, plan_of_runs({"a"}));
  EXPECT_FALSE(std::filesystem::exists(paths.root / "runs" / ".old-b"));
  EXPECT_TRUE(std::filesystem::exists(paths.summary("c")));
}

TEST(Children, TellHowTheyEnded) {
  const ScratchFolder scratch;
  const auto shell = [&](const std::string& script) {
    return Command{"/bin/sh", {"-c", script}, scratch / "log", 3};
  };
  Child good(shell("echo threads $OMP_NUM_THREADS; echo oops >&2; exit 5"));
  ASSERT_TRUE(good.wait(60));
  EXPECT_EQ(good.exit_code(), 5);
  EXPECT_EQ(good.signal(), 0);
  EXPECT_EQ(read_file(scratch / "log"), "threads 3\noops\n");
  Child killed(shell("kill -9 $$"));
  ASSERT_TRUE(killed.wait(60));
  EXPECT_EQ(killed.exit_code(), -1);
  EXPECT_EQ(killed.signal(), 9);
  Child missing({"/nowhere/at/all", {}, scratch / "log", 1});
  ASSERT_TRUE(missing.wait(60));
  EXPECT_EQ(missing.exit_code(), 127);
  expect_error<RunError>(
      [&] {
        Child no_log({"/bin/sh", {}, scratch / "no" / "log", 1});
      },
      {"log", "cannot be written"});
}

TEST(Children, DoNotOutliveTheirOwner) {
  const ScratchFolder scratch;
  const std::string mark = scratch / "mark";
  {
    Child child({"/bin/sh", {"-c", "sleep 2; echo late > " + mark}, scratch / "log", 1});
    EXPECT_FALSE(child.wait(0.2));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));
  EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST(Children, EndAlsoWhereNobodyIsToldOfIt) {
  const ScratchFolder scratch;
  const auto before = std::signal(SIGCHLD, SIG_IGN);
  Child child({"/bin/sh", {"-c", "exit 0"}, scratch / "log", 1});
  const bool ended = child.wait(60);
  std::signal(SIGCHLD, before);
  ASSERT_TRUE(ended);
  EXPECT_EQ(child.exit_code(), -1);
  EXPECT_EQ(child.signal(), 0);
}

TEST(Failures, SayWhatTheLogSays) {
  const ScratchFolder scratch;
  const std::filesystem::path log = scratch / "log";
  write_file(log, "k=1  step 1/2  FVU 3\nk=1  step 2/2\nplugin x broke\nand more\n");
  EXPECT_EQ(failure_text(log, "k=1", 1, 0), "plugin x broke\nand more");
  EXPECT_EQ(failure_text(log, "k=1", -1, 11),
            "ended by signal 11 (Segmentation fault)\nplugin x broke\nand more");
  write_file(log, "");
  EXPECT_EQ(failure_text(log, "k=1", 3, 0), "ended with exit code 3 and without a word");
}

TEST(Progress, IsTheLastWholeLineOfTheMetrics) {
  const ScratchFolder scratch;
  PlannedRun run;
  EXPECT_EQ(active_run(run, scratch.path()).step, 0);
  write_file(scratch / "metrics.jsonl",
             "{\"step\": 5, \"fvu\": 0.5}\n{\"step\": 10, \"fvu\": 0.25}\n{\"step\": 1");
  EXPECT_EQ(active_run(run, scratch.path()).step, 10);
  EXPECT_EQ(active_run(run, scratch.path()).fvu, 0.25);
}

}  // namespace
}  // namespace regulon::core::testing
