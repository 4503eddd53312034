/// Files of torch.save: whole ones, damaged ones, and such as are made to do harm.

#include "core/interchange/torch_archive.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/interchange/pickle_check.h"
#include "tests/unit/interchange/raw_archives.h"
#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/program.h"

namespace regulon::tests {
namespace {

namespace fs = std::filesystem;

const std::string kFourFloats = float_bytes({1, 2, 3, 4});

class TorchArchive : public ::testing::Test {
 protected:
  core::NamedTensors read(const std::string& pickle) {
    write_archive(file_, pickle, kFourFloats);
    return core::read_torch_archive(file_);
  }
  void expect_refused(const std::string& pickle, const std::vector<std::string>& words) {
    expect_error<InputError>([&] { read(pickle); }, words);
  }
  ScratchFolder scratch_;
  fs::path file_ = scratch_ / "ae.pt";
};

TEST_F(TorchArchive, GivesBackWhatWasWritten) {
  const core::NamedTensors written = {{"matrix", at::arange(6, at::kFloat).reshape({2, 3}).t()},
                                      {"scalar", at::scalar_tensor(7, at::kInt)},
                                      {"longs", at::arange(3, at::kLong)},
                                      {"part", at::arange(100, at::kFloat).narrow(0, 10, 2)}};
  core::write_torch_archive(file_, written);
  const core::NamedTensors read = core::read_torch_archive(file_);
  ASSERT_EQ(read.size(), written.size());
  for (std::size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].first, written[i].first);
    EXPECT_EQ(read[i].second.scalar_type(), written[i].second.scalar_type());
    EXPECT_TRUE(read[i].second.equal(written[i].second)) << read[i].first;
  }
}

TEST_F(TorchArchive, HonoursOffsetsAndStrides) {
  const auto every_second = read(pickled_dict("w", pickled_tensor(4, 1, 2, 2)));
  ASSERT_EQ(every_second.size(), 1U);
  EXPECT_EQ(every_second[0].first, "w");
  EXPECT_TRUE(every_second[0].second.equal(at::tensor({2.0F, 4.0F})));
}

TEST_F(TorchArchive, TakesAStateDictWithItsVersions) {
  const std::string versions = "}" + pickled_text("_metadata") + "}" + pickled_text("version") + "K\x01ss";
  const auto read_back = read(
      "\x80\x02"
      "ccollections\nOrderedDict\n)R(" +
      pickled_text("w") + pickled_tensor(4, 0, 4, 1) + "u" + versions + "b.");
  ASSERT_EQ(read_back.size(), 1U);
  EXPECT_TRUE(read_back[0].second.equal(at::tensor({1.0F, 2.0F, 3.0F, 4.0F})));
  expect_refused("\x80\x02}" + pickled_text("w") + "b.", {"a dictionary of attributes"});
  expect_refused("\x80\x02}b.", {"fills what is no dictionary"});
}

TEST_F(TorchArchive, RefusesTensorsBeyondTheirBytes) {
  EXPECT_EQ(read(pickled_dict("w", pickled_tensor(4, 0, 4, 1)))[0].second.numel(), 4);
  const std::vector<std::string> words = {"ae.pt", "'w'", "beyond the bytes"};
  expect_refused(pickled_dict("w", pickled_tensor(4, 0, 5, 1)), words);
  expect_refused(pickled_dict("w", pickled_tensor(200, 0, 200, 1)), words);
  expect_refused(pickled_dict("w", pickled_tensor(200, 0, 4, 1)), words);
  expect_refused(pickled_dict("w", pickled_tensor(4, 3, 2, 1)), words);
  expect_refused(pickled_dict("w", pickled_tensor(4, 0, 2, 4)), words);
}

TEST_F(TorchArchive, RefusesNamesThatAreNoTensors) {
  const std::string call = "(" + pickled_text("touch /tmp/regulon-was-here") + "tR";
  expect_refused(pickled_dict("w", "cos\nsystem\n" + call),
                 {"not allowed", "os.system", "nothing of it was executed"});
  expect_refused(pickled_dict("w", "cbuiltins\neval\n" + call), {"builtins.eval"});
  expect_refused(pickled_dict("w", "ctorch._utils\n_rebuild_device_tensor_from_numpy\n" + call),
                 {"_rebuild_device_tensor_from_numpy"});
  // Names that LibTorch's own reader would take.
  expect_refused(pickled_dict("w", "ctorch.jit._pickle\nrestore_type_tag\n" + call), {"restore_type_tag"});
  EXPECT_FALSE(fs::exists("/tmp/regulon-was-here"));
}

TEST_F(TorchArchive, RefusesInstructionsThatMakeObjects) {
  const std::string arguments = "(" + pickled_text("x") + "t";
  for (const std::string code : {"\x81", "i", "o", "\x93", "\x82", "P", "\x8c"}) {
    expect_refused(pickled_dict("w", "ccollections\nOrderedDict\n" + arguments + code), {"instruction"});
  }
  expect_refused(pickled_dict("w", "ccollections\nOrderedDict\n" + arguments + "R"),
                 {"calls what is no call"});
}

TEST_F(TorchArchive, RefusesPicklesThatDoNotAddUp) {
  const std::string whole = pickled_dict("w", pickled_tensor(4, 0, 4, 1));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    SCOPED_TRACE(length);
    expect_error<InputError>([&] { core::checked_pickle(whole.substr(0, length), "ae.pt"); }, {"ae.pt"});
  }
  EXPECT_LT(core::checked_pickle(whole, "ae.pt").size(), whole.size())
      << "its OrderedDict is a plain one now";
  expect_refused("\x80\x02R.", {"takes what is not there"});
  expect_refused("\x80\x02\x85.", {"takes what is not there"});
  expect_refused("\x80\x02}r\xff\xff\xff\x7f.", {"remembers what is not there"});
  expect_refused("\x80\x02h\x05.", {"recalls what was not remembered"});
  expect_refused("\x80\x02}(" + pickled_text("w") + "u.", {"a key without a value"});
  expect_refused("\x80\x02" + pickled_text("w") + ".", {"holds something else"});
  expect_refused("\x80\x09}.", {"another version"});
}

TEST_F(TorchArchive, RefusesEntriesThatAreNoTensors) {
  expect_refused(pickled_dict("k", pickled_number(3)), {"an entry that is no tensor"});
}

TEST_F(TorchArchive, RefusesFilesThatAreNotWhole) {
  core::write_torch_archive(file_, {{"w", at::ones({64, 64})}});
  const std::string whole = read_file(file_);
  for (const std::size_t part : {std::size_t{0}, std::size_t{3}, whole.size() / 2, whole.size() - 10}) {
    SCOPED_TRACE(part);
    write_file(file_, whole.substr(0, part));
    expect_error<InputError>([&] { core::read_torch_archive(file_); },
                             {"ae.pt", "a whole file of torch.save"});
  }
  write_file(file_, "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.");
  expect_error<InputError>([&] { core::read_torch_archive(file_); }, {"before 1.6"});
}

}  // namespace
}  // namespace regulon::tests
