#include "core/data/file_source.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/error.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <set>

#include "core/io/safetensors.h"
#include "tests/unit/data/make_source.h"
#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/program.h"
#include "tests/unit/support/raw_files.h"

namespace regulon::core {
namespace {

using namespace regulon::tests;
namespace fs = std::filesystem;

/// The numbers first, first + 1, …: row r of width 2 is {2r, 2r + 1}, so that a row tells its number.
std::vector<float> counting(std::int64_t first_row, std::int64_t rows) {
  std::vector<float> values;
  for (std::int64_t i = 2 * first_row; i < 2 * (first_row + rows); ++i)
    values.push_back(static_cast<float>(i));
  return values;
}

/// The row numbers of counting rows.
std::vector<std::int64_t> numbers(const at::Tensor& rows) {
  EXPECT_TRUE((rows.select(1, 0) + 1).equal(rows.select(1, 1))) << "rows are whole";
  std::vector<std::int64_t> found;
  for (std::int64_t i = 0; i < rows.size(0); ++i)
    found.push_back(static_cast<std::int64_t>(rows[i][0].item<float>()) / 2);
  return found;
}

ParamValue texts(std::vector<std::string> values) { return values; }
ParamValue integer(std::int64_t value) { return value; }

class FileSourceTest : public ::testing::Test {
 protected:
  /// Three shards with rows 0 … 99, 100 … 136 and 137 … 199.
  void write_shards() {
    write_file(folder_ / "data/train-0.safetensors", matrix_file("activations", 100, 2, counting(0, 100)));
    write_file(folder_ / "data/train-1.safetensors", matrix_file("activations", 37, 2, counting(100, 37)));
    write_file(folder_ / "data/train-2.safetensors", matrix_file("activations", 63, 2, counting(137, 63)));
  }
  std::unique_ptr<Source> open(Parameters parameters, std::int64_t batch = 7, std::uint64_t seed = 1) {
    if (std::none_of(parameters.begin(), parameters.end(),
                     [](const auto& entry) { return entry.first == "files"; })) {
      parameters.emplace_back("files", texts({"data/train-*.safetensors"}));
    }
    return open_source("files", parameters, batch, seed, folder_.path());
  }
  void refuses(const Parameters& parameters, const std::vector<std::string>& parts, std::int64_t batch = 7) {
    expect_error<InputError>([&] { open(parameters, batch); }, parts);
  }

