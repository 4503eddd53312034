#include "core/io/codes_file.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "core/io/safetensors.h"
#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/program.h"
#include "tests/unit/support/toy_step.h"

namespace regulon::core {
namespace {

TEST(CodesFile, HoldsWhatWasAdded) {
  const tests::ScratchFolder folder;
  const auto path = folder / "codes.safetensors";
  const at::Tensor dense = at::relu(tests::normal({7, 5}, 1)).to(at::kFloat);
  CodesWriter writer(path, 5);
  writer.add(Codes::dense(dense.narrow(0, 0, 3)));
  writer.add(Codes::dense(dense.narrow(0, 3, 0)));
  writer.add(Codes::dense(dense.narrow(0, 3, 4)));
  EXPECT_EQ(writer.rows(), 7);
  EXPECT_FALSE(std::filesystem::exists(path));
  const at::Tensor gap = tests::normal({7}, 2);
  writer.commit({{"gap", gap}}, {{"solver", "cd"}});
  const Codes read = read_codes(path);
  EXPECT_TRUE(at::equal(read.to_dense(), dense));
  const SafetensorsFile file(path);
  EXPECT_TRUE(at::equal(file.tensor("gap"), gap));
  EXPECT_EQ(file.metadata().at("solver"), "cd");
  EXPECT_EQ(file.metadata().at("features"), "5");
  EXPECT_EQ(file.tensor("row_offsets").scalar_type(), at::kLong);
  EXPECT_EQ(file.tensor("feature_ids").scalar_type(), at::kInt);
}

TEST(CodesFile, LeavesNothingBehindUnlessCommitted) {
  const tests::ScratchFolder folder;
  {
    CodesWriter writer(folder / "codes.safetensors", 5);
    writer.add(Codes::dense(at::ones({2, 5})));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(CodesFile, TwoWritersOfOneFileDoNotMeet) {
  const tests::ScratchFolder folder;
  const auto path = folder / "made" / "codes.safetensors";
  const at::Tensor ones = at::ones({2, 5});
  CodesWriter first(path, 5);
  CodesWriter second(path, 5);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "nothing is made before there are codes";
  for (const int times : {1, 2}) {
    first.add(Codes::dense(times * ones));
    second.add(Codes::dense(-times * ones));
  }
  second.commit({}, {});
  EXPECT_TRUE(at::equal(read_codes(path).to_dense(), at::cat({-ones, -2 * ones})));
  first.commit({}, {});
  EXPECT_TRUE(at::equal(read_codes(path).to_dense(), at::cat({ones, 2 * ones})));
}

TEST(CodesFile, NoEntriesAtAll) {
  const tests::ScratchFolder folder;
  CodesWriter writer(folder / "codes.safetensors", 5);
  writer.add(Codes::dense(at::zeros({2, 5})));
  writer.commit({}, {});
  EXPECT_EQ(read_codes(folder / "codes.safetensors").rows(), 2);
}

TEST(CodesFile, RefusesWhatIsNone) {
  const tests::ScratchFolder folder;
  const auto path = folder / "codes.safetensors";
  const auto refused = [&](at::Tensor offsets, at::Tensor ids, const std::string& features,
                           const std::string& word) {
    write_safetensors(path, {{"row_offsets", offsets}, {"feature_ids", ids}, {"values", at::ones({3})}},
                      features.empty() ? std::map<std::string, std::string>{}
                                       : std::map<std::string, std::string>{{"features", features}});
    tests::expect_error<InputError>([&] { read_codes(path); }, {word});
  };
  const at::Tensor offsets = at::tensor({0, 2, 3}, at::kLong);
  const at::Tensor ids = at::tensor({1, 4, 0}, at::kInt);
  refused(offsets, ids, "", "features");
  refused(offsets, ids, "many", "many");
  refused(offsets, ids, "4", "feature 4");
  refused(at::tensor({0, 3, 2}, at::kLong), ids, "5", "row 0");
  refused(at::tensor({0, 2, 2}, at::kLong), ids, "5", "before the entries");
  refused(at::tensor({0, 2, 9}, at::kLong), ids, "5", "offset 9");
  refused(at::tensor({0, 2, 3}, at::kInt), ids, "5", "dtypes");
  write_safetensors(path, {{"features", at::ones({3})}}, {{"features", "3"}});
  tests::expect_error<InputError>([&] { read_codes(path); }, {"no row_offsets"});
}

}  // namespace
}  // namespace regulon::core
