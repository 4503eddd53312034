#include "core/io/row_columns.h"

#include <utility>

#include "core/io/atomic_file.h"
#include "core/io/safetensors.h"

namespace regulon::core {

RowColumnsWriter::RowColumnsWriter(std::filesystem::path target, std::vector<std::string> names)
    : target_(std::move(target)) {
  for (std::string& name : names) columns_.push_back({std::move(name), Spool(target_)});
}

void RowColumnsWriter::add(const std::vector<at::Tensor>& values) {
  for (std::size_t i = 0; i < columns_.size(); ++i) columns_[i].spool.write(values.at(i).to(at::kDouble));
  rows_ += values.empty() ? 0 : values.front().numel();
}

void RowColumnsWriter::commit(const NamedTensors& more, const std::map<std::string, std::string>& metadata) {
  NamedTensors tensors = more;
  for (const Column& column : columns_)
    tensors.emplace_back(column.name, column.spool.tensor(at::kDouble, rows_));
  if (target_.has_parent_path()) make_folders(target_.parent_path());
  write_safetensors(target_, tensors, metadata);
}

}  // namespace regulon::core
