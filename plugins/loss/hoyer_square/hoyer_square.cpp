#include <ATen/ATen.h>
#include <regulon/loss_term.h>

/// Mean over rows of (sum_i f_i)^2 / sum_i f_i^2: between 1 and the L0, whatever the scale (Hoyer 2004).
class HoyerSquare final : public regulon::LossTerm {
 public:
  at::Tensor value(const regulon::StepView& step) override {
    const regulon::Codes& codes = step.codes();
    const auto row_sums = [&](const at::Tensor& v) {
      return at::segment_reduce(v, "sum", std::nullopt, std::nullopt, codes.row_offsets());
    };
    const at::Tensor l2_squared = row_sums(codes.values().square());
    return (row_sums(codes.values()).square() / l2_squared.clamp_min(1e-12)).mean();
  }
};
REGULON_LOSS_TERM(HoyerSquare, "hoyer_square", "Squared ratio of L1 to L2 of each code")
