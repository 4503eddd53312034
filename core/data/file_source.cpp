#include "core/data/file_source.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/error.h>
#include <regulon/step.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/io/safetensors.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;

constexpr char kTrueFeatures[] = "features";

std::vector<RowRange> cut_into_blocks(const std::vector<RowRange>& ranges, std::int64_t block_rows) {
  std::vector<RowRange> blocks;
  for (const RowRange& range : ranges) {
    for (std::int64_t done = 0; done < range.count; done += block_rows) {
      blocks.push_back({range.first + done, std::min(block_rows, range.count - done)});
    }
  }
  return blocks;
}

std::int64_t count_rows(const std::vector<RowRange>& ranges) {
  std::int64_t count = 0;
  for (const RowRange& range : ranges) count += range.count;
  return count;
}

}  // namespace

void FileSource::declare(Declaration<FileSource>& d) {
  d.param("files", &FileSource::files_)
      .required()
      .doc("patterns of .safetensors and .npy files, relative to the config's folder");
  d.param("tensor", &FileSource::tensor_)
      .doc(
          "name of the matrix [rows, d] in safetensors files; left out: \"activations\", or the only matrix");
  d.param("held_out", &FileSource::held_out_share_)
      .at_least(0)
      .at_most(1)
      .doc(
          "share of every file's rows, from its end, that is only measured on; not used with held_out_files");
  d.param("held_out_files", &FileSource::held_out_files_).doc("patterns of files that are only measured on");
  d.param("block_rows", &FileSource::block_rows_).at_least(1).unit("rows").doc("rows that are read together");
  d.param("pool_blocks", &FileSource::pool_blocks_)
      .at_least(1)
      .unit("blocks")
      .doc("blocks whose rows are shuffled together");
  d.param("true_features", &FileSource::true_features_path_)
      .doc("safetensors file with the known features [n_true, d], if there are any");
}

void FileSource::open(const SourceSetup& setup) {
  const std::vector<fs::path> files = matching_files(files_, setup.base);
  if (files.empty())
    throw InputError({"[data]", "files is empty", "at least one pattern", "none", "Name the data files."});
  training_ = Shards(files, tensor_);
  batch_rows_ = setup.batch;
  if (held_out_files_.empty()) {
    split();
  } else {
    open_held_out(setup, files);
  }
  held_out_rows_ = count_rows(held_out_ranges_);
  const std::int64_t rows = count_rows(training_ranges_);
  if (batch_rows_ > rows) {
    throw InputError({"[data]", "the batch is larger than the training data",
                      fmt::format("batch of at most {} rows", rows), fmt::format("batch = {}", batch_rows_),
                      "Lower batch, lower held_out, or use more files."});
  }
  order_ = BlockOrder(cut_into_blocks(training_ranges_, block_rows_), pool_blocks_,
                      named_generator(setup.seed, "files.order").current_seed());
  open_true_features(setup);
}

void FileSource::split() {
  training_ranges_.clear();
  held_out_ranges_.clear();
  for (const RowRange& range : training_.ranges()) {
    const auto held =
        static_cast<std::int64_t>(std::ceil(held_out_share_ * static_cast<double>(range.count)));
    if (held < range.count) training_ranges_.push_back({range.first, range.count - held});
    if (held > 0) held_out_ranges_.push_back({range.first + range.count - held, held});
  }
}

void FileSource::open_held_out(const SourceSetup& setup, const std::vector<fs::path>& training_files) {
  const std::vector<fs::path> files = matching_files(held_out_files_, setup.base);
  for (const fs::path& file : files) {
    if (std::find(training_files.begin(), training_files.end(), file) != training_files.end()) {
      throw InputError({file.string(), "is both in files and in held_out_files",
                        "rows to measure on that are never trained on", "the same file in both",
                        "Take it out of one of the two."});
    }
  }
  extra_ = Shards(files, tensor_);
  if (extra_.width() != training_.width()) {
    throw InputError({files.front().string(), "does not fit the training files",
                      fmt::format("width {}", training_.width()), fmt::format("width {}", extra_.width()),
                      "held_out_files must hold activations of the same layer."});
  }
  training_ranges_ = training_.ranges();
  held_out_ranges_ = extra_.ranges();
}

