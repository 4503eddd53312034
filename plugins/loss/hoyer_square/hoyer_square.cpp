#include <ATen/ATen.h>
#include <regulon/loss_term.h>
#include <regulon/sums.h>
/// Mean over rows of (sum_i c_i f_i)(sum_i f_i) / sum_i f_i^2, c_i the costs. At costs of one, the
/// Hoyer-Square of Yang et al. 2020, "DeepHoyer" (arXiv 1908.09979), from 1 to the L0; k equal values count
/// as sum c_i.
class HoyerSquare final : public regulon::LossTerm {
 public:
  std::vector<std::string> needs() const override { return {"codes.gradient", "costs"}; }
  at::Tensor value(const regulon::StepView& step) override {
    const regulon::Codes& codes = step.codes();
    const auto row_sums = [&](const at::Tensor& v) {
      return at::segment_reduce(v, "sum", std::nullopt, std::nullopt, codes.row_offsets());
    };
    const at::Tensor& f = codes.values();
    const at::Tensor priced = f * step.costs().index_select(0, codes.feature_ids());
    return regulon::ops::mean(row_sums(priced) * row_sums(f) / row_sums(f.square()).clamp_min(1e-12));
  }
};
REGULON_LOSS_TERM(HoyerSquare, "hoyer_square", "Squared ratio of L1 to L2 of each code, at its costs")
