#include "core/train/refit.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <regulon/ops.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/io/atomic_file.h"
#include "core/io/json_file.h"
#include "core/io/safetensors.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;

/// The least-squares problem in what changes: a matrix [n, d], or a factor less
/// one per feature [n, 1].
class RefitProblem {
 public:
  RefitProblem(const std::vector<Codes>& codes, const at::Tensor& weight, const RefitSettings& settings)
      : codes_(codes), weight_(weight.detach()), scale_only_(settings.scale_only) {
    squares_ = at::zeros({weight_.size(0)}, weight_.options());
    for (const Codes& batch : codes_)
      squares_ = squares_ + ops::feature_sums(batch.with_values(batch.values().detach().square()));
    if (scale_only_) squares_ = squares_ * weight_.square().sum(1);
    const at::Tensor used = squares_ > 0;
    const double count = used.sum().item<double>();
    ridge_ = count > 0 ? settings.ridge * squares_.sum().item<double>() / count : 0;
    squares_ = at::where(used, squares_ + ridge_, at::ones_like(squares_)).unsqueeze(1);
  }

  at::Tensor nothing() const {
    return at::zeros({weight_.size(0), scale_only_ ? 1 : weight_.size(1)}, weight_.options());
  }
  const at::Tensor& diagonal() const { return squares_; }  ///< [n, 1], for preconditioning
  at::Tensor dictionary(const at::Tensor& change) const {
    return scale_only_ ? weight_ * (change + 1) : weight_ + change;
  }

  /// What is left of the targets by the weight as it is, taken back to the
  /// change's space.
  at::Tensor right_side(const std::function<at::Tensor(std::size_t)>& targets) const {
    at::Tensor sum = nothing();
    for (std::size_t i = 0; i < codes_.size(); ++i)
      sum = sum + transposed(i, nothing(), [&](const at::Tensor&) {
              return targets(i) - ops::decode(codes_[i], weight_, {});
            });
    return sum;
  }
  /// The normal equations' matrix times `change`, without making it.
  at::Tensor times(const at::Tensor& change) const {
    at::Tensor sum = ridge_ * change;
    for (std::size_t i = 0; i < codes_.size(); ++i)
      sum = sum + transposed(i, change, [](const at::Tensor& product) { return product.detach(); });
    return sum;
  }

 private:
  /// The transpose of batch i's linear map, times rows_of(the map times
  /// `change`): decode's own gradient.
  template <class RowsOf>
  at::Tensor transposed(std::size_t i, const at::Tensor& change, const RowsOf& rows_of) const {
    const at::Tensor leaf = change.detach();
    const c10::AutoGradMode with_gradient(true);
    leaf.set_requires_grad(true);
    const at::Tensor product = ops::decode(codes_[i], scale_only_ ? weight_ * leaf : leaf, {});
    at::Tensor rows;
    {
      const at::NoGradGuard no_grad;
      rows = rows_of(product);
    }
    product.backward(rows);
    return leaf.grad();
  }

  const std::vector<Codes>& codes_;
  at::Tensor weight_;
  bool scale_only_;
  double ridge_ = 0;
  at::Tensor squares_;
};

/// Sums of each column's products: [1, columns].
at::Tensor column_products(const at::Tensor& a, const at::Tensor& b) { return (a * b).sum(0, true); }

/// a / b, zero where b is: a column that is solved stays so.
at::Tensor column_ratio(const at::Tensor& a, const at::Tensor& b) {
  return at::where(b > 0, a / b.clamp_min(1e-300), at::zeros_like(a));
}

/// The codes of the training stream's first batches, which hold at least `rows` rows.
std::vector<Codes> codes_to_fit(Run& run, std::int64_t rows) {
  std::vector<Codes> codes;
  std::int64_t seen = 0;
  for (std::int64_t step = 0; seen < rows; ++step) {
    codes.push_back(run.encode(run.source().batch(step)).detach());
    seen += codes.back().rows();
  }
  return codes;
}

