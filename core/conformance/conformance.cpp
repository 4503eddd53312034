#include "core/conformance/conformance.h"

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/error.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <utility>

#include "core/conformance/gradient_check.h"
#include "core/data/normalisation.h"
#include "core/train/trainer.h"

namespace regulon::core {
namespace {

using Outcome = Finding::Outcome;

constexpr std::int64_t kSteps = 12;
constexpr std::int64_t kSampleBatches = 4;
constexpr double kSlopesAgree = 0.1;  ///< kinks between the two points that differences take are no defect
constexpr double kMeansAgree = 1e-3;
constexpr const char* kNoValue =
    "it has no value at this step, and could not be looked at: right only if it acts after the step, or "
    "seldom";

/// The number of threads while it lives.
class Threads {
 public:
  explicit Threads(int count) : before_(at::get_num_threads()) { at::set_num_threads(count); }
  ~Threads() { at::set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

/// What the first of several problems says, on one line.
std::string text_of(const Error& error) { return describe(error.problems().front()); }

/// Where two states of one run differ; empty if they are the same bits.
std::string difference(const NamedTensors& one, const NamedTensors& other) {
  for (const auto& [name, tensor] : one) {
    const at::Tensor same = find_tensor(other, name);
    const at::Tensor left = tensor.to(at::kDouble);
    const at::Tensor right = same.to(at::kDouble);
    // Two NaNs are the same: a state may mark what it has not seen yet.
    const at::Tensor apart = (left - right)
                                 .abs()
                                 .masked_fill_(left.eq(right), 0)
                                 .masked_fill_(left.isnan().logical_and(right.isnan()), 0);
    if (apart.eq(0).all().item<bool>()) continue;
    return fmt::format("{} differs in {} of {} numbers, by up to {:.3g}", name,
                       apart.ne(0).sum().item<std::int64_t>(), tensor.numel(), apart.max().item<double>());
  }
  return "";
}

class Conformance {
 public:
  Conformance(Config config, const PluginHost& host, const Choice& plugin)
      : config_(std::move(config)), host_(host), plugin_(plugin) {
    config_.run.steps = 10 * kSteps;
    const std::unique_ptr<Source> source(static_cast<Source*>(config_.source.make().release()));
    SourceSetup setup;
    setup.batch = config_.data.batch;
    setup.base = config_.folder();
    source->open(setup);
    const Normalisation normalisation = estimate_normalisation(*source, config_.data.normalise);
    for (std::int64_t step = 0; step < kSteps; ++step)
      batches_.push_back(normalisation.apply(source->batch(step)));
    sample_ = at::cat(std::vector<at::Tensor>(batches_.begin(), batches_.begin() + kSampleBatches));
  }

  std::vector<Finding> all() {
    look("documented", [&] { return documented(); });
    if (!look("trains", [&] { return trains(); })) return std::move(findings_);
    if (!look("same again", [&] { return same_again(); })) return std::move(findings_);
    look("threads", [&] { return threads(); });
    look("resumes", [&] { return resumes(); });
    look("strange rows", [&] { return strange_rows(); });
    if (is_loss()) look("a mean", [&] { return mean(); });
    look("gradient", [&] { return gradient(); });
    return std::move(findings_);
  }

 private:
  using Result = std::pair<Outcome, std::string>;

  /// Runs one check; whether it did not fail.
  bool look(const std::string& check, const std::function<Result()>& body) {
    Result result;
    try {
      result = body();
    } catch (const Error& error) {
      result = {Outcome::failed, text_of(error)};
    }
    findings_.push_back({check, result.first, result.second});
    return result.first != Outcome::failed;
  }

  bool is_loss() const {
    return std::any_of(config_.losses.begin(), config_.losses.end(),
                       [&](const LossChoice& loss) { return loss.term.descriptor == plugin_.descriptor; });
  }

  NamedTensors saved(const Trainer& trainer) const {
    NamedTensors copy;
    for (const auto& [name, tensor] : trainer.state()) copy.emplace_back(name, tensor.detach().clone());
    return copy;
  }

  /// The objective of the last of them.
  double take_steps(Trainer& trainer, std::int64_t to) const {
    Report report;
    while (trainer.step_number() < to) {
      report = {};
      trainer.step(batches_[static_cast<std::size_t>(trainer.step_number())], &report);
    }
    return report.loss;
  }

  /// A value may differ where what is learnt from it does not.
  static NamedTensors with_objective(NamedTensors state, double objective) {
    state.emplace_back("the objective of the last step", at::full({}, objective, at::kDouble));
    return state;
  }

  NamedTensors trained() const {
    Trainer trainer(config_, host_, sample_);
    const double objective = take_steps(trainer, kSteps);
    trainer.require_finite();
    return with_objective(saved(trainer), objective);
  }

  NamedTensors resumed() const {
    Trainer first(config_, host_, sample_);
    take_steps(first, kSteps / 2);
    Trainer second(config_, host_, sample_);
    second.load(saved(first), kSteps / 2, "the saved state");
    const double objective = take_steps(second, kSteps);
    return with_objective(saved(second), objective);
  }

  Result documented() const {
    const PluginDescriptor& descriptor = *plugin_.descriptor;
    if (descriptor.summary.empty()) return {Outcome::noted, "it has no summary"};
    for (const ParamSpec& param : descriptor.params) {
      if (param.doc.empty()) return {Outcome::noted, "parameter '" + param.name + "' has no .doc(\"…\")"};
    }
    return {Outcome::passed,
            fmt::format("its summary and each of its {} parameters", descriptor.params.size())};
  }

  Result trains() {
    whole_ = trained();
    return {Outcome::passed, fmt::format("{} steps, every number finite", kSteps)};
  }

  Result same_again() const {
    const std::string apart = difference(whole_, trained());
    if (apart.empty()) return {Outcome::passed, "trained again from the same seed: the same bits"};
    return {Outcome::failed, "trained again from the same seed, " + apart +
                                 ": what is drawn at random has to come from the view's generator"};
  }

  Result threads() const {
    for (const int count : {1, 3}) {
      const Threads guard(count);
      const std::string apart = difference(whole_, trained());
      if (apart.empty()) continue;
      return {Outcome::failed,
              fmt::format("with {} thread{}, {}: a sum needs a fixed order, as ops::total has", count,
                          count == 1 ? "" : "s", apart)};
    }
    return {Outcome::passed, "with one and with three: the same bits"};
  }

  Result resumes() const {
    const std::string apart = difference(whole_, resumed());
    if (apart.empty()) return {Outcome::passed, "gone on from a saved state: the same bits"};
    return {Outcome::failed, "gone on from a saved state, " + apart +
                                 ": a member that changes from step to step has to be registered in prepare, "
                                 "with preparation.state"};
  }

  Result strange_rows() const {
    const at::Tensor& usual = batches_.front();
    const std::vector<std::pair<std::string, at::Tensor>> all = {
        {"rows of zeros", at::zeros_like(usual)},
        {"equal rows", usual.narrow(0, 0, 1).expand_as(usual).contiguous()},
        {"rows a thousand times as long", usual * 1e3},
        {"rows a thousandth as long", usual * 1e-3}};
    std::vector<std::string> names;
    for (const auto& [name, rows] : all) {
      try {
        Trainer trainer(config_, host_, sample_);
        for (int step = 0; step < 3; ++step) {
          Report report;
          trainer.step(rows, &report);
        }
        trainer.require_finite();
      } catch (const RunError& error) {
        return {Outcome::failed, name + ": " + text_of(error)};
      }
      names.push_back(name);
    }
    return {Outcome::passed, fmt::format("{}: every number finite", fmt::join(names, ", "))};
  }

  /// The term's value on `rows` at the end of the whole run, if it has one there.
  std::pair<bool, double> term_on(const at::Tensor& rows) const {
    Trainer trainer(config_, host_, sample_);
    trainer.load(whole_, kSteps, "the whole run");
    Report report;
    trainer.step(rows, &report);
    for (const TermReport& term : report.terms) {
      if (term.name == plugin_.name) return {term.ran, term.value};
    }
    return {false, 0.0};
  }

  Result mean() const {
    const at::Tensor& rows = batches_.front();
    const auto [ran, once] = term_on(rows);
    if (!ran) return {Outcome::noted, kNoValue};
    if (once == 0) return {Outcome::noted, "its value is 0: nothing could be seen of it"};
    double twice = 0;
    try {
      twice = term_on(at::cat({rows, rows})).second;
    } catch (const RunError& error) {
      return {Outcome::noted, "on a batch twice as large as it was told: " + text_of(error)};
    }
    const double size = std::max({std::fabs(once), std::fabs(twice), 1e-12});
    if (std::fabs(once - twice) <= kMeansAgree * size)
      return {Outcome::passed, fmt::format("{:.6g} on a batch, and on that batch twice", once)};
    const std::string values = fmt::format("{:.6g} on a batch, {:.6g} on that batch twice", once, twice);
    if (std::fabs(2 * once - twice) <= kMeansAgree * size)
      return {Outcome::failed,
              values + ": a sum over rows, whose weight would mean another thing at every batch size"};
    return {Outcome::noted,
            values + ": right only for a term of pairs of rows, or of rows drawn by its generator"};
  }

  /// Of the term alone if it is one; with kinks of the others left out of it.
  Result gradient() const {
    Config alone = config_;
    for (LossChoice& loss : alone.losses) {
      if (is_loss() && loss.term.name != plugin_.name) loss.weight = Schedule(0.0);
    }
    if (is_loss() && !term_on(batches_.front()).first) return {Outcome::noted, kNoValue};
    std::size_t compared = 0;
    for (const SlopeComparison& one :
         compare_slopes(alone, host_, sample_, batches_.front(), whole_, kSteps)) {
      ++compared;
      if (one.error <= kSlopesAgree) continue;
      return {Outcome::noted,
              fmt::format("along a random direction of {}, backward says {:.4g}, finite differences {:.4g}: "
                          "look for a detach() or a rounding; straight-through estimates, and choices or "
                          "weights that a term holds constant, differ rightly",
                          one.parameter, one.gradient, one.differences)};
    }
    return {Outcome::passed, fmt::format("agrees with finite differences for {} parameters", compared)};
  }

  Config config_;
  const PluginHost& host_;
  const Choice& plugin_;
  std::vector<at::Tensor> batches_;
  at::Tensor sample_;
  NamedTensors whole_;  ///< of the run of kSteps
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> check_conformance(const Config& config, const PluginHost& host, const Choice& plugin) {
  return Conformance(config, host, plugin).all();
}

}  // namespace regulon::core
