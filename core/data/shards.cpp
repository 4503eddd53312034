#include "core/data/shards.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <glob.h>
#include <regulon/error.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>

#include "core/io/npy.h"
#include "core/io/safetensors.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kWorthAThread = 1 << 17;  // values that one thread takes at least
constexpr std::size_t kWholeHash = 64 << 20;
constexpr std::size_t kHashBlock = 64 << 10;
constexpr std::size_t kHashBlocks = 64;

/// `path` with the characters that patterns give a meaning to taken literally.
std::string literal(const std::string& path) {
  std::string escaped;
  for (const char c : path) {
    if (c == '*' || c == '?' || c == '[' || c == ']' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

bool is_float(at::ScalarType dtype) {
  return dtype == at::kFloat || dtype == at::kHalf || dtype == at::kBFloat16 || dtype == at::kDouble;
}

/// The matrix of a safetensors file: the one called `name`; if that is empty, "activations", or else the only
/// matrix.
TensorEntry choose_matrix(const SafetensorsFile& file, const std::string& name) {
  if (const TensorEntry* const named = file.find(name.empty() ? "activations" : name)) return *named;
  std::vector<std::string> names;
  std::vector<TensorEntry> matrices;
  for (const TensorEntry& entry : file.entries()) {
    names.push_back(entry.name);
    if (entry.shape.size() == 2 && is_float(entry.dtype)) matrices.push_back(entry);
  }
  const std::string path = file.file()->path().string();
  if (!name.empty()) {
    throw InputError({path, "has no tensor '" + name + "'", "a tensor of that name",
                      fmt::format("{}", fmt::join(names, ", ")),
                      "Name one of these by 'tensor' in [data]: " + did_you_mean(name, names)});
  }
  if (matrices.size() == 1) return matrices.front();
  throw InputError({path, "does not say which of its tensors holds the activations",
                    "one called 'activations', or just one matrix of floats",
                    std::to_string(matrices.size()) + " matrices of floats",
                    "Name it by 'tensor' in [data]: " + did_you_mean("activations", names)});
}

void check_matrix(const fs::path& path, const TensorEntry& entry) {
  const std::string found = layout_text(entry);
  const std::string name = entry.name.empty() ? "the array" : "tensor '" + entry.name + "'";
  if (entry.shape.size() != 2) {
    throw InputError({path.string(), name + " is not a matrix", "two dimensions, rows and width", found,
                      "Reshape it to [rows, width]."});
  }
  if (!is_float(entry.dtype)) {
    throw InputError({path.string(), name + " does not hold floats", "F32, F16, BF16 or F64", found,
                      "Activations are floats; is this the right tensor?"});
  }
  if (entry.shape[0] == 0 || entry.shape[1] == 0) {
    throw InputError(
        {path.string(), name + " is empty", "at least one row and one column", found, "Leave the file out."});
  }
}

/// The integers `token_ids`, one for each row of `matrix`; undefined where the file has none. Throws
/// InputError if they do not fit.
at::Tensor tokens_of(const SafetensorsFile& file, const TensorEntry& matrix) {
  const TensorEntry* const entry = file.find("token_ids");
  if (entry == nullptr) return {};
  const bool fits = entry->shape.size() == 1 && entry->shape[0] == matrix.shape[0] &&
                    at::isIntegralType(entry->dtype, /*includeBool=*/false);
  if (!fits) {
    throw InputError({file.file()->path().string(), "has token_ids that do not fit its activations",
                      fmt::format("integers [{}], one for each row", matrix.shape[0]), layout_text(*entry),
                      "Write one for each row, or leave them out of the file."});
  }
  return tensor_at(file.file(), *entry);
}

/// Whether all of `count` values are finite.
bool all_finite(const float* values, std::int64_t count) {
  constexpr std::uint32_t kExponent = 0x7f800000u;
  std::uint32_t bad = 0;
#pragma omp simd reduction(| : bad)
  for (std::int64_t i = 0; i < count; ++i) {
    bad |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(values[i]) & kExponent) == kExponent);
  }
  return bad == 0;
}

}  // namespace

std::vector<fs::path> matching_files(const std::vector<std::string>& patterns, const fs::path& base) {
  std::set<fs::path> files;
  for (const std::string& pattern : patterns) {
    const bool relative = fs::path(pattern).is_relative() && !base.empty();
    const std::string full = relative ? literal((base / "").string()) + pattern : pattern;
    glob_t matches = {};
    const int result = ::glob(full.c_str(), GLOB_NOSORT, nullptr, &matches);
    for (std::size_t i = 0; result == 0 && i < matches.gl_pathc; ++i) {
      files.insert(fs::path(matches.gl_pathv[i]).lexically_normal());
    }
    ::globfree(&matches);
    if (result != 0) {
      throw InputError({"[data]", "no file matches '" + pattern + "'", "at least one file", "none",
                        "Looked for " + full + ": relative patterns start at the config's folder."});
    }
  }
  return {files.begin(), files.end()};
}

