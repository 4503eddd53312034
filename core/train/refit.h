#pragma once
/// Refitting a decoder with the encoder frozen: what an encoder shrinks, the
/// decoder can take back.

#include <ATen/core/Tensor.h>
#include <regulon/codes.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "core/measure/evaluation.h"
#include "core/train/run.h"

namespace regulon::core {

/// What is refitted, and how well.
struct RefitSettings {
  bool scale_only = false;  ///< one factor for each dictionary row, in place of the whole row
  double ridge = 1.0;       ///< pull towards what was there, as a share of the mean
                            ///< of the squared codes' sums
  double tolerance = 1e-4;  ///< of the gradient left, as a share of the first one
  std::int64_t iterations = 300;
  std::int64_t rows = 65536;  ///< training rows to fit on
};

/// How the fit went.
struct Fit {
  at::Tensor weight;  ///< [n, d]: the dictionary's rows, refitted
  std::int64_t iterations = 0;
  double gradient = 0;  ///< left, as a share of the first one
};

/// The dictionary rows W that minimise sum over rows of |target - codes · W|^2
/// + ridge * |W - weight|^2 (or, with `scale_only`, diag(s) · weight over s),
/// by preconditioned conjugate gradients, one for each of the d columns
/// (Hestenes & Stiefel 1952). Only products with the sparse codes are made,
/// O(entries * d) an iteration; nothing is n x n. Rows of features that are in
/// no code stay as they are.
///
/// `codes`: of the batches of one data set. `targets(i)` [B, d]: rows of batch i less the decoder's bias,
/// asked for once, in order: rows stream, codes stay.
Fit refit(const std::vector<Codes>& codes, const std::function<at::Tensor(std::size_t)>& targets,
          const at::Tensor& weight, const RefitSettings& settings);

/// A refitted run, with the measures of the run that it was, and its own, on
/// held-out rows.
struct RefitReport {
  Fit fit;
  Evaluation before;
  Evaluation after;
};

/// Refits the decoder's weight of a run on rows of its own data's training
/// stream, and writes the new run to the folder `out`: the old manifest with a
/// section "refit", weights and summary. Throws InputError if `out` is there
/// already, or the encoder reads the decoder's rows (tied, or one that solves
/// with them), so that it would not stay as it is.
RefitReport refit_run(const std::filesystem::path& folder, PluginHost& host, const RefitSettings& settings,
                      const std::filesystem::path& out);

}  // namespace regulon::core