  ScratchFolder folder_;
};

const Parameters kSmallBlocks = {{"held_out", 0.1}, {"block_rows", integer(8)}, {"pool_blocks", integer(3)}};

TEST_F(FileSourceTest, EveryTrainingRowIsSeenOncePerEpoch) {
  write_shards();
  const auto source = open(kSmallBlocks, 5);
  // Held out are the last tenths, rounded up: 10 of 100, 4 of 37, 7 of 63.
  ASSERT_EQ(source->training_rows(), 179);
  ASSERT_EQ(source->held_out_rows(), 21);
  std::set<std::int64_t> held;
  for (const std::int64_t row : numbers(source->held_out(0, 21))) held.insert(row);
  ASSERT_EQ(held.size(), 21u);
  std::vector<std::int64_t> stream;
  for (std::int64_t step = 0; step * 5 < 3 * 179; ++step) {
    for (const std::int64_t row : numbers(source->batch(step))) stream.push_back(row);
  }
  std::vector<std::vector<std::int64_t>> orders;
  for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<std::int64_t> rows(stream.begin() + epoch * 179, stream.begin() + (epoch + 1) * 179);
    orders.push_back(rows);
    std::sort(rows.begin(), rows.end());
    for (const std::int64_t row : held) rows.push_back(row);
    std::sort(rows.begin(), rows.end());
    for (std::int64_t i = 0; i < 200; ++i)
      ASSERT_EQ(rows[static_cast<std::size_t>(i)], i) << "epoch " << epoch;
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_NE(orders[1], orders[2]);
}

TEST_F(FileSourceTest, ABatchIsAFunctionOfSeedAndStep) {
  write_shards();
  const auto forwards = open(kSmallBlocks);
  std::vector<at::Tensor> batches;
  for (std::int64_t step = 0; step < 60; ++step) batches.push_back(forwards->batch(step));
  const auto backwards = open(kSmallBlocks);
  for (std::int64_t step = 59; step >= 0; --step) {
    if (step % 7 == 0) backwards->held_out(step % 5, 9);
    EXPECT_TRUE(backwards->batch(step).equal(batches[static_cast<std::size_t>(step)])) << step;
  }
  const auto other = open(kSmallBlocks, 7, 2);
  EXPECT_FALSE(other->batch(0).equal(batches[0]));
  EXPECT_TRUE(other->held_out(0, 21).equal(forwards->held_out(0, 21)))
      << "held-out rows do not depend on the seed";
  // The stream of rows does not depend on how it is cut into batches.
  const auto wide = open(kSmallBlocks, 21);
  EXPECT_TRUE(wide->batch(2).equal(at::cat({batches[6], batches[7], batches[8]})));
}

TEST_F(FileSourceTest, RowsMixWithinAPoolOfBlocks) {
  write_shards();
  const auto source = open(kSmallBlocks, 24);  // three blocks of 8 rows, if none of them is a short one
  const std::vector<std::int64_t> rows = numbers(source->batch(0));
  int steps_of_one = 0;
  for (std::size_t i = 1; i < rows.size(); ++i) steps_of_one += rows[i] == rows[i - 1] + 1 ? 1 : 0;
  EXPECT_LT(steps_of_one, 8) << "rows stand nearly as stored";
}

TEST_F(FileSourceTest, HeldOutRowsDoNotDependOnTheChunks) {
  write_shards();
  const auto source = open(kSmallBlocks);
  const at::Tensor whole = source->held_out(0, 21);
  for (std::int64_t first = 0; first < 21; ++first) {
    for (std::int64_t count = 0; first + count <= 21; count += 3) {
      EXPECT_TRUE(source->held_out(first, count).equal(whole.narrow(0, first, count)))
          << first << " " << count;
    }
  }
  expect_error<InputError>([&] { source->held_out(20, 2); },
                           {"fewer held-out rows", "below 21", "2 rows from row 20"});
  expect_error<InputError>([&] { source->held_out(-1, 2); }, {"fewer held-out rows"});
}

TEST_F(FileSourceTest, HeldOutFilesAreReadInFull) {
  write_shards();
  const auto source =
      open({{"files", texts({"data/train-[02].safetensors"})}, {"held_out_files", texts({"data/train-1*"})}});
  EXPECT_EQ(source->training_rows(), 163);
  EXPECT_EQ(numbers(source->held_out(0, 37)).front(), 100);
  EXPECT_EQ(source->held_out_rows(), 37);
}

TEST_F(FileSourceTest, ReadsEveryFloatAlike) {
  // 1.5, -2, 0.25, 3 as float32, float16, bfloat16, and float64 in npy.
  const std::vector<float> values = {1.5f, -2.0f, 0.25f, 3.0f};
  const auto header = [](const std::string& dtype, const std::string& end) {
    return R"({"activations":{"dtype":")" + dtype + R"(","shape":[2,2],"data_offsets":[0,)" + end + "]}}";
  };
  write_file(folder_ / "f32.safetensors", safetensors_bytes(header("F32", "16"), float_bytes(values)));
  write_file(folder_ / "f16.safetensors",
             safetensors_bytes(header("F16", "8"), word_bytes({0x3e00, 0xc000, 0x3400, 0x4200})));
  write_file(folder_ / "bf16.safetensors",
             safetensors_bytes(header("BF16", "8") + " ", word_bytes({0x3fc0, 0xc000, 0x3e80, 0x4040})));
  std::string doubles;
  for (const std::uint64_t bits :
       {0x3ff8000000000000u, 0xc000000000000000u, 0x3fd0000000000000u, 0x4008000000000000u}) {
    doubles += little_endian(bits, 8);
  }
  const std::string dict = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }";
  write_file(folder_ / "f64.npy", npy_bytes(dict, doubles));
  for (const std::string name : {"f32.safetensors", "f16.safetensors", "bf16.safetensors", "f64.npy"}) {
    const auto source = open({{"files", texts({name})}, {"held_out", 0.0}}, 2);
    at::Tensor rows = source->batch(0);
    EXPECT_EQ(rows.scalar_type(), at::kFloat);
    if (rows[0][0].item<float>() < 1) rows = rows.flip({0});
    EXPECT_TRUE(rows.equal(at::tensor(values).view({2, 2}))) << name;
  }
}

TEST_F(FileSourceTest, TakesTheOnlyMatrixWhateverItsName) {
  const std::string header =
      R"({"ids":{"dtype":"I32","shape":[2,1],"data_offsets":[0,8]},"x":{"dtype":"F32","shape":[2,2],"data_offsets":[8,24]}})";
  write_file(folder_ / "a.safetensors",
             safetensors_bytes(header, std::string(8, '\0') + float_bytes(counting(0, 2))));
  EXPECT_EQ(open({{"files", texts({"a.safetensors"})}, {"held_out", 0.0}}, 2)->width(), 2);
}

TEST_F(FileSourceTest, PatternsAreSortedMergedAndRelativeToTheBase) {
  const fs::path base = folder_ / "a [b] *";  // characters that patterns give a meaning to
  write_file(base / "2.npy", "");
  write_file(base / "10.npy", "");
  write_file(base / "1.npy", "");
  const auto names = [&](const std::vector<std::string>& patterns) {
    std::vector<std::string> found;
    for (const fs::path& path : matching_files(patterns, base)) found.push_back(path.filename().string());
    return found;
  };
  EXPECT_EQ(names({"*.npy", "1.npy", "./2.npy"}), (std::vector<std::string>{"1.npy", "10.npy", "2.npy"}));
  EXPECT_EQ(names({(folder_ / "a*/2.npy").string()}), (std::vector<std::string>{"2.npy"}));
  expect_error<InputError>(
      [&] {
        names({"*.npy", "3*"});
      },
      {"no file matches '3*'", "relative patterns start"});
}

TEST_F(FileSourceTest, ANamedTensorThatIsNotThereIsNotReplacedByAnother) {
  write_file(folder_ / "a.safetensors", matrix_file("hidden", 20, 2, counting(0, 20)));
  const std::pair<std::string, ParamValue> files = {"files", texts({"a.safetensors"})};
  EXPECT_EQ(open({files, {"held_out", 0.0}}, 2)->width(), 2);  // the only matrix, where nothing is named
  expect_error<InputError>(
      [&] {
        open({files, {"tensor", std::string("hiden")}}, 2);
      },
      {"a.safetensors", "has no tensor 'hiden'", "did you mean 'hidden'?"});
}

TEST_F(FileSourceTest, FingerprintsFollowTheContents) {
  write_shards();
  const std::string fingerprint = open({})->fingerprint();
  EXPECT_EQ(open({}, 9, 5)->fingerprint(), fingerprint);
  fs::rename(folder_ / "data", folder_ / "moved");
  EXPECT_EQ(open({{"files", texts({"moved/*"})}})->fingerprint(), fingerprint)
      << "names and places do not matter";
  std::vector<float> changed = counting(137, 63);
  changed.back() += 1;
  write_file(folder_ / "moved/train-2.safetensors", matrix_file("activations", 63, 2, changed));
  EXPECT_NE(open({{"files", texts({"moved/*"})}})->fingerprint(), fingerprint);
}

TEST_F(FileSourceTest, ReadsAndNormalisesTrueFeatures) {
  write_shards();
  write_file(folder_ / "true.safetensors", matrix_file("features", 2, 2, {3, 4, 0, -2}));
  const at::Tensor features = open({{"true_features", std::string("true.safetensors")}})->true_features();
  EXPECT_TRUE(features.allclose(at::tensor({0.6f, 0.8f, 0.0f, -1.0f}).view({2, 2})));
  EXPECT_FALSE(open({})->true_features().defined());
}

TEST_F(FileSourceTest, RefusesTrueFeaturesOfOtherData) {
  write_shards();
  const auto with = [&](const std::string& bytes, const std::vector<std::string>& parts) {
    write_file(folder_ / "true.safetensors", bytes);
    refuses({{"true_features", std::string("true.safetensors")}}, parts);
  };
  with(matrix_file("features", 1, 3, {1, 2, 3}), {"true.safetensors", "floats [n_true, 2]", "F32 [1, 3]"});
  with(matrix_file("features", 2, 2, {1, 2, 0, 0}), {"true.safetensors", "without a direction"});
  with(matrix_file("other", 2, 2, {1, 2, 3, 4}), {"true.safetensors", "no tensor 'features'"});
}

TEST_F(FileSourceTest, NamesTheBadValue) {
  std::vector<float> values = counting(0, 50);
  values[2 * 30 + 1] = std::numeric_limits<float>::quiet_NaN();
  write_file(folder_ / "data/train-0.safetensors", matrix_file("activations", 20, 2, counting(50, 20)));
  write_file(folder_ / "data/train-1.safetensors", matrix_file("activations", 50, 2, values));
  const auto source = open({{"held_out", 0.0}}, 70);
  expect_error<InputError>([&] { source->batch(0); },
                           {"train-1.safetensors", "row 30, column 1", "a finite number", "NaN"});
  // In the half-precision files infinity is a value, too: 0x7c00.
  const std::string header = R"({"activations":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}})";
  write_file(folder_ / "half.safetensors",
             safetensors_bytes(header, word_bytes({0x3c00, 0x3c00, 0x7c00, 0x3c00})));
  const auto half = open({{"files", texts({"half.safetensors"})}, {"held_out", 0.5}}, 1);
  EXPECT_EQ(half->batch(0)[0][0].item<float>(), 1.0f);
  expect_error<InputError>([&] { half->held_out(0, 1); },
                           {"half.safetensors", "row 1, column 0", "infinity"});
}

TEST_F(FileSourceTest, RefusesFilesThatCannotBeUsed) {
  write_shards();
  const std::string data = float_bytes({1, 2, 3, 4});
  const auto shard = [&](const std::string& bytes, const std::vector<std::string>& parts) {
    write_file(folder_ / "data/train-3.safetensors", bytes);
    refuses({}, parts);
  };
  const auto entry = [](const std::string& name, const std::string& dtype, const std::string& shape) {
    return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":[0,16]})";
  };
  const auto file = [&](const std::string& dtype, const std::string& shape) {
    return safetensors_bytes("{" + entry("activations", dtype, shape) + "}", data);
  };
  shard(file("F32", "[1,4]"),
        {"train-3", "does not fit the other files", "F32 [rows, 2]", "train-0", "F32 [1, 4]"});
  shard(file("F16", "[4,2]"), {"train-3", "does not fit the other files", "F16 [4, 2]"});
  shard(file("I32", "[2,2]"), {"train-3", "does not hold floats", "F32, F16, BF16 or F64", "I32 [2, 2]"});
  shard(file("F32", "[4]"), {"train-3", "is not a matrix", "F32 [4]"});
  shard(file("F32", "[1,2,2]"), {"train-3", "is not a matrix", "F32 [1, 2, 2]"});
  shard(matrix_file("activations", 0, 2, {}), {"train-3", "is empty", "at least one row", "F32 [0, 2]"});
  const std::string two =
      R"({"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1,2],"data_offsets":[8,16]}})";
  shard(safetensors_bytes(two, data), {"train-3", "one called 'activations'", "2 matrices", "one of: a, b"});
  shard(file("F32", "[2,2]").substr(0, 90), {"train-3"});
  shard("", {"train-3", "is empty"});
  fs::remove(folder_ / "data/train-3.safetensors");
  fs::create_directory(folder_ / "data/train-3.safetensors");
  refuses({}, {"train-3", "is a folder"});
}

