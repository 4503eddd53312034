#pragma once
/// Columns of one number a row, written as rows come.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/io/named_tensors.h"
#include "core/io/spool.h"

namespace regulon::core {

/// Writes a safetensors file of columns [R] float64 whose length is not known before the end. Numbers are
/// kept in spools meanwhile, so that memory does not grow with the rows. Nothing is made before the first
/// rows come, and without `commit` the target is not touched.
class RowColumnsWriter {
 public:
  RowColumnsWriter(std::filesystem::path target, std::vector<std::string> names);

  /// Appends the next rows' `values`, one tensor [B] for each name. Throws RunError if they cannot be
  /// written.
  void add(const std::vector<at::Tensor>& values);
  /// Writes the file, with `more` beside the columns. Throws RunError if it cannot be written, or the columns
  /// are not of one length.
  void commit(const NamedTensors& more = {}, const std::map<std::string, std::string>& metadata = {});

 private:
  struct Column {
    std::string name;
    Spool spool;
  };
  std::filesystem::path target_;
  std::vector<Column> columns_;
  std::int64_t rows_ = 0;
};

}  // namespace regulon::core
