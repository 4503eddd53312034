#include "core/io/run_folder.h"

#include <gtest/gtest.h>
#include <regulon/error.h>

#include "core/io/event_file.h"
#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/program.h"

namespace regulon::core {
namespace {

using regulon::tests::expect_error;
using regulon::tests::read_file;
using regulon::tests::ScratchFolder;
using regulon::tests::write_file;

nlohmann::json manifest_of_steps(int steps) {
  return {{"config", {{"run", {{"steps", steps}}}}}, {"versions", {{"regulon", "0"}}}};
}

class RunFolders : public ::testing::Test {
 protected:
  /// What a process leaves that reported and was killed, and another that went on from the start and was
  /// killed before its first report.
  void leave_events() const {
    RunFolder left(run_, manifest_of_steps(7), false);
    EventFile(run_, 0).append(1, {{"fvu", 0.5}});
    left.append_metrics({{"step", 1}});
    left.cut_metrics(0);
  }
  ScratchFolder scratch_;
  std::filesystem::path run_ = scratch_ / "run";
};

TEST_F(RunFolders, EventsAloneAreNoRunThatAnotherHasToSpare) {
  leave_events();
  EXPECT_NO_THROW(RunFolder(run_, manifest_of_steps(8), false));
  EXPECT_EQ(nlohmann::json::parse(read_file(run_ / "manifest.json")), manifest_of_steps(8));
}

TEST_F(RunFolders, EventsBesideMetricsAreOfARun) {
  leave_events();
  write_file(run_ / "metrics.jsonl", "{\"step\": 1}\n");
  expect_error<InputError>([&] { RunFolder(run_, manifest_of_steps(8), false); }, {"exists already"});
}

TEST_F(RunFolders, EventsOfAnotherProgramAreLeftAlone) {
  EventFile(scratch_.path(), 0).append(1, {{"loss", 0.5}});
  expect_error<InputError>([&] { RunFolder(scratch_.path(), manifest_of_steps(8), false); },
                           {"exists already"});
  write_file(scratch_ / "metrics.jsonl", "");
  expect_error<InputError>([&] { RunFolder(scratch_.path(), manifest_of_steps(8), false); },
                           {"exists already"});
}

}  // namespace
}  // namespace regulon::core
