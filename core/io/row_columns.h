#pragma once
/// Columns of one number a row, written as rows come.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "core/io/named_tensors.h"

namespace regulon::core {

/// Writes a safetensors file of columns [R] float64 whose length is not known before the end. Numbers are
/// kept in files beside the target meanwhile, so that memory does not grow with the rows; these are removed
/// at the end, and without `commit` the target is not touched.
class RowColumnsWriter {
 public:
  /// Throws RunError if the files beside `target` cannot be written.
  RowColumnsWriter(std::filesystem::path target, std::vector<std::string> names);
  ~RowColumnsWriter();
  RowColumnsWriter(const RowColumnsWriter&) = delete;
  RowColumnsWriter& operator=(const RowColumnsWriter&) = delete;

  /// Appends the next rows' `values`, one tensor [B] for each name.
  void add(const std::vector<at::Tensor>& values);
  /// Writes the file, with `more` beside the columns.
  void commit(const NamedTensors& more = {}, const std::map<std::string, std::string>& metadata = {});

 private:
  struct Column {
    std::string name;
    std::filesystem::path path;
    std::ofstream stream;
  };
  std::filesystem::path target_;
  std::vector<Column> columns_;
  std::int64_t rows_ = 0;
};

}  // namespace regulon::core
