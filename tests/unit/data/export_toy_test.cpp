#include "core/data/export_toy.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/error.h>

#include "core/io/safetensors.h"
#include "tests/unit/data/make_source.h"
#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/program.h"

namespace regulon::core {
namespace {

using namespace regulon::tests;

TEST(ExportToy, WritesRowsAndTrueFeatures) {
  const ScratchFolder folder;
  const auto toy = open_source("toy.pairs", {}, 30);
  write_toy(*toy, 70, folder / "out");
  const at::Tensor rows = SafetensorsFile(folder / "out/train-00000.safetensors").tensor("activations");
  EXPECT_TRUE(rows.equal(at::cat({toy->batch(0), toy->batch(1), toy->batch(2).narrow(0, 0, 10)})));
  EXPECT_TRUE(
      SafetensorsFile(folder / "out/features.safetensors").tensor("features").equal(toy->true_features()));
}

TEST(ExportToy, WhatItWritesIsASourceOfFiles) {
  const ScratchFolder folder;
  const auto toy = open_source(
      "toy.general", {{"width", std::int64_t{1 << 18}}, {"features", std::int64_t{2}}, {"p", 0.5}}, 30);
  write_toy(*toy, 150, folder / "out");  // 1 MiB a row: 64 rows a file
  const auto files = open_source("files",
                                 {{"files", std::vector<std::string>{"train-*.safetensors"}},
                                  {"true_features", std::string("features.safetensors")},
                                  {"held_out", 0.0}},
                                 150, 1, folder / "out");
  EXPECT_EQ(files->training_rows(), 150);
  EXPECT_TRUE(std::filesystem::exists(folder / "out/train-00002.safetensors"));
  EXPECT_TRUE(files->true_features().allclose(toy->true_features()));
  // The same rows in another order have the same sum.
  at::Tensor sum = at::zeros({1 << 18});
  for (std::int64_t step = 0; step < 5; ++step) sum += toy->batch(step).sum(0);
  EXPECT_TRUE(files->batch(0).sum(0).allclose(sum, 1e-4, 1e-4));
}

TEST(ExportToy, RefusesWhatItCannotDo) {
  const ScratchFolder folder;
  const auto toy = open_source("toy.pairs", {}, 30);
  expect_error<InputError>([&] { write_toy(*toy, 10, folder.path()); }, {"exists already"});
  expect_error<InputError>([&] { write_toy(*toy, 0, folder / "out"); },
                           {"out", "at least one row", "0 rows"});
  tests::write_file(folder / "file", "x");
  expect_error<RunError>([&] { write_toy(*toy, 10, folder / "file/out"); }, {"file", "cannot be made"});
  write_toy(*toy, 100, folder / "out");
  const auto files =
      open_source("files", {{"files", std::vector<std::string>{"train-*"}}}, 5, 1, folder / "out");
  expect_error<InputError>([&] { write_toy(*files, 10, folder / "more"); },
                           {"a source without known features"});
  EXPECT_FALSE(std::filesystem::exists(folder / "more"));
}

}  // namespace
}  // namespace regulon::core
