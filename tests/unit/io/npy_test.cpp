#include "core/io/npy.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/error.h>

#include <random>

#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/program.h"
#include "tests/unit/support/raw_files.h"

namespace regulon::core {
namespace {

using namespace regulon::tests;

std::string dict(const std::string& descr, const std::string& shape, const std::string& fortran = "False") {
  return "{'descr': " + descr + ", 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
}

class Npy : public ::testing::Test {
 protected:
  NpyFile read(const std::string& bytes) {
    std::filesystem::remove(folder_ /
                            "a.npy");  // some file systems sync a file that is emptied and rewritten
    write_file(folder_ / "a.npy", bytes);
    return NpyFile(folder_ / "a.npy");
  }
  void refuses(const std::string& bytes, const std::vector<std::string>& parts) {
    expect_error<InputError>([&] { read(bytes); }, parts);
  }

  ScratchFolder folder_;
};

TEST_F(Npy, ReadsAllVersionsAndFloats) {
  const std::vector<float> values = {1.0f, -2.5f, 0.25f, 4.0f, 5.0f, 6.0f};
  const at::Tensor expected = at::tensor(values).view({2, 3});
  for (const int version : {1, 2, 3}) {
    const NpyFile file = read(npy_bytes(dict("'<f4'", "(2, 3)"), float_bytes(values), version));
    EXPECT_TRUE(file.tensor().equal(expected)) << "version " << version;
  }
  // float16: 1, -2, 0.5; float64: 3
  EXPECT_TRUE(read(npy_bytes(dict("'<f2'", "(3,)"), word_bytes({0x3c00, 0xc000, 0x3800})))
                  .tensor()
                  .equal(at::tensor({1.0f, -2.0f, 0.5f}).to(at::kHalf)));
  EXPECT_TRUE(read(npy_bytes(dict("'<f8'", "()"), little_endian(0x4008000000000000, 8)))
                  .tensor()
                  .equal(at::scalar_tensor(3.0, at::kDouble)));
}

TEST_F(Npy, TakesFortranOrderWhereItMeansNothing) {
  EXPECT_EQ(read(npy_bytes(dict("'<f4'", "(2,)", "True"), float_bytes({1, 2}))).tensor().size(0), 2);
}

TEST_F(Npy, RefusesWhatItDoesNotRead) {
  const std::string data = float_bytes({1, 2, 3, 4});
  refuses(npy_bytes(dict("'<f4'", "(2, 2)", "True"), data), {"a.npy", "Fortran order", "ascontiguousarray"});
  refuses(npy_bytes(dict("'|O'", "(2, 2)"), data), {"dtype", "|O", "pickled", "never read"});
  refuses(npy_bytes(dict("'>f4'", "(2, 2)"), data), {"dtype", ">f4", "big-endian"});
  refuses(npy_bytes(dict("'<i4'", "(2, 2)"), data), {"dtype", "<f4, <f2 or <f8", "<i4"});
  refuses(npy_bytes(dict("[('x', '<f4')]", "(4,)"), data), {"dtype", "('x', '<f4')"});
  refuses(npy_bytes(dict("'<f4'", "(2, 3)"), data), {"F32 [2, 3]", "24 bytes", "found 16"});
  refuses(npy_bytes(dict("'<f4'", "(2, 1)"), data), {"8 bytes", "found 16"});
  refuses(npy_bytes(dict("'<f4'", "(4611686018427387904, 4)"), data), {"a size that can be counted"});
  refuses(npy_bytes(dict("'<f4'", "(99999999999999999999,)"), data), {"header that cannot be read"});
  refuses(npy_bytes(dict("'<f4'", "(-2, 2)"), data), {"header that cannot be read"});
  refuses(npy_bytes("{'descr': '<f4', 'shape': (4,), }", data), {"header that cannot be read"});
  refuses(npy_bytes("{'descr': '<f4', 'shape': (4,), 'shape': (4,), 'fortran_order': False}", data),
          {"header that cannot be read"});
  refuses(npy_bytes("__import__('os').system('true')", data), {"header that cannot be read"});
  refuses(npy_bytes(dict("'<f4'", "(4,)"), data, 4), {"version", "4.0"});
  refuses("PK\x03\x04 a zip archive", {"does not begin as an npy file"});
  refuses("", {"is empty"});
}

TEST_F(Npy, RefusesEveryTruncation) {
  const std::string whole = npy_bytes(dict("'<f4'", "(2, 2)"), float_bytes({1, 2, 3, 4}));
  for (std::size_t length = 0; length < whole.size(); ++length) refuses(whole.substr(0, length), {"a.npy"});
  EXPECT_EQ(read(whole).tensor().numel(), 4);
}

TEST_F(Npy, RefusesOrReadsEveryMutation) {
  const std::string whole = npy_bytes(dict("'<f4'", "(2, 2)"), float_bytes({1, 2, 3, 4}));
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = whole;
    for (std::size_t changes = 1 + random() % 4; changes > 0; --changes) {
      bytes[random() % (bytes.size() - 16)] = static_cast<char>(random());
    }
    try {
      EXPECT_EQ(read(bytes).tensor().nbytes(), 16u);
    } catch (const InputError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace regulon::core