void FileSource::open_true_features(const SourceSetup& setup) {
  if (true_features_path_.empty()) return;
  const fs::path path = setup.base / true_features_path_;
  const at::Tensor features = SafetensorsFile(path).tensor(kTrueFeatures);
  if (features.dim() != 2 || features.size(0) == 0 || features.size(1) != width() ||
      !features.is_floating_point()) {
    throw InputError(
        {path.string(), "holds no true features for this data", fmt::format("floats [n_true, {}]", width()),
         fmt::format("{} [{}]", dtype_name(features.scalar_type()), fmt::join(features.sizes(), ", ")),
         "Write the features of this data, one a row."});
  }
  const at::Tensor rows = features.to(at::kDouble);
  const at::Tensor norms = rows.norm(2, {1}, /*keepdim=*/true);
  if (!norms.isfinite().all().item<bool>() || !norms.gt(0).all().item<bool>()) {
    throw InputError({path.string(), "has a true feature without a direction",
                      "rows of finite numbers, not all zero", "a row of zeros or with NaN or infinity",
                      "Leave that feature out."});
  }
  true_features_ = rows.div(norms).to(at::kFloat);
}

const BlockOrder::Pool& FileSource::enter_pool(std::int64_t position) {
  if (order_.pool().holds(position)) return order_.pool();
  for (const RowRange& block : order_.pool().blocks) training_.drop(block);
  const BlockOrder::Pool& pool = order_.pool_at(position);
  for (const RowRange& block : pool.blocks) training_.will_need(block);
  for (const RowRange& block : pool.next_blocks) training_.will_need(block);
  return pool;
}

at::Tensor FileSource::batch(std::int64_t step) {
  at::Tensor result = at::empty({batch_rows_, width()}, at::kFloat);
  float* out = result.mutable_data_ptr<float>();
  std::int64_t position = step * batch_rows_;
  const std::int64_t end = position + batch_rows_;
  while (position < end) {
    const BlockOrder::Pool& pool = enter_pool(position);
    const auto offset = static_cast<std::size_t>(position - pool.first);
    const std::size_t count = std::min(static_cast<std::size_t>(end - position), pool.rows.size() - offset);
    training_.gather(std::span(pool.rows).subspan(offset, count), out);
    out += static_cast<std::int64_t>(count) * width();
    position += static_cast<std::int64_t>(count);
  }
  return result;
}

at::Tensor FileSource::held_out(std::int64_t first, std::int64_t count) {
  if (first < 0 || count < 0 || first > held_out_rows_ - count) {
    throw InputError({"[data]", "there are fewer held-out rows than were asked for",
                      fmt::format("rows below {}", held_out_rows_),
                      fmt::format("{} rows from row {}", count, first),
                      "Hold out more rows, or ask for fewer."});
  }
  const Shards& shards = held_out_shards();
  at::Tensor result = at::empty({count, width()}, at::kFloat);
  float* out = result.mutable_data_ptr<float>();
  std::vector<std::int64_t> rows;
  for (const RowRange& range : held_out_ranges_) {
    const std::int64_t skipped = std::min(first, range.count);
    const std::int64_t taken = std::min(count, range.count - skipped);
    rows.clear();
    for (std::int64_t i = 0; i < taken; ++i) rows.push_back(range.first + skipped + i);
    if (taken > 0) {
      shards.gather(rows, out);
      shards.drop({rows.front(), taken});
    }
    out += taken * width();
    first -= skipped;
    count -= taken;
  }
  return result;
}

at::Tensor FileSource::held_out_token_ids(std::int64_t first, std::int64_t count) const {
  if (!held_out_shards().has_token_ids()) return {};
  std::vector<at::Tensor> parts = {at::empty({0}, at::kLong)};
  for (const RowRange& range : held_out_ranges_) {  // each lies in one file
    const std::int64_t skipped = std::min(first, range.count);
    const std::int64_t taken = std::min(count, range.count - skipped);
    if (taken > 0) parts.push_back(held_out_shards().token_ids({range.first + skipped, taken}));
    first -= skipped;
    count -= taken;
  }
  return at::cat(parts);
}

std::string FileSource::fingerprint() const {
  Hasher hasher;
  training_.add_to(hasher);
  extra_.add_to(hasher);
  return hasher.hex();
}

}  // namespace regulon::core