TEST_F(FileSourceTest, RefusesTokenIdsThatDoNotFit) {
  const fs::path path = folder_ / "data/train-0.safetensors";
  fs::create_directories(path.parent_path());
  const auto write = [&](const at::Tensor& tokens) {
    write_safetensors(path, {{"activations", at::rand({100, 2})}, {"token_ids", tokens}});
  };
  write(at::arange(100, at::kInt));
  EXPECT_TRUE(open({{"held_out", 0.1}})->held_out_token_ids(0, 10).equal(at::arange(90, 100)));
  const std::string expected = "integers [100], one for each row";
  write(at::arange(99, at::kInt));
  refuses({}, {path.string(), "token_ids", expected, "I32 [99]"});
  write(at::arange(100, at::kFloat));
  refuses({}, {path.string(), expected, "F32 [100]"});
  write(at::arange(100).view({100, 1}));
  refuses({}, {path.string(), expected, "I64 [100, 1]"});
}

TEST_F(FileSourceTest, RefusesParametersThatDoNotFitTheFiles) {
  write_shards();
  write_file(folder_ / "data/notes.txt", "x");
  write_file(folder_ / "wide.safetensors", matrix_file("activations", 1, 3, {1, 2, 3}));
  refuses({{"files", texts({"nothing-*"})}}, {"no file matches 'nothing-*'"});
  refuses({{"files", texts({})}}, {"files is empty"});
  refuses({{"files", texts({"data/*"})}}, {"notes.txt", ".safetensors or .npy"});
  refuses({}, {"batch is larger than the training data", "at most 189 rows", "batch = 190"}, 190);
  refuses({{"held_out_files", texts({"data/train-1*"})}}, {"train-1", "both in files and in held_out_files"});
  refuses({{"held_out_files", texts({"wide.safetensors"})}}, {"wide.safetensors", "width 2", "width 3"});
}

/// This process's resident memory, in MiB.
double resident() {
  std::ifstream file("/proc/self/statm");
  double total = 0;
  double pages = 0;
  file >> total >> pages;
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

TEST_F(FileSourceTest, MemoryDoesNotGrowWithTheData) {
  // 256 MiB of zeros that take no room on disk.
  const std::string header =
      R"({"activations":{"dtype":"F32","shape":[65536,1024],"data_offsets":[0,268435456]}})";
  write_file(folder_ / "large.safetensors", safetensors_bytes(header, ""));
  fs::resize_file(folder_ / "large.safetensors", 8 + header.size() + 268435456);
  const auto source = open(
      {{"files", texts({"large.safetensors"})}, {"block_rows", integer(256)}, {"pool_blocks", integer(8)}},
      1024);
  source->batch(0);
  const double before = resident();
  double most = before;
  for (std::int64_t step = 1; step < 61; ++step) {
    source->batch(step);
    most = std::max(most, resident());
  }
  source->held_out(0, source->held_out_rows());
  source->fingerprint();
  EXPECT_LT(most - before, 40) << "a pool is 8 MiB, a batch 4";
  EXPECT_LT(resident() - before, 40);
}

}  // namespace
}  // namespace regulon::core
