#include "core/io/row_columns.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "core/io/atomic_file.h"
#include "core/io/mapped_file.h"
#include "core/io/mapped_tensor.h"
#include "core/io/safetensors.h"

namespace regulon::core {

RowColumnsWriter::RowColumnsWriter(std::filesystem::path target, std::vector<std::string> names)
    : target_(std::move(target)) {
  if (target_.has_parent_path()) make_folders(target_.parent_path());
  for (std::string& name : names) {
    Column column{std::move(name), target_, {}};
    column.path += fmt::format(".{}.partial", columns_.size());
    column.stream.open(column.path, std::ios::binary | std::ios::trunc);
    if (!column.stream) fail_on_path(column.path, "cannot be written", errno);
    columns_.push_back(std::move(column));
  }
}

RowColumnsWriter::~RowColumnsWriter() {
  for (const Column& column : columns_) {
    std::error_code ignored;  // what cannot be removed is named as partial, and replaced by the next attempt
    std::filesystem::remove(column.path, ignored);
  }
}

void RowColumnsWriter::add(const std::vector<at::Tensor>& values) {
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    const at::Tensor whole = values.at(i).to(at::kDouble).contiguous();
    columns_[i].stream.write(static_cast<const char*>(whole.const_data_ptr()),
                             static_cast<std::streamsize>(whole.nbytes()));
    if (!columns_[i].stream) fail_on_path(columns_[i].path, "cannot be written", errno);
  }
  rows_ += values.empty() ? 0 : values.front().numel();
}

void RowColumnsWriter::commit(const NamedTensors& more, const std::map<std::string, std::string>& metadata) {
  NamedTensors tensors = more;
  for (Column& column : columns_) {
    column.stream.close();
    if (!column.stream) fail_on_path(column.path, "cannot be written", errno);
    if (rows_ == 0) {
      tensors.emplace_back(column.name, at::empty({0}, at::kDouble));
      continue;
    }
    auto file = std::make_shared<const MappedFile>(column.path);
    const std::size_t bytes = file->size();
    tensors.emplace_back(column.name,
                         tensor_at(std::move(file), {column.path.string(), at::kDouble, {rows_}, 0, bytes}));
  }
  write_safetensors(target_, tensors, metadata);
}

}  // namespace regulon::core
