#include "core/io/codes_file.h"

#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <regulon/error.h>

#include <charconv>
#include <utility>

#include "core/io/atomic_file.h"
#include "core/io/safetensors.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;

/// Throws InputError: `path` holds no codes because of `what`.
[[noreturn]] void no_codes(const fs::path& path, const std::string& what) {
  throw InputError(
      {path.string(), "holds no codes",
       "row_offsets [B + 1] int64 that ascend from 0, feature_ids [entries] int32 that ascend in "
       "each row, values [entries] float32, and the metadata 'features'",
       what, "Give a file that `regulon encode` wrote."});
}

void check_codes(const fs::path& path, std::int64_t features, const at::Tensor& offsets,
                 const at::Tensor& ids) {
  const auto* const offset = offsets.const_data_ptr<std::int64_t>();
  const auto* const id = ids.const_data_ptr<std::int32_t>();
  if (offset[0] != 0) no_codes(path, fmt::format("a first offset of {}", offset[0]));
  for (std::int64_t row = 0; row + 1 < offsets.size(0); ++row) {
    if (offset[row + 1] < offset[row] || offset[row + 1] > ids.size(0))
      no_codes(path, fmt::format("offset {} after {}", offset[row + 1], offset[row]));
    std::int64_t before = -1;
    for (std::int64_t e = offset[row]; e < offset[row + 1]; ++e) {
      if (id[e] <= before || id[e] >= features)
        no_codes(path, fmt::format("feature {} after {} in row {}, of {}", id[e], before, row, features));
      before = id[e];
    }
  }
  if (offset[offsets.size(0) - 1] != ids.size(0)) no_codes(path, "offsets that end before the entries do");
}

}  // namespace

CodesWriter::CodesWriter(fs::path target, std::int64_t features)
    : target_(std::move(target)), features_(features), ids_(target_), values_(target_) {}

void CodesWriter::add(const Codes& codes) {
  ids_.write(codes.feature_ids());
  values_.write(codes.values().detach().to(at::kFloat));
  const std::int64_t first = offsets_.back();
  const at::Tensor offsets = codes.row_offsets().contiguous();
  for (std::int64_t row = 1; row <= codes.rows(); ++row)
    offsets_.push_back(first + offsets.const_data_ptr<std::int64_t>()[row]);
}

void CodesWriter::commit(const NamedTensors& more, std::map<std::string, std::string> metadata) {
  metadata["features"] = fmt::format("{}", features_);
  NamedTensors tensors = {{"row_offsets", at::tensor(offsets_, at::kLong)},
                          {"feature_ids", ids_.tensor(at::kInt, entries())},
                          {"values", values_.tensor(at::kFloat, entries())}};
  tensors.insert(tensors.end(), more.begin(), more.end());
  if (target_.has_parent_path()) make_folders(target_.parent_path());
  write_safetensors(target_, tensors, metadata);
}

Codes read_codes(const fs::path& path) {
  const SafetensorsFile file(path);
  const auto known = file.metadata().find("features");
  if (known == file.metadata().end()) no_codes(path, "no metadata 'features'");
  std::int64_t features = 0;
  const std::string& text = known->second;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), features);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || features < 0)
    no_codes(path, "features of '" + text + "'");
  for (const char* name : {"row_offsets", "feature_ids", "values"}) {
    if (file.find(name) == nullptr) no_codes(path, fmt::format("no {}", name));
  }
  const at::Tensor offsets = file.tensor("row_offsets");
  const at::Tensor ids = file.tensor("feature_ids");
  const at::Tensor values = file.tensor("values");
  const bool fits = offsets.dim() == 1 && offsets.size(0) > 0 && offsets.scalar_type() == at::kLong &&
                    ids.dim() == 1 && ids.scalar_type() == at::kInt && values.sizes() == ids.sizes() &&
                    values.scalar_type() == at::kFloat;
  if (!fits) no_codes(path, "other shapes or dtypes");
  check_codes(path, features, offsets, ids);
  return Codes::sparse(features, offsets.clone(), ids.clone(), values.clone());
}

}  // namespace regulon::core
