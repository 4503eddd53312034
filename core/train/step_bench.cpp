#include "core/train/step_bench.h"

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/error.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/config/config.h"
#include "core/data/prefetcher.h"
#include "core/train/environment.h"
#include "core/train/trainer.h"

namespace regulon::core {
namespace {

constexpr std::int64_t kWarmUpSteps = 4;
constexpr std::int64_t kPoolBatches = 4;
constexpr double kFaint = 0.05;  ///< what is left of a dead feature's encoder weights
constexpr std::int64_t kLongSilent = std::int64_t{1} << 40;  ///< rows

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point began) {
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

double median(std::vector<double> numbers) {
  const auto middle = numbers.begin() + static_cast<std::ptrdiff_t>(numbers.size() / 2);
  std::nth_element(numbers.begin(), middle, numbers.end());
  return *middle;
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

/// Hands out the same few batches again and again.
class Pool final : public Source {
 public:
  explicit Pool(std::vector<at::Tensor> batches) : batches_(std::move(batches)) {}
  void open(const SourceSetup&) override {}
  std::int64_t width() const override { return batches_.front().size(1); }
  std::int64_t training_rows() const override { return 0; }
  at::Tensor batch(std::int64_t step) override {
    return batches_[static_cast<std::size_t>(step) % batches_.size()];
  }
  std::int64_t held_out_rows() const override { return 0; }
  at::Tensor held_out(std::int64_t, std::int64_t) override { return {}; }
  std::string fingerprint() const override { return ""; }

 private:
  std::vector<at::Tensor> batches_;
};

bool has_parameter(const PluginDescriptor* descriptor, const std::string& name) {
  return descriptor != nullptr && std::any_of(descriptor->params.begin(), descriptor->params.end(),
                                              [&](const ParamSpec& spec) { return spec.name == name; });
}

/// The config, as somebody would write it.
std::string config_text(const StepBenchSettings& settings, PluginHost& host) {
  // A rate at which the codes stay as they are.
  std::string text = fmt::format(
      "[run]\nsteps = 1000000\nthreads = {}\nprecision = \"{}\"\ndevice = \"{}\"\n"
      "[optimiser]\nlearning_rate = 1e-6\n[model]\nfeatures = {}\n[encoder]\nplugin = \"{}\"\nactivation = "
      "\"{}\"\n",
      settings.threads, settings.precision, settings.device, settings.features, settings.encoder,
      settings.activation);
  if (has_parameter(host.find("activation/1", settings.activation), "k"))
    text += fmt::format("k = {}\n", settings.k);
  for (const std::string& loss : settings.losses) text += fmt::format("[[loss]]\nplugin = \"{}\"\n", loss);
  text += fmt::format("[data]\nbatch = {}\n", settings.batch);
  if (!settings.data.empty())
    return text + fmt::format("source = \"files\"\nfiles = [\"{}\"]\n", fmt::join(settings.data, "\", \""));
  const std::int64_t known = 4 * settings.width;
  return text + fmt::format("source = \"toy.general\"\nwidth = {}\nfeatures = {}\np = {}\n", settings.width,
                            known,
                            std::min(1.0, static_cast<double>(settings.k) / static_cast<double>(known)));
}

std::unique_ptr<Source> open_data(const Config& config, bool from_files) {
  std::unique_ptr<Source> source(static_cast<Source*>(config.source.make().release()));
  SourceSetup setup;
  setup.batch = config.data.batch;
  setup.base = std::filesystem::current_path();
  source->open(setup);
  if (from_files) return source;
  std::vector<at::Tensor> batches;
  for (std::int64_t step = 0; step < kPoolBatches; ++step) batches.push_back(source->batch(step));
  return std::make_unique<Pool>(std::move(batches));
}

/// Lowers the encoder's bias until `k` features of a row are above zero on average: where training takes
/// codes that no k holds.
void settle_density(Model& model, const at::Tensor& batch, std::int64_t k) {
  const at::NoGradGuard no_grad;
  const auto parameters = model.encoder_parameters();
  const auto bias = parameters.find("bias");
  if (bias == parameters.end()) return;
  Selection best;
  best.family = Selection::Family::rank;
  best.scope = Selection::Scope::batch;
  best.k = k;
  const Codes codes = model.encode_with(best, batch, model.dictionary().detach(), {});
  at::Tensor(bias->second).sub_(codes.values().min());
}

/// Makes that share of the features dead, evenly spread: silent for long, and so faint in the encoder that
/// none is chosen, while as many as ever are above zero. A bias that keeps them from being chosen would leave
/// AuxK, which takes positive ones only, with hardly any.
void make_dead(Trainer& trainer, double share) {
  const at::NoGradGuard no_grad;
  const std::int64_t features = trainer.model().features();
  const std::int64_t count = std::llround(share * static_cast<double>(features));
  if (count == 0) return;
  const auto parameters = trainer.model().encoder_parameters();
  const auto found = parameters.find("weight");
  if (found == parameters.end() || found->second.size(0) != features) {
    throw InputError({"--dead", "this encoder's features cannot be made faint",
                      "an encoder with a parameter weight of one row a feature", "none",
                      "Take another --encoder, or leave --dead away."});
  }
  const at::Tensor ids = at::arange(count, at::kLong).mul_(features).floor_divide_(count);
  at::Tensor weight = found->second;
  weight.index_copy_(0, ids, weight.index_select(0, ids) * kFaint);
  NamedTensors state = trainer.state();
  for (auto& [name, tensor] : state) {
    if (name == "statistics.silent_rows") tensor = tensor.index_fill(0, ids, kLongSilent);
  }
  trainer.load(state, trainer.step_number(), "bench step");
}

/// The trainer, its data, and the product that it is held against.
class Bench {
 public:
  Bench(const StepBenchSettings& settings, PluginHost& host)
      : config_(parse_config(config_text(settings, host), "what bench step's options make",
                             settings.overrides, host)),
        source_(open_data(config_, !settings.data.empty())),
        trainer_(config_, host, source_->batch(0)) {
    use_device(config_.run.device);
    use_threads(config_.run.threads, config_.data.batch * config_.model.features * source_->width());
    if (!has_parameter(config_.activation.descriptor, "k"))
      settle_density(trainer_.model(), source_->batch(0), settings.k);
    make_dead(trainer_, settings.dead);
  }

  StepBenchResult run(std::int64_t steps) {
    Prefetcher batches(*source_, 0, batch_making());
    for (std::int64_t step = 0; step < kWarmUpSteps; ++step) trainer_.step(batches.next(), nullptr);
    StepBenchResult result;
    result.peak_mib = peak_mib();
    make_floor();
    measure_steps(batches, steps, result);
    measure_phases(batches, steps, result);
    measure_reports(batches, steps, result);
    return result;
  }

 private:
  void make_floor() {
    const std::int64_t width = source_->width();
    left_ = at::randn({config_.data.batch, width});
    right_ = at::randn({config_.model.features, width}).t();
    product_ = at::empty({config_.data.batch, config_.model.features});
    floor_ms();  // touches the pages
  }

  double floor_ms() {
    const at::NoGradGuard no_grad;
    const auto began = Clock::now();
    at::mm_out(product_, left_, right_);
    return milliseconds_since(began);
  }

  /// Steps as training takes them, each after a product of its own.
  void measure_steps(Prefetcher& batches, std::int64_t steps, StepBenchResult& result) {
    std::vector<double> taken;
    std::vector<double> floors;
    std::vector<double> ratios;
    for (std::int64_t step = 0; step < steps; ++step) {
      floors.push_back(floor_ms());
      const auto began = Clock::now();
      trainer_.step(batches.next(), nullptr);
      taken.push_back(milliseconds_since(began));
      ratios.push_back(taken.back() / floors.back());
    }
    result.step_ms = median(taken);
    result.floor_ms = median(floors);
    result.ratio = median(ratios);
  }

  /// As many steps under the clock, which makes the reconstruction a part of its own.
  void measure_phases(Prefetcher& batches, std::int64_t steps, StepBenchResult& result) {
    trainer_.model().measure(&select_times_);
    trainer_.set_clock(&clock_);
    double waited = 0;
    double total = 0;
    for (std::int64_t step = 0; step < steps; ++step) {
      floor_ms();  // so that caches are as they were for the steps
      const auto began = Clock::now();
      const at::Tensor batch = batches.next();
      waited += milliseconds_since(began);
      trainer_.step(batch, nullptr);
      total += milliseconds_since(began);
    }
    result.mean_ms = total / static_cast<double>(steps);
    result.phases = phases(waited, static_cast<double>(steps));
  }

  std::vector<std::pair<std::string, double>> phases(double waited, double steps) const {
    const auto part = [&](const std::atomic<std::int64_t>& nanoseconds) {
      return static_cast<double>(nanoseconds) / 1e6 / steps / static_cast<double>(at::get_num_threads());
    };
    std::vector<std::pair<std::string, double>> all = {{"data", waited / steps},
                                                       {"product", part(select_times_.product)},
                                                       {"selection", part(select_times_.selection)},
                                                       {"exact recompute", part(select_times_.exact)}};
    double encode = 1e3 * clock_.seconds(Phase::encode) / steps;
    for (std::size_t i = 1; i < all.size(); ++i) encode -= all[i].second;
    all.emplace_back("rest of encode", encode);
    for (const Phase phase :
         {Phase::decode, Phase::terms, Phase::backward, Phase::optimiser, Phase::statistics}) {
      all.emplace_back(kPhaseNames.at(static_cast<std::size_t>(phase)), 1e3 * clock_.seconds(phase) / steps);
    }
    return all;
  }

  /// Half of `steps`, at least one, with a report each, in turn with as many without.
  void measure_reports(Prefetcher& batches, std::int64_t steps, StepBenchResult& result) {
    trainer_.set_clock(nullptr);
    trainer_.model().measure(nullptr);
    std::vector<double> plain;
    std::vector<double> added;
    for (std::int64_t pair = 0; pair < (steps + 1) / 2; ++pair) {
      const at::Tensor batch = batches.next();
      auto began = Clock::now();
      trainer_.step(batch, nullptr);
      plain.push_back(milliseconds_since(began));
      Report report;
      began = Clock::now();
      trainer_.step(batch, &report);
      static_cast<void>(to_json(report).dump());
      added.push_back(milliseconds_since(began) - plain.back());
      result.l0 = report.l0;
      result.dead_share = report.dead_share;
    }
    result.report_every = config_.run.report_every;
    result.report_share =
        std::max(0.0, median(added)) / (median(plain) * static_cast<double>(result.report_every));
  }

  Config config_;
  std::unique_ptr<Source> source_;
  Trainer trainer_;
  StepClock clock_;
  SelectTimes select_times_;
  at::Tensor left_;
  at::Tensor right_;
  at::Tensor product_;
};

}  // namespace

nlohmann::json to_json(const StepBenchResult& result) {
  nlohmann::json phases = nlohmann::json::object();
  for (const auto& [name, milliseconds] : result.phases) phases[name] = milliseconds;
  return {{"step_ms", result.step_ms},
          {"mean_ms", result.mean_ms},
          {"floor_ms", result.floor_ms},
          {"ratio", result.ratio},
          {"phases", phases},
          {"report_every", result.report_every},
          {"report_share", result.report_share},
          {"l0", result.l0},
          {"dead_share", result.dead_share},
          {"peak_mib", result.peak_mib}};
}

StepBenchResult bench_step(const StepBenchSettings& settings, PluginHost& host) {
  return Bench(settings, host).run(settings.steps);
}

}  // namespace regulon::core
