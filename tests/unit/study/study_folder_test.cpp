/// Who may work in a study's folder, and what may lie in it; runs as processes.

#include "core/study/study_folder.h"

#include <gtest/gtest.h>

#include "core/study/child.h"
#include "core/study/run_study.h"
#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/program.h"

namespace regulon::core::testing {
namespace {

using regulon::testing::expect_error;
using regulon::testing::read_file;
using regulon::testing::ScratchFolder;
using regulon::testing::write_file;

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

TEST(StudyLocks, AStudyIsAloneAndShardsShare) {
  const ScratchFolder scratch;
  const StudyPaths paths{scratch / "study"};
  {
    const StudyLock whole(paths, {});
    expect_error<InputError>([&] { StudyLock again(paths, {}); }, {"in use by another process", "--out"});
    expect_error<InputError>([&] { StudyLock shard(paths, {1, 2}); }, {"in use by another process"});
  }
  const StudyLock first(paths, {1, 2});
  const StudyLock second(paths, {2, 2});
  expect_error<InputError>([&] { StudyLock again(paths, {2, 2}); }, {"in use by another process", "shard"});
  expect_error<InputError>([&] { StudyLock whole(paths, {}); }, {"in use by another process"});
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