void require_same_codes(const Codes& before, const Codes& after, const fs::path& folder) {
  if (at::equal(before.row_offsets(), after.row_offsets()) &&
      at::equal(before.feature_ids(), after.feature_ids()) && at::equal(before.values(), after.values()))
    return;
  throw InputError({folder.string(), "cannot be refitted", "an encoder that does not read the decoder's rows",
                    "one whose codes change with them",
                    "tied encoders, and those that solve with the dictionary, "
                    "are trained with it instead"});
}

/// The old weights, with other dictionary rows.
NamedTensors with_decoder(const NamedTensors& weights, const at::Tensor& decoder) {
  NamedTensors changed = weights;
  for (auto& [name, tensor] : changed) {
    if (name == "decoder.weight") tensor = decoder;
  }
  return changed;
}

}  // namespace

Fit refit(const std::vector<Codes>& codes, const std::function<at::Tensor(std::size_t)>& targets,
          const at::Tensor& weight, const RefitSettings& settings) {
  const at::NoGradGuard no_grad;
  const RefitProblem problem(codes, weight, settings);
  at::Tensor change = problem.nothing();
  at::Tensor left = problem.right_side(targets);
  at::Tensor scaled = left / problem.diagonal();
  at::Tensor direction = scaled;
  at::Tensor size = column_products(left, scaled);
  const double first = left.norm().item<double>();
  Fit fit;
  fit.gradient = first > 0 ? 1 : 0;
  while (fit.iterations < settings.iterations && fit.gradient > settings.tolerance) {
    const at::Tensor product = problem.times(direction);
    const at::Tensor step = column_ratio(size, column_products(direction, product));
    change = change + step * direction;
    left = left - step * product;
    scaled = left / problem.diagonal();
    const at::Tensor next = column_products(left, scaled);
    direction = scaled + column_ratio(next, size) * direction;
    size = next;
    fit.gradient = left.norm().item<double>() / first;
    ++fit.iterations;
  }
  fit.weight = problem.dictionary(change);
  return fit;
}

RefitReport refit_run(const fs::path& folder, PluginHost& host, const RefitSettings& settings,
                      const fs::path& out) {
  require_absent(out);
  Run run(folder, host);
  const std::vector<Codes> codes = codes_to_fit(run, settings.rows);
  RefitReport report;
  report.before = run.evaluate(run.source(), kEvaluationRows).held_out;
  const Dictionary dictionary = run.model().dictionary().detach();
  const auto targets = [&](std::size_t i) {
    const at::Tensor rows = run.source().batch(static_cast<std::int64_t>(i));
    return run.normalisation().apply(rows) - dictionary.bias();
  };
  report.fit = refit(codes, targets, dictionary.weight(), settings);

  const NamedTensors weights = SafetensorsFile(folder / "weights.safetensors").tensors();
  const NamedTensors changed = with_decoder(weights, report.fit.weight);
  run.model().load(changed, (folder / "weights.safetensors").string());
  require_same_codes(codes.front(), run.encode(run.source().batch(0)).detach(), folder);
  report.after = run.evaluate(run.source(), kEvaluationRows).held_out;

  AtomicFolder output(out);
  nlohmann::json manifest = read_json_object(folder / "manifest.json");
  manifest["refit"] = {{"of", folder.string()},
                       {"scale_only", settings.scale_only},
                       {"ridge", settings.ridge},
                       {"rows", settings.rows},
                       {"iterations", report.fit.iterations}};
  write_atomically(output.path() / "manifest.json", manifest.dump(2) + "\n");
  write_safetensors(output.path() / "weights.safetensors", changed);
  const nlohmann::json summary = {{"held_out", to_json(report.after)}, {"before", to_json(report.before)}};
  write_atomically(output.path() / "summary.json", summary.dump(2) + "\n");
  output.commit();
  return report;
}

}  // namespace regulon::core
