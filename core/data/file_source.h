#pragma once
/// Activations from files.

#include <cstdint>
#include <string>
#include <vector>

#include "core/data/block_order.h"
#include "core/data/shards.h"
#include "core/data/source.h"

namespace regulon::core {

/// "files": matrices of floats in safetensors and npy shards, memory-mapped, more than memory if need be.
///
/// Held out is the last `held_out` share of every file, or what `held_out_files` match; neither depends on
/// the seed. All other rows are trained on, in the order of BlockOrder: the batch of a step depends on the
/// seed and the step alone. Pages of a pool that is done with are given back, so that memory does not grow
/// with the data. batch() is for one thread at a time; held_out() may run beside it.
class FileSource final : public Source {
 public:
  static void declare(Declaration<FileSource>& d);

  void open(const SourceSetup& setup) override;
  std::int64_t width() const override { return training_.width(); }
  std::int64_t training_rows() const override { return order_.rows(); }
  at::Tensor batch(std::int64_t step) override;
  std::int64_t held_out_rows() const override { return held_out_rows_; }
  /// Throws InputError if the rows reach beyond held_out_rows().
  at::Tensor held_out(std::int64_t first, std::int64_t count) override;
  /// Of files that hold an integer tensor `token_ids` [rows] beside the activations.
  at::Tensor held_out_token_ids(std::int64_t first, std::int64_t count) const override;
  at::Tensor true_features() const override { return true_features_; }
  /// XXH3 of the files' sizes, layouts and contents (see Shards::add_to); their names and places do not
  /// matter.
  std::string fingerprint() const override;

 private:
  void open_held_out(const SourceSetup& setup, const std::vector<std::filesystem::path>& training_files);
  void split();
  void open_true_features(const SourceSetup& setup);
  const Shards& held_out_shards() const { return held_out_files_.empty() ? training_ : extra_; }
  const BlockOrder::Pool& enter_pool(std::int64_t position);

  std::vector<std::string> files_;
  std::string tensor_;
  double held_out_share_ = 0.05;
  std::vector<std::string> held_out_files_;
  std::int64_t block_rows_ = 1024;
  std::int64_t pool_blocks_ = 64;
  std::string true_features_path_;

  std::int64_t batch_rows_ = 0;
  Shards training_;  // the files of `files`
  Shards extra_;     // the files of `held_out_files`
  std::vector<RowRange> training_ranges_;
  std::vector<RowRange> held_out_ranges_;  // in extra_ if there are such files, else in training_
  std::int64_t held_out_rows_ = 0;
  BlockOrder order_;
  at::Tensor true_features_;
};

}  // namespace regulon::core
