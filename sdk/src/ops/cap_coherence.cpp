#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <c10/core/GradMode.h>
#include <regulon/coherence.h>

#include <cmath>
#include <limits>

#include "ops/close_rows.h"
#include "ops/coherence_excess.h"
#include "ops/gather.h"
#include "ops/support.h"

namespace regulon::ops {
namespace {

constexpr const char* kCapCoherence = "cap_coherence";

// Pairs are listed down to so far below the cap; at most so many, or so many a row.
constexpr double kListedBelow = 0.02;
constexpr std::int64_t kListed = 1 << 20;
constexpr std::int64_t kListedPerRow = 32;
// Of n * n pairs, as one in: where more are listed, others soon get close too.
constexpr std::int64_t kListedShare = 32;
// Over a list, at most.
constexpr std::int64_t kSweeps = 300;
constexpr std::int64_t kDescents = 300;
// Rounds in which the excess is to fall to a share of what it was.
constexpr double kProgress = 0.8;
constexpr std::int64_t kPatientSweeps = 10;
constexpr std::int64_t kPatientDescents = 200;
constexpr std::int64_t kPatientPasses = 4;

/// Whether something still falls: asked once a round, says no where the last `patience` rounds did not bring
/// it down to a share of kProgress.
class Progress {
 public:
  explicit Progress(std::int64_t patience) : patience_(patience) {}
  bool still(double excess) {
    if (excess <= kProgress * best_) {
      best_ = excess;
      waited_ = 0;
      return true;
    }
    return ++waited_ < patience_;
  }

 private:
  std::int64_t patience_;
  std::int64_t waited_ = 0;
  double best_ = std::numeric_limits<double>::infinity();
};

/// Unit rows that are being capped.
class Capper {
 public:
  Capper(at::Tensor unit_rows, const CapSettings& settings)
      : rows_(std::move(unit_rows)),
        settings_(settings),
        limit_(std::max(kListed, kListedPerRow * rows_.size(0))),
        enough_(settings.mu + settings.tolerance) {}

  void run(CapResult& result) {
    Progress progress(kPatientPasses);
    double below = kListedBelow;
    for (;;) {
      const detail::ClosePairs pairs =
          detail::close_pairs(rows_, std::max(0.0, settings_.mu - below), settings_.frozen_rows, limit_);
      if (result.passes++ == 0) result.before = pairs.largest;
      result.after = result.passes == 1 ? pairs.largest : std::min(result.after, pairs.largest);
      result.reached = pairs.largest <= enough_;
      if (result.reached || result.passes > settings_.iterations) return;
      if (!progress.still(pairs.largest - settings_.mu)) {
        if (!turning_) return;
        turning_ = false;  // each list was done, and yet others came up
      }
      if (!pairs.complete) below = 0;
      improve(pairs, result);
    }
  }

  const at::Tensor& rows() const { return rows_; }

 private:
  void improve(const detail::ClosePairs& pairs, CapResult& result) {
    Progress progress(kPatientSweeps);
    for (std::int64_t sweep = 0; turning_ && sweep < (pairs.complete ? kSweeps : 1); ++sweep) {
      const double largest = turn(pairs);
      if (largest <= halfway()) return;
      turning_ = progress.still(largest - settings_.mu);
    }
    turning_ = turning_ && pairs.complete;
    if (turning_) return;
    const std::int64_t n = rows_.size(0);
    if (pairs.complete && static_cast<std::int64_t>(pairs.row.size()) <= n * n / kListedShare) {
      descend(detail::ListedExcess(pairs, n, settings_.mu, settings_.frozen_rows), kDescents);
      return;
    }
    const auto excess = [&](const at::Tensor& rows) {
      ++result.passes;
      return detail::find_excess(rows, settings_.mu, settings_.frozen_rows, true);
    };
    descend(excess, settings_.iterations - result.passes);
  }

  /// Where a list counts as done: other pairs and rounding have the rest of the tolerance.
  double halfway() const { return settings_.mu + settings_.tolerance / 2; }

  double turn(const detail::ClosePairs& pairs) {
    return detail::turn_apart(rows_, pairs, settings_.mu, settings_.tolerance / 4, settings_.frozen_rows,
                              settings_.generator);
  }

  /// Accelerated gradients on the sphere of every row, from anew where they would go up.
  template <typename Evaluate>
  void descend(const Evaluate& excess_of, std::int64_t iterations) {
    at::Tensor before = rows_;
    double last = std::numeric_limits<double>::infinity();
    double step = 0.125;  // of the sum over ordered pairs: half of a pair's own excess for each row
    std::int64_t since_restart = 0;
    Progress progress(kPatientDescents);
    for (std::int64_t i = 0; i < iterations; ++i) {
      const detail::Excess excess = excess_of(rows_);
      if (excess.largest <= halfway() || !progress.still(excess.sum)) return;
      if (excess.sum > last) {
        since_restart = 0;
        step *= 0.7;
      }
      last = excess.sum;
      const at::Tensor tangent = excess.gradient - rows_ * (excess.gradient * rows_).sum(1, true);
      const at::Tensor next = on_sphere(rows_ - step * tangent, rows_);
      const at::Tensor way = next - before;
      if (detail::total((tangent * way).sum(1)) > 0) since_restart = 0;
      const auto k = static_cast<double>(since_restart++);
      rows_ = on_sphere(next + way * (k / (k + 3)), next);
      before = next;
    }
  }

  /// Rows of length one; those that are as in `stay` are left as they are, to the bit.
  static at::Tensor on_sphere(const at::Tensor& rows, const at::Tensor& stay) {
    const at::Tensor norms = at::linalg_vector_norm(rows, 2, at::IntArrayRef({1}), true);
    const at::Tensor moved = (rows != stay).any(1, true).logical_and(norms > 0);
    return at::where(moved, rows / norms, stay).contiguous();
  }

  at::Tensor rows_;
  const CapSettings& settings_;
  std::int64_t limit_;
  double enough_;
  bool turning_ = true;  ///< until pairs push each other back
};

}  // namespace

CapResult cap_coherence(at::Tensor& rows, const CapSettings& settings) {
  detail::check_floating(kCapCoherence, "rows", rows, 2);
  const at::NoGradGuard without_gradient;
  const at::Tensor norms = at::linalg_vector_norm(rows, 2, at::IntArrayRef({1}), true);
  if (!norms.isfinite().all().item<bool>()) {
    detail::fail(kCapCoherence, "rows are not finite", "finite numbers", "others",
                 "lower the learning rate, or look for what made them so");
  }
  const at::Tensor unit = (rows / at::where(norms > 0, norms, at::ones_like(norms))).contiguous();
  CapResult result;
  Capper capper(unit.clone(), settings);
  capper.run(result);
  if (!capper.rows().isfinite().all().item<bool>()) {
    detail::fail(kCapCoherence, "rows could not be turned", "finite numbers", "others");
  }
  result.moved = (capper.rows() != unit).any(1).nonzero().squeeze(1);
  if (result.reached && result.moved.numel() > 0) {
    rows.index_copy_(0, result.moved,
                     capper.rows().index_select(0, result.moved) * norms.index_select(0, result.moved));
  }
  return result;
}

}  // namespace regulon::ops
