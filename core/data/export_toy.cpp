#include "core/data/export_toy.h"

#include <ATen/ops/cat.h>
#include <fmt/format.h>
#include <regulon/error.h>

#include <algorithm>
#include <vector>

#include "core/io/atomic_file.h"
#include "core/io/safetensors.h"

namespace regulon::core {
namespace {

constexpr std::int64_t kShardBytes = 64 << 20;

/// Rows of a source's training stream, in pieces of any length.
class RowReader {
 public:
  explicit RowReader(Source& source) : source_(source) {}

  at::Tensor take(std::int64_t rows) {
    std::vector<at::Tensor> parts;
    while (rows > 0) {
      if (!rest_.defined() || rest_.size(0) == 0) rest_ = source_.batch(step_++);
      const std::int64_t taken = std::min(rows, rest_.size(0));
      parts.push_back(rest_.narrow(0, 0, taken));
      rest_ = rest_.narrow(0, taken, rest_.size(0) - taken);
      rows -= taken;
    }
    return at::cat(parts);
  }

 private:
  Source& source_;
  std::int64_t step_ = 0;
  at::Tensor rest_;
};

}  // namespace

void write_toy(Source& source, std::int64_t rows, const std::filesystem::path& folder) {
  const at::Tensor features = source.true_features();
  if (!features.defined() || rows < 1) {
    throw InputError({folder.string(), "cannot be filled with toy data",
                      "a source with known features, and at least one row",
                      features.defined() ? fmt::format("{} rows", rows) : "a source without known features",
                      "Use a toy source and a positive number of rows."});
  }
  AtomicFolder output(folder);
  write_safetensors(output.path() / "features.safetensors", {{"features", features}});
  const std::int64_t row_bytes = source.width() * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t shard_rows = std::max<std::int64_t>(1, kShardBytes / row_bytes);
  RowReader reader(source);
  for (std::int64_t shard = 0; shard * shard_rows < rows; ++shard) {
    const at::Tensor part = reader.take(std::min(shard_rows, rows - shard * shard_rows));
    write_safetensors(output.path() / fmt::format("train-{:05}.safetensors", shard), {{"activations", part}});
  }
  output.commit();
}

}  // namespace regulon::core
