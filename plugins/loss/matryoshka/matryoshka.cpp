#include <ATen/ATen.h>
#include <regulon/loss_term.h>
#include <regulon/ops.h>

#include <algorithm>
#include <utility>

/// The squared error of nested dictionaries, in the place of mse: the first w features alone are to
/// reconstruct the rows, for each of several widths w up to n. With |x - xhat_w|^2 summed over the
/// coordinates and averaged over rows, the value is their sum over widths (Bussmann et al. 2025, "Learning
/// Multi-Level Features with Matryoshka Sparse Autoencoders", arXiv 2503.17547; SAELens) or their mean
/// (Nabeshima 2024, "Matryoshka Sparse Autoencoders"; dictionary_learning's loss is this mean over the number
/// of widths once more). A wider prefix adds its own features to the narrower one's reconstruction: all of
/// them cost about one decode.
///
/// Without `widths`, each step draws `drawn` of them anew, n and others with a probability that falls like
/// the root: P(w) in proportion to w^(1/2) - (w - 1)^(1/2), without repetition (Nabeshima's truncated
/// Pareto).
class Matryoshka final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<Matryoshka>& d) {
    d.param("widths", &Matryoshka::widths_)
        .at_least(1)
        .unit("features")
        .doc("the prefixes, growing; all n features come last by themselves; empty: drawn at each step");
    d.param("drawn", &Matryoshka::drawn_)
        .at_least(1)
        .doc("how many prefixes to draw at each step, all n features included, where no widths are given");
    d.param("reduction", &Matryoshka::reduction_)
        .choices({"sum", "mean"})
        .doc("of the prefixes' squared errors");
  }
  /// Asked for while the config is checked: the first chance to refuse widths that do not grow.
  std::vector<std::string> needs() const override {
    for (std::size_t i = 1; i < widths_.size(); ++i) {
      if (widths_[i] > widths_[i - 1]) continue;
      throw regulon::InputError({"", "'widths' of matryoshka do not grow", "each wider than the one before",
                                 std::to_string(widths_[i]) + " after " + std::to_string(widths_[i - 1]),
                                 "sort them and leave out what comes twice"});
    }
    return {};
  }
  std::vector<std::string> provides() const override {
    return widths_.empty() ? std::vector<std::string>{} : std::vector<std::string>{"dictionary.prefixes"};
  }

  void prepare(regulon::Preparation& preparation) override {
    const std::int64_t n = preparation.features;
    if (!widths_.empty() && widths_.back() > n) {
      throw regulon::InputError({"", "'widths' of matryoshka exceed the number of features",
                                 "at most " + std::to_string(n) + ", as [model] features says",
                                 std::to_string(widths_.back()), "lower them or raise features"});
    }
    const at::Tensor roots = at::arange(n, at::kDouble).sqrt();
    chances_ = roots.slice(0, 1) - roots.slice(0, 0, n - 1);  // of the widths 1 … n - 1
  }

  at::Tensor value(const regulon::StepView& step) override {
    const std::vector<std::int64_t> sizes = block_sizes(step);
    const at::Tensor errors =
        regulon::ops::nested_errors(step.codes(), step.dictionary(), step.batch(), sizes);
    const auto rows = static_cast<double>(step.batch().size(0));
    return errors / (reduction_ == "mean" ? rows * static_cast<double>(sizes.size()) : rows);
  }

 private:
  /// How many features each prefix has more than the one before; they add up to n.
  std::vector<std::int64_t> block_sizes(const regulon::StepView& step) const {
    const std::int64_t n = step.codes().features();
    std::vector<std::int64_t> widths = widths_.empty() ? draw(n, step.generator()) : widths_;
    if (widths.empty() || widths.back() < n) widths.push_back(n);
    for (std::size_t i = widths.size() - 1; i > 0; --i) widths[i] -= widths[i - 1];
    return widths;
  }

  std::vector<std::int64_t> draw(std::int64_t n, const at::Generator& generator) const {
    const std::int64_t count = std::min(drawn_, n) - 1;
    if (count == 0) return {};
    const at::Tensor found = std::get<0>(at::multinomial(chances_, count, false, generator).sort()) + 1;
    const auto* first = found.const_data_ptr<std::int64_t>();
    return {first, first + count};
  }

  std::vector<std::int64_t> widths_;
  std::int64_t drawn_ = 10;
  std::string reduction_ = "sum";
  at::Tensor chances_;
};

REGULON_LOSS_TERM(Matryoshka, "matryoshka", "Squared errors of nested dictionaries, in the place of mse")