Shards::Shards(const std::vector<fs::path>& files, const std::string& tensor) {
  for (const fs::path& path : files) {
    Shard shard;
    if (path.extension() == ".npy") {
      const NpyFile file(path);
      shard.file = file.file();
      shard.entry = file.entry();
      check_matrix(path, shard.entry);
    } else if (path.extension() == ".safetensors") {
      const SafetensorsFile file(path);
      shard.file = file.file();
      shard.entry = choose_matrix(file, tensor);
      check_matrix(path, shard.entry);
      shard.token_ids = tokens_of(file, shard.entry);
    } else {
      throw InputError({path.string(), "is of an unknown kind", ".safetensors or .npy",
                        "'" + path.extension().string() + "'", "Name only data files in 'files'."});
    }
    if (!shards_.empty() && (shard.entry.shape[1] != width_ || shard.entry.dtype != dtype_)) {
      throw InputError({path.string(), "does not fit the other files",
                        dtype_name(dtype_) + " [rows, " + std::to_string(width_) + "] as in " +
                            shards_.front().file->path().string(),
                        layout_text(shard.entry), "Use files of one width and one dtype."});
    }
    width_ = shard.entry.shape[1];
    dtype_ = shard.entry.dtype;
    shard.first_row = rows_;
    rows_ += shard.rows();
    shards_.push_back(std::move(shard));
  }
  row_bytes_ = static_cast<std::size_t>(width_) * at::elementSize(dtype_);
}

std::vector<RowRange> Shards::ranges() const {
  std::vector<RowRange> ranges;
  for (const Shard& shard : shards_) ranges.push_back({shard.first_row, shard.rows()});
  return ranges;
}

bool Shards::has_token_ids() const {
  return std::all_of(shards_.begin(), shards_.end(),
                     [](const Shard& shard) { return shard.token_ids.defined(); });
}

at::Tensor Shards::token_ids(RowRange range) const {
  const Shard& shard = shard_of(range.first);
  return shard.token_ids.narrow(0, range.first - shard.first_row, range.count).to(at::kLong);
}

const Shards::Shard& Shards::shard_of(std::int64_t row) const {
  const auto after =
      std::upper_bound(shards_.begin(), shards_.end(), row,
                       [](std::int64_t wanted, const Shard& shard) { return wanted < shard.first_row; });
  return *(after - 1);
}

void Shards::gather(std::span<const std::int64_t> rows, float* out) const {
  const auto count = static_cast<std::int64_t>(rows.size());
  const std::int64_t grain = std::max<std::int64_t>(1, kWorthAThread / width_);
  at::Tensor target = at::from_blob(out, {count, width_}, at::kFloat);
  // float32 is copied to where it belongs, anything else to a buffer that ATen's vectorised copy converts.
  const at::Tensor raw = dtype_ == at::kFloat ? target : at::empty({count, width_}, dtype_);
  auto* const bytes = static_cast<std::byte*>(raw.mutable_data_ptr());
  at::parallel_for(0, count, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Shard& shard = shard_of(rows[static_cast<std::size_t>(i)]);
      const auto row = static_cast<std::size_t>(rows[static_cast<std::size_t>(i)] - shard.first_row);
      std::memcpy(bytes + static_cast<std::size_t>(i) * row_bytes_,
                  shard.file->data() + shard.entry.offset + row * row_bytes_, row_bytes_);
    }
  });
  if (dtype_ != at::kFloat) target.copy_(raw);

  std::atomic<std::int64_t> bad = count;  // the first row with a bad value, whichever thread sees one first
  at::parallel_for(0, count, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (all_finite(out + i * width_, width_)) continue;
      std::int64_t seen = bad.load();
      while (i < seen && !bad.compare_exchange_weak(seen, i)) {
      }
      return;
    }
  });
  if (bad < count) refuse_value(rows[static_cast<std::size_t>(bad.load())], out + bad * width_);
}

void Shards::refuse_value(std::int64_t row, const float* values) const {
  const Shard& shard = shard_of(row);
  const auto column =
      std::find_if(values, values + width_, [](float value) { return !std::isfinite(value); }) - values;
  throw InputError({shard.file->path().string(),
                    "row " + std::to_string(row - shard.first_row) + ", column " + std::to_string(column) +
                        " (counted from 0) is not a finite float32",
                    "a finite number", std::isnan(values[column]) ? "NaN" : "infinity",
                    "Leave such rows out when the data is made."});
}

template <class Act>
void Shards::for_bytes(RowRange range, Act act) const {
  while (range.count > 0) {
    const Shard& shard = shard_of(range.first);
    const std::int64_t row = range.first - shard.first_row;
    const std::int64_t count = std::min(range.count, shard.rows() - row);
    act(*shard.file, shard.entry.offset + static_cast<std::size_t>(row) * row_bytes_,
        static_cast<std::size_t>(count) * row_bytes_);
    range = {range.first + count, range.count - count};
  }
}

void Shards::will_need(RowRange range) const {
  for_bytes(range, [](const MappedFile& file, std::size_t offset, std::size_t count) {
    file.will_need(offset, count);
  });
}

void Shards::drop(RowRange range) const {
  for_bytes(range,
            [](const MappedFile& file, std::size_t offset, std::size_t count) { file.drop(offset, count); });
}

void Shards::add_to(Hasher& hasher) const {
  hasher.update(static_cast<std::uint64_t>(shards_.size()));
  for (const Shard& shard : shards_) {
    const std::span<const std::byte> bytes = shard.file->bytes();
    hasher.update(static_cast<std::uint64_t>(bytes.size()));
    hasher.update(static_cast<std::uint64_t>(shard.entry.offset));
    hasher.update(layout_text(shard.entry));
    const bool whole = bytes.size() <= kWholeHash;
    const std::size_t block = whole ? std::size_t{4} << 20 : kHashBlock;
    const std::size_t blocks = whole ? (bytes.size() + block - 1) / block : kHashBlocks;
    for (std::size_t i = 0; i < blocks; ++i) {
      const std::size_t offset = whole ? i * block : (bytes.size() - block) / (blocks - 1) * i;
      hasher.update(bytes.subspan(offset, std::min(block, bytes.size() - offset)));
      shard.file->drop(offset, block);
    }
  }
}

}  // namespace regulon::core
