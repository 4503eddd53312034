#include "core/io/safetensors.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/error.h>
#include <signal.h>
#include <sys/resource.h>

#include <limits>
#include <random>

#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/program.h"
#include "tests/unit/support/raw_files.h"

namespace regulon::core {
namespace {

using namespace regulon::tests;

/// A header of one tensor "a" with these JSON values.
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"a":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

class Safetensors : public ::testing::Test {
 protected:
  SafetensorsFile read(const std::string& bytes) {
    std::filesystem::remove(path_);  // some file systems sync a file that is emptied and rewritten
    write_file(path_, bytes);
    return SafetensorsFile(path_);
  }
  void refuses(const std::string& bytes, const std::vector<std::string>& parts) {
    expect_error<InputError>([&] { read(bytes); }, parts);
  }

  ScratchFolder folder_;
  std::filesystem::path path_ = folder_ / "a.safetensors";
};

TEST_F(Safetensors, ReadsAFileMadeByHand) {
  const std::string header =
      R"({"__metadata__":{"about":"by hand"},"h":{"dtype":"F16","shape":[3],"data_offsets":[16,22]},)"
      R"("f":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[22,24]},)"
      R"("none":{"dtype":"I64","shape":[0,5],"data_offsets":[24,24]}}  )";
  const std::string data = float_bytes({1, -2, 0.5f, 3}) + word_bytes({0x3c00, 0xc000, 0x3800, 0x4040});
  const SafetensorsFile file = read(safetensors_bytes(header, data));
  EXPECT_EQ(file.metadata().at("about"), "by hand");
  ASSERT_EQ(file.entries().size(), 4u);
  EXPECT_EQ(file.entries()[0].name, "f");  // in the order of the bytes
  EXPECT_TRUE(file.tensor("f").equal(at::tensor({1.0f, -2.0f, 0.5f, 3.0f}).view({2, 2})));
  EXPECT_TRUE(file.tensor("h").equal(at::tensor({1.0f, -2.0f, 0.5f}).to(at::kHalf)));
  EXPECT_TRUE(file.tensor("b").equal(at::tensor({3.0f}).to(at::kBFloat16)));
  EXPECT_EQ(file.tensor("none").sizes(), at::IntArrayRef({0, 5}));
  EXPECT_EQ(layout_text(*file.find("h")), "F16 [3]");
}

TEST_F(Safetensors, CopiesOnlyWhereTheAddressDoesNotFit) {
  // The header of 8 + n bytes puts the data on a multiple of 4, or one byte beside it.
  for (const std::size_t shift : {0u, 1u}) {
    std::string header = one(R"("F32")", "[1]", "[0,4]");
    while ((8 + header.size()) % 4 != shift) header += ' ';
    const SafetensorsFile file = read(safetensors_bytes(header, float_bytes({7.5f})));
    const at::Tensor tensor = file.tensor("a");
    const auto* const place = file.file()->data() + file.entries()[0].offset;
    EXPECT_EQ(static_cast<const void*>(place) == tensor.const_data_ptr(), shift == 0);
    EXPECT_EQ(tensor.item<float>(), 7.5f);
  }
}

TEST_F(Safetensors, ATensorOutlivesItsFileObject) {
  write_file(path_, matrix_file("a", 1, 2, {3, 4}));
  at::Tensor tensor;
  { tensor = SafetensorsFile(path_).tensor("a"); }
  EXPECT_TRUE(tensor.equal(at::tensor({3.0f, 4.0f}).view({1, 2})));
}

TEST_F(Safetensors, WritesExactlyTheFormat) {
  write_safetensors(path_, {{"w", at::tensor({1.0f, 2.0f})}}, {{"k", "v"}});
  const std::string header =
      R"({"__metadata__":{"k":"v"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  std::string padded = header;
  while (padded.size() % 8 != 0) padded += ' ';
  EXPECT_EQ(read_file(path_), safetensors_bytes(padded, float_bytes({1, 2})));
}

TEST_F(Safetensors, KeepsEveryDtypeBitForBit) {
  NamedTensors tensors;
  for (const at::ScalarType dtype :
       {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kFloat8_e4m3fn, at::kFloat8_e5m2, at::kLong,
        at::kInt, at::kShort, at::kChar, at::kByte, at::kBool, at::kUInt16, at::kUInt32, at::kUInt64}) {
    tensors.emplace_back(std::string(c10::toString(dtype)), at::arange(3).to(dtype));
  }
  tensors.emplace_back("transposed", at::arange(6).view({2, 3}).t());
  tensors.emplace_back("nan", at::full({2}, std::numeric_limits<float>::quiet_NaN()));
  tensors.emplace_back("scalar", at::scalar_tensor(0.1, at::kDouble));
  tensors.emplace_back("empty", at::empty({0, 4}));
  write_safetensors(path_, tensors);
  const SafetensorsFile file(path_);
  ASSERT_EQ(file.tensors().size(), tensors.size());
  for (const auto& [name, written] : tensors) {
    const at::Tensor found = file.tensor(name);
    EXPECT_EQ(found.scalar_type(), written.scalar_type()) << name;
    EXPECT_EQ(found.sizes(), written.sizes()) << name;
    const at::Tensor plain = written.contiguous();
    EXPECT_EQ(std::string(static_cast<const char*>(found.const_data_ptr()), found.nbytes()),
              std::string(static_cast<const char*>(plain.const_data_ptr()), plain.nbytes()))
        << name;
  }
}

TEST_F(Safetensors, TheOrderOfTheTensorsDoesNotChangeTheBytes) {
  const at::Tensor a = at::ones({3}, at::kHalf);
  const at::Tensor b = at::ones({3}, at::kDouble);
  write_safetensors(path_, {{"a", a}, {"b", b}});
  write_safetensors(folder_ / "b.safetensors", {{"b", b}, {"a", a}});
  EXPECT_EQ(read_file(path_), read_file(folder_ / "b.safetensors"));
  EXPECT_EQ(SafetensorsFile(path_).entries()[0].name, "b");  // the larger element first: all stay aligned
}

TEST_F(Safetensors, NamesWhatIsThereWhenATensorIsMissing) {
  const SafetensorsFile file = read(matrix_file("activations", 1, 1, {1}));
  expect_error<InputError>([&] { file.tensor("activation"); },
                           {"a.safetensors", "no tensor 'activation'", "did you mean 'activations'?"});
  EXPECT_EQ(file.find("activation"), nullptr);
}

TEST_F(Safetensors, RefusesBadHeaders) {
  const std::string data = float_bytes({1, 2});
  const auto bad = [&](const std::string& header, const std::vector<std::string>& parts) {
    refuses(safetensors_bytes(header, data), parts);
  };
  refuses("", {"is empty"});
  refuses("1234", {"too short", "at least 8 bytes", "found 4"});
  refuses(little_endian(100'000'001, 8) + "{}", {"header that is too long", "100000000", "100000001"});
  refuses(little_endian(~0ULL, 8) + "{}", {"header that is too long"});
  refuses(little_endian(50, 8) + "{}", {"ends within its header", "50 bytes", "2 bytes"});
  bad("[]", {"not JSON", "'{'"});
  bad("{\"a\":", {"not valid JSON"});
  bad("{\"a\xff\":1}", {"not valid JSON"});
  bad(std::string(100'000, '{'), {"not valid JSON"});
  bad("{\"a\":" + std::string(100'000, '[') + "}", {"nested too deeply"});
  bad(R"({"a":1})", {"tensor 'a'", "exactly dtype, shape and data_offsets"});
  bad(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}})",
      {"exactly dtype, shape and data_offsets"});
  bad(R"({"__metadata__":{"k":1}})", {"__metadata__", "'k'", "a text"});
  bad(R"({"__metadata__":[]})", {"__metadata__", "an object of texts"});
  bad(one(R"("F33")", "[2]", "[0,8]"), {"tensor 'a'", "unknown dtype", "F33", "BF16"});
  bad(one("7", "[2]", "[0,8]"), {"unknown dtype"});
  for (const char* const shape : {"2", "[-1]", "[2.0]", R"(["2"])", "[18446744073709551615]"}) {
    bad(one(R"("F32")", shape, "[0,8]"), {"tensor 'a'", "bad shape"});
  }
  bad(one(R"("F32")", "[2]", "[0,-8]"), {"bad data_offsets"});
}

TEST_F(Safetensors, RefusesBadLayouts) {
  const std::string data = float_bytes({1, 2});
  const auto bad = [&](const std::string& header, const std::vector<std::string>& parts) {
    refuses(safetensors_bytes(header, data), parts);
  };
  for (const char* const offsets : {"[0]", "[0,4,8]", "[8,0]", "[0,12]", "[0,9223372036854775807]"}) {
    bad(one(R"("F32")", "[2]", offsets), {"tensor 'a'", "outside of its data", "8"});
  }
  bad(one(R"("F32")", "[3]", "[0,8]"), {"does not fit its shape F32 [3]", "12 bytes", "8 bytes"});
  bad(one(R"("F32")", "[4611686018427387904,4]", "[0,8]"),
      {"does not fit its shape", "a size that can be counted"});
  bad(one(R"("F32")", "[1]", "[0,4]"), {"bytes that belong to no tensor", "4 bytes", "8"});
  bad(one(R"("F32")", "[1]", "[4,8]"), {"hole", "byte 0", "4"});
  bad("{}", {"bytes that belong to no tensor", "0 bytes", "8"});
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":{"dtype":"U8","shape":[)" + first + R"(},"b":{"dtype":"U8","shape":[)" + second + "}}";
  };
  bad(two(R"(5],"data_offsets":[0,5])", R"(4],"data_offsets":[4,8])"), {"overlapping", "'b'"});
  bad(two(R"(3],"data_offsets":[0,3])", R"(4],"data_offsets":[4,8])"), {"hole", "'b'"});
}

TEST_F(Safetensors, RefusesAKeyThatStandsTwice) {
  const std::string data = float_bytes({1, 2});
  const std::string tensor = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  refuses(safetensors_bytes("{" + tensor + "," + tensor + "}", data), {"the key 'a' twice"});
  refuses(safetensors_bytes(R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", data),
          {"the key 'dtype' twice"});
  // The same key in two tensors is what every file has.
  const std::string both =
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})";
  EXPECT_EQ(read(safetensors_bytes(both, data)).entries().size(), 2u);
}

TEST_F(Safetensors, RefusesEveryTruncation) {
  const std::string whole = matrix_file("activations", 2, 2, {1, 2, 3, 4});
  for (std::size_t length = 0; length < whole.size(); ++length)
    refuses(whole.substr(0, length), {"a.safetensors"});
  EXPECT_EQ(read(whole).entries().size(), 1u);
}

TEST_F(Safetensors, RefusesOrReadsEveryMutation) {
  const std::string header =
      R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
      R"("b":{"dtype":"F16","shape":[4],"data_offsets":[16,24]}})";
  const std::string whole = safetensors_bytes(header, std::string(24, '\x3c'));
  const std::string likely = "0123456789{}[]\",:-.eE \\u\xff";
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 10'000; ++i) {
    std::string bytes = whole;
    for (std::size_t changes = 1 + random() % 4; changes > 0; --changes) {
      const std::size_t at = random() % (8 + header.size());
      const int kind = static_cast<int>(random() % 4);
      if (kind == 0) bytes[at] = static_cast<char>(random());
      if (kind == 1) bytes[at] = likely[random() % likely.size()];
      if (kind == 2) bytes.erase(at, 1 + random() % 3);
      if (kind == 3) bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 12));
    }
    try {
      const SafetensorsFile file = read(bytes);
      for (const auto& [name, tensor] : file.tensors()) EXPECT_LE(tensor.nbytes(), bytes.size());
    } catch (const InputError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 5000);
}

TEST_F(Safetensors, RefusesToWriteWhatCannotBeRead) {
  const at::Tensor a = at::ones({1});
  expect_error<RunError>(
      [&] {
        write_safetensors(path_, {{"a", a}, {"a", a}});
      },
      {"two tensors of one name", "'a'"});
  expect_error<RunError>([&] { write_safetensors(path_, {{"a", at::Tensor()}}); }, {"an undefined tensor"});
  expect_error<RunError>(
      [&] {
        write_safetensors(path_, {{"a", a.to(at::kComplexFloat)}});
      },
      {"cannot hold tensor 'a'"});
  expect_error<RunError>([&] { write_safetensors(path_, {{"\xff", a}}); }, {"not UTF-8"});
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(Safetensors, AFailedWriteLeavesTheOlderFile) {
  write_safetensors(path_, {{"a", at::ones({1})}});
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small = {16 * 1024, before.rlim_max};
  const auto handler = signal(SIGXFSZ, SIG_IGN);  // its default action would end the process
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  expect_error<RunError>(
      [&] {
        write_safetensors(path_, {{"a", at::ones({100'000})}});
      },
      {"a.safetensors", "File too large"});
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
  EXPECT_EQ(SafetensorsFile(path_).tensor("a").numel(), 1);
}

}  // namespace
}  // namespace regulon::core
