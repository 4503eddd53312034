/// Compares the codes that the float32 and the bfloat16 screen give, to the last bit, over rows of files and
/// rows made to be hard.
///
///     build/regulon_screens_agree --rows 1000000 'activations/*.safetensors'
///
/// Exit code 1 if any row differs.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <regulon/ops.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/data/source.h"

namespace regulon {
namespace {

constexpr std::int64_t kBatch = 4096;
constexpr std::int64_t kHardRows = 256;  ///< of each kind of hard rows, in each round

/// What was compared under one selection.
struct Tally {
  std::string name;
  std::int64_t rows = 0;
  std::int64_t codes = 0;
  std::int64_t differing = 0;  ///< rows
  std::int64_t dense = 0;      ///< rows whose codes are a dense product, which agrees to rounding only
};

std::unique_ptr<core::Source> open_files(const std::vector<std::string>& patterns) {
  for (const PluginDescriptor& descriptor : core::sources()) {
    if (descriptor.name != "files") continue;
    std::unique_ptr<core::Source> source(static_cast<core::Source*>(descriptor.make().release()));
    for (std::size_t i = 0; i < descriptor.params.size(); ++i) {
      if (descriptor.params[i].name == "files") descriptor.set(*source, i, patterns);
      if (descriptor.params[i].name == "held_out") descriptor.set(*source, i, 0.0);
    }
    core::SourceSetup setup;
    setup.batch = kBatch;
    setup.base = std::filesystem::current_path();
    source->open(setup);
    return source;
  }
  throw RunError({"screens_agree", "there is no source of files", "a source 'files'", "none", "build again"});
}

at::Tensor unit_rows(const at::Tensor& rows) {
  return rows / rows.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12);
}

/// [n, d]: random unit rows, unit rows of the data, or pairs of rows that are the same but for their last
/// bits.
at::Tensor dictionary(std::int64_t kind, const at::Tensor& rows, std::int64_t features) {
  const at::Tensor random = unit_rows(at::randn({features, rows.size(1)}));
  if (kind == 0) return random;
  if (kind == 1) return unit_rows(rows.index_select(0, at::randint(rows.size(0), {features}, at::kLong)));
  const at::Tensor half = random.slice(0, 0, (features + 1) / 2);
  const at::Tensor near = half * (1 + 1e-7 * at::randn_like(half));
  return at::cat({half, near}).slice(0, 0, features);
}

/// Values of few levels, so that many sums tie exactly.
at::Tensor coarse(at::IntArrayRef shape) { return at::randint(-1, 2, shape).to(at::kFloat); }

/// A dictionary with exact duplicates, zeros, rows of few levels, and rows of very different sizes.
at::Tensor hard_dictionary(std::int64_t features, std::int64_t width) {
  at::Tensor rows = unit_rows(at::randn({features, width}));
  const std::int64_t part = features / 8;
  rows.narrow(0, part, part).copy_(rows.narrow(0, 0, part));
  rows.narrow(0, 2 * part, part).copy_(coarse({part, width}));
  rows.narrow(0, 3 * part, part / 2).zero_();
  rows.narrow(0, 4 * part, part / 2).mul_(1e-41);
  rows.narrow(0, 5 * part, part / 2).mul_(1e3);
  return rows;
}

/// Rows on which bounds, ties and ranges are hard, one batch a kind.
std::vector<at::Tensor> hard_rows(const at::Tensor& weight) {
  const std::int64_t width = weight.size(1);
  const at::Tensor random = at::randn({kHardRows, width});
  const at::Tensor scales = at::pow(10.0, at::rand({kHardRows, width}) * 40 - 30);
  return {at::zeros({kHardRows, width}),
          weight.slice(0, 0, kHardRows).clone(),
          coarse({kHardRows, width}),
          random * 1e18,
          random * 1e-41,
          random * 1e-20,
          random * scales,
          unit_rows(at::randn({1, width})).expand({kHardRows, width}).contiguous()};
}

Selection best(std::int64_t k, Selection::Scope scope) {
  Selection selection;
  selection.family = Selection::Family::rank;
  selection.scope = scope;
  selection.k = k;
  return selection;
}

/// TopK, BatchTopK, and thresholds, without and with a window, where about k a row pass.
std::vector<Selection> selections(const ops::Product& product, std::int64_t k) {
  std::vector<Selection> all = {best(k, Selection::Scope::row), best(k, Selection::Scope::batch)};
  const at::Tensor values = ops::select_product(product, all[1]).values();
  const at::Tensor cut = values.numel() > 0 ? values.min() : at::zeros({});
  Selection above;
  above.thresholds = (cut * (1 + 0.01 * at::randn({product.weight.size(0)}))).to(at::kFloat);
  all.push_back(above);
  above.window = 0.05 * cut.item<double>();
  all.push_back(above);
  return all;
}

template <typename T>
bool same(const at::Tensor& left, const at::Tensor& right, std::int64_t begin, std::int64_t end) {
  return std::memcmp(left.const_data_ptr<T>() + begin, right.const_data_ptr<T>() + begin,
                     static_cast<std::size_t>(end - begin) * sizeof(T)) == 0;
}

std::int64_t differing_rows(const Codes& left, const Codes& right) {
  const auto* const from = left.row_offsets().const_data_ptr<std::int64_t>();
  const auto* const of_right = right.row_offsets().const_data_ptr<std::int64_t>();
  for (std::int64_t row = 0; row <= left.rows(); ++row) {
    if (from[row] != of_right[row]) return left.rows() - std::max<std::int64_t>(row - 1, 0);
  }
  std::int64_t count = 0;
  for (std::int64_t row = 0; row < left.rows(); ++row) {
    const bool equal =
        same<std::int32_t>(left.feature_ids(), right.feature_ids(), from[row], from[row + 1]) &&
        same<float>(left.values(), right.values(), from[row], from[row + 1]);
    count += equal ? 0 : 1;
  }
  return count;
}

void compare(const ops::Product& product, Selection selection, Tally& tally) {
  selection.precision = Selection::Precision::float32;
  const Codes plain = ops::select_product(product, selection);
  selection.precision = Selection::Precision::bfloat16;
  const Codes halved = ops::select_product(product, selection);
  const double places = static_cast<double>(plain.rows()) * static_cast<double>(plain.features());
  const bool dense = !plain.is_sparse() || !halved.is_sparse() ||
                     (selection.family == Selection::Family::threshold &&
                      static_cast<double>(plain.entries()) > ops::kDenseAbove * places);
  if (dense) {
    tally.dense += plain.rows();
    return;
  }
  tally.rows += plain.rows();
  tally.codes += plain.entries();
  tally.differing += differing_rows(plain, halved);
}

void compare_all(const ops::Product& product, std::int64_t k, std::vector<Tally>& tallies) {
  const std::vector<Selection> all = selections(product, k);
  for (std::size_t i = 0; i < all.size(); ++i) compare(product, all[i], tallies[i]);
}

std::vector<Tally> new_tallies() { return {{"topk"}, {"batch_topk"}, {"threshold"}, {"window"}}; }

/// Prints them; returns the rows that differ.
std::int64_t print(const std::string& what, const std::vector<Tally>& tallies) {
  std::int64_t differing = 0;
  for (const Tally& tally : tallies) {
    fmt::print("{:<12} {:<12} {:>9} rows {:>11} codes {:>4} rows differ", what, tally.name, tally.rows,
               tally.codes, tally.differing);
    fmt::print("{}\n", tally.dense > 0 ? fmt::format("  ({} more rows are dense)", tally.dense) : "");
    differing += tally.differing;
  }
  return differing;
}

int run(const std::vector<std::string>& patterns, std::int64_t rows, std::int64_t features, std::int64_t k) {
  const at::NoGradGuard no_grad;
  at::manual_seed(1);
  const std::unique_ptr<core::Source> source = open_files(patterns);
  const std::int64_t width = source->width();
  std::vector<Tally> data = new_tallies();
  std::vector<Tally> hard = new_tallies();
  for (std::int64_t step = 0; step * kBatch < rows; ++step) {
    const at::Tensor batch = source->batch(step).slice(0, 0, std::min(kBatch, rows - step * kBatch));
    // Every other time as a model subtracts its decoder's bias.
    const at::Tensor center = step % 2 == 0 ? batch.mean(0) : at::Tensor();
    compare_all({batch, dictionary(step % 3, batch, features), 0.1 * at::randn({features}), center}, k, data);
    if (step % 16 != 0) continue;
    const at::Tensor weight = hard_dictionary(features, width);
    for (const at::Tensor& kind : hard_rows(weight)) {
      compare_all({kind, weight, step % 32 == 0 ? at::zeros({features}) : at::randn({features}), {}}, k,
                  hard);
    }
  }
  const std::int64_t differing = print("data", data) + print("adversarial", hard);
  fmt::print("{} rows of data and {} adversarial rows under {} selections each: {} differ\n", rows,
             hard.front().rows, data.size(), differing);
  return differing == 0 ? 0 : 1;
}

}  // namespace
}  // namespace regulon

int main(int argc, char** argv) {
  CLI::App app("Whether the float32 and the bfloat16 screen give the same codes, to the last bit");
  std::vector<std::string> patterns;
  std::int64_t rows = 1'000'000;
  std::int64_t features = 4096;
  std::int64_t k = 32;
  app.add_option("FILES", patterns, "Patterns of safetensors and npy files")->required();
  app.add_option("--rows", rows, "Rows to compare; the data come round again")->capture_default_str();
  app.add_option("--features", features, "Dictionary rows n")->capture_default_str();
  app.add_option("--k", k, "Active features of a row")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    return regulon::run(patterns, rows, features, k);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
