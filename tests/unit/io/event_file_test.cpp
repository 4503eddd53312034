/// Event files against bytes that TensorBoard's own library wrote (tests/golden/event_files.py).

#include "core/io/event_file.h"

#include <gtest/gtest.h>
#include <regulon/error.h>

#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/program.h"

namespace regulon::core::testing {
namespace {

using regulon::tests::expect_error;
using regulon::tests::read_file;
using regulon::tests::ScratchFolder;

TEST(EventFile, ChecksumIsTheOneOfTheStandard) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);  // RFC 3720, and every table of CRCs
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(""), 0U);
}

TEST(EventFile, RecordsAreThoseOfTensorBoardsLibrary) {
  const std::string ours =
      tf_record(version_event(1700000000.25)) + tf_record(start_event(1700000000.25, 201)) +
      tf_record(scalar_event(1700000001.5, 300, {{"loss", 0.1}, {"terms/l1 ü/value", -2e30}})) +
      tf_record(scalar_event(1700000002.0, std::int64_t{1} << 40, {{std::string(300, 't'), 0.0}}));
  EXPECT_EQ(ours, read_file(std::string(REGULON_SOURCE_DIR) + "/tests/golden/events.tfevents"));
}

TEST(EventFile, IsMadeByTheFirstFiguresAndAppendedTo) {
  const ScratchFolder scratch;
  EventFile events(scratch.path(), 100);
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
  events.append(200, {{"loss", 1}});
  events.append(300, {{"loss", 2}});
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path())) files.push_back(entry.path());
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(files[0].filename().string().rfind(kEventFile, 0), 0U);
  const std::string held = read_file(files[0]);
  const std::string start = start_event(0, 101).substr(9);  // after the time
  const std::size_t at = held.find(start);
  EXPECT_NE(at, std::string::npos);
  EXPECT_LT(at, held.find(scalar_event(0, 200, {{"loss", 1}}).substr(9)));
  EXPECT_LT(held.find(scalar_event(0, 200, {{"loss", 1}}).substr(9)),
            held.find(scalar_event(0, 300, {{"loss", 2}}).substr(9)));
}

TEST(EventFile, AFolderThatIsGoneIsAnError) {
  EventFile events("/nowhere/at/all", 0);
  expect_error<RunError>([&] { events.append(1, {{"loss", 1}}); }, {"/nowhere/at/all", "cannot be written"});
}

}  // namespace
}  // namespace regulon::core::testing
