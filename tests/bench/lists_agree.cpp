/// Trains with the nearest-neighbour orthogonality term by lists, and at every step compares the exact search
/// with a plain brute force, and what the lists hand out and report with the exact neighbours.
///
///     build/regulon_lists_agree --steps 2000 'activations/train-*.safetensors'
///
/// For each rotation that ended since the last line it prints recall and deficit as the term reported them,
/// the same counted over the same rows at the same steps by force, and those of all rows at all steps of the
/// rotation, which the audit, being of lists at the end of their life, is to bound. Exit code 1 if the exact
/// search differs in a row, or the audit from the count, or if all rows were off by more than the audit
/// said, beyond three standard errors.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/error.h>
#include <regulon/neighbour_lists.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/data/normalisation.h"
#include "core/plugin/host.h"
#include "core/train/trainer.h"

namespace regulon {
namespace {

struct Settings {
  std::vector<std::string> patterns;
  std::vector<double> weights{0.25, 10};
  std::int64_t steps = 2000;
  std::int64_t every = 200;
  std::int64_t features = 4096;
  std::int64_t batch = 1024;
  std::int64_t k = 32;
  double learning_rate = 1e-3;
  std::string plugins;
};

constexpr double kRounding = 2e-6;   ///< of cosines in float
constexpr std::int64_t kCursor = 1;  ///< the place of the next row to be renewed in the lists' figures

/// [n] double: |cos| of each row of `weight` with the neighbour it was given, the largest where there are
/// several; -1 where there is none.
std::vector<double> sizes_of(const at::Tensor& weight, const ops::Neighbours& pairs) {
  const at::Tensor left = weight.index_select(0, pairs.row).to(at::kDouble);
  const at::Tensor right = weight.index_select(0, pairs.other).to(at::kDouble);
  const at::Tensor cosines = (left * right).sum(1).abs();
  std::vector<double> sizes(static_cast<std::size_t>(weight.size(0)), -1);
  for (std::int64_t pair = 0; pair < pairs.row.size(0); ++pair) {
    double& size = sizes[static_cast<std::size_t>(pairs.row.const_data_ptr<std::int64_t>()[pair])];
    size = std::max(size, cosines.const_data_ptr<double>()[pair]);
  }
  return sizes;
}

/// [n] float: the largest |cos| of each row with another, by plain products.
at::Tensor by_force(const at::Tensor& weight) {
  constexpr std::int64_t kBlock = 512;
  std::vector<at::Tensor> largest;
  for (std::int64_t begin = 0; begin < weight.size(0); begin += kBlock) {
    const at::Tensor rows = weight.slice(0, begin, begin + kBlock);
    at::Tensor cosines = rows.mm(weight.t()).abs_();
    cosines.slice(1, begin, begin + rows.size(0)).fill_diagonal_(-1);
    largest.push_back(cosines.amax(1));
  }
  return at::cat(largest);
}

/// Shortfalls of some rows at some steps.
struct Shortfalls {
  double rows = 0;
  double found = 0;
  double sum = 0;
  double squares = 0;

  void add(double shortfall) {
    rows += 1;
    found += shortfall == 0 ? 1 : 0;
    sum += shortfall;
    squares += shortfall * shortfall;
  }
  double recall() const { return found / rows; }
  double deficit() const { return sum / rows; }
  double standard_error() const {
    return std::sqrt(std::max(0.0, squares / rows - deficit() * deficit()) / rows);
  }
};

/// Lists like those of the term, kept beside it on the same rows, so that one can look at what they hand out.
class Beside {
 public:
  explicit Beside(const Settings& run, std::int64_t width, std::int64_t renew_every = 0) {
    preparation_.features = run.features;
    preparation_.batch_rows = run.batch;
    preparation_.width = width;
    NeighbourListSettings settings;
    settings.renew_every = renew_every;
    lists_.prepare(preparation_, settings);
  }
  ops::Neighbours nearest(const at::Tensor& weight) { return lists_.nearest(weight); }
  std::map<std::string, double> report() const { return lists_.report(); }
  std::int64_t cursor() const {
    return static_cast<std::int64_t>(preparation_.states()[3].tensor[kCursor].item<double>());
  }
  void copy_state_of(const Beside& other) {
    for (std::size_t i = 0; i < preparation_.states().size(); ++i)
      at::Tensor(preparation_.states()[i].tensor).copy_(other.preparation_.states()[i].tensor);
  }

 private:
  Preparation preparation_;
  NeighbourLists lists_;
};

std::string config_text(const Settings& settings, double weight) {
  return fmt::format(
      "[run]\nsteps = {}\n[data]\nsource = \"files\"\nfiles = [\"{}\"]\nheld_out = 0.0\nbatch = {}\n"
      "[model]\nfeatures = {}\n[optimiser]\nlearning_rate = {}\n[encoder]\nplugin = \"linear\"\n"
      "activation = \"topk\"\nk = {}\n[[loss]]\nplugin = \"mse\"\n[[loss]]\nplugin = \"orthogonality\"\n"
      "search = \"lists\"\nweight = {}\n",
      settings.steps, fmt::join(settings.patterns, "\", \""), settings.batch, settings.features,
      settings.learning_rate, settings.k, weight);
}

/// One run under one weight.
class Comparison {
 public:
  Comparison(const Settings& settings, double weight)
      : settings_(settings),
        host_({std::filesystem::path(settings.plugins)}),
        config_(core::parse_config(config_text(settings, weight), "lists_agree", {}, host_)),
        source_(static_cast<core::Source*>(config_.source.make().release())) {
    core::SourceSetup setup;
    setup.batch = settings.batch;
    setup.base = std::filesystem::current_path();
    source_->open(setup);
    normalisation_ = core::estimate_normalisation(*source_, "scale");
    trainer_ = std::make_unique<core::Trainer>(config_, host_, rows(0));
    lists_ = std::make_unique<Beside>(settings, source_->width());
    frozen_ = std::make_unique<Beside>(settings, source_->width(), std::int64_t{1} << 40);
    fmt::print("weight {}\n{:>6} {:>7} {:>9} {:>7} {:>8} {:>10} {:>8} {:>10} {:>8} {:>10} {:>7}\n", weight,
               "step", "exact", "nearest", "period", "recall", "deficit", "by force", "by force", "all rows",
               "all rows", "fvu");
  }

  bool run() {
    for (std::int64_t step = 0; step < settings_.steps; ++step) {
      const at::Tensor weight = trainer_->model().dictionary().weight().detach();
      const std::vector<double> best = exact_sizes(weight);
      const bool ended = look_at_lists(step, weight, best);
      core::Report report;
      trainer_->step(rows(step), &report);
      if (ended) hold_report_against_count(report);
      if (step % settings_.every == settings_.every - 1) print(report, best);
    }
    fmt::print(
        "exact and brute force: {} of {} rows differ; {} rotations: {} reports differ from the count "
        "(at most {:.1e} in recall, {:.1e} in deficit), {} did not bound all rows\n",
        exact_differs_, settings_.steps * settings_.features, rotations_, reports_differ_, most_recall_off_,
        most_deficit_off_, not_bounded_);
    return exact_differs_ == 0 && reports_differ_ == 0 && not_bounded_ == 0 && rotations_ > 0;
  }

 private:
  at::Tensor rows(std::int64_t step) { return normalisation_.apply(source_->batch(step)); }

  /// Of the exact search, held against plain products.
  std::vector<double> exact_sizes(const at::Tensor& weight) {
    std::vector<double> sizes = sizes_of(weight, ops::nearest_neighbours(weight));
    const at::Tensor largest = by_force(weight);
    for (std::size_t row = 0; row < sizes.size(); ++row) {
      const double wanted = static_cast<double>(largest.const_data_ptr<float>()[row]);
      if (!(std::abs(sizes[row] - wanted) <= kRounding)) ++exact_differs_;
    }
    return sizes;
  }

  /// Counts what lists hand out today for all rows, none made anew, and lets the lists turn. Returns whether
  /// a rotation ended.
  bool look_at_lists(std::int64_t step, const at::Tensor& weight, const std::vector<double>& best) {
    if (step == 0) {
      lists_->nearest(weight);
      return false;
    }
    frozen_->copy_state_of(*lists_);
    const std::vector<double> used = sizes_of(weight, frozen_->nearest(weight));
    const std::int64_t begin = lists_->cursor();
    lists_->nearest(weight);
    const std::int64_t next = lists_->cursor();
    // Some calls make no list anew; a rotation that ends puts the cursor back.
    const std::int64_t end = next >= begin ? next : settings_.features;
    for (std::size_t row = 0; row < used.size(); ++row) {
      const double shortfall = std::abs(best[row] - std::max(0.0, used[row]));
      all_.add(shortfall);
      const auto at = static_cast<std::int64_t>(row);
      if (at >= begin && at < end) due_.add(shortfall);
    }
    return end == settings_.features;
  }

  void hold_report_against_count(const core::Report& report) {
    rotations_ += 1;
    reported_recall_ = report.figures.at("orthogonality.recall");
    reported_deficit_ = report.figures.at("orthogonality.deficit");
    const double recall_off = std::abs(reported_recall_ - due_.recall());
    const double deficit_off = std::abs(reported_deficit_ - due_.deficit());
    most_recall_off_ = std::max(most_recall_off_, recall_off);
    most_deficit_off_ = std::max(most_deficit_off_, deficit_off);
    // Two rows whose cosines are the same in float and not in double may be counted otherwise.
    if (recall_off > 2.0 / static_cast<double>(settings_.features) || deficit_off > kRounding)
      reports_differ_ += 1;
    if (all_.deficit() > reported_deficit_ + 3 * due_.standard_error() + kRounding) not_bounded_ += 1;
    last_due_ = due_;
    last_all_ = all_;
    due_ = all_ = {};
  }

  void print(const core::Report& report, const std::vector<double>& best) const {
    double mean = 0;
    for (const double size : best) mean += size / static_cast<double>(best.size());
    fmt::print("{:>6} {:>7} {:>9.4f}", report.step, exact_differs_ == 0 ? "agrees" : "DIFFERS", mean);
    if (rotations_ > 0) {
      fmt::print(" {:>7.1f} {:>8.4f} {:>10.2e} {:>8.4f} {:>10.2e} {:>8.4f} {:>10.2e}",
                 report.figures.at("orthogonality.period"), reported_recall_, reported_deficit_,
                 last_due_.recall(), last_due_.deficit(), last_all_.recall(), last_all_.deficit());
    } else {
      fmt::print(" {:>63}", "no rotation yet");
    }
    fmt::print(" {:>7.4f}\n", report.fvu);
    std::fflush(stdout);
  }

  const Settings& settings_;
  core::PluginHost host_;
  core::Config config_;
  std::unique_ptr<core::Source> source_;
  core::Normalisation normalisation_;
  std::unique_ptr<core::Trainer> trainer_;
  std::unique_ptr<Beside> lists_;   ///< as the term's own
  std::unique_ptr<Beside> frozen_;  ///< the same before they turn
  Shortfalls due_;                  ///< rows whose lists were about to be made anew
  Shortfalls all_;
  Shortfalls last_due_;
  Shortfalls last_all_;
  double reported_recall_ = 0;
  double reported_deficit_ = 0;
  double most_recall_off_ = 0;
  double most_deficit_off_ = 0;
  std::int64_t exact_differs_ = 0;
  std::int64_t rotations_ = 0;
  std::int64_t reports_differ_ = 0;
  std::int64_t not_bounded_ = 0;
};

}  // namespace
}  // namespace regulon

int main(int argc, char** argv) {
  CLI::App app("Whether nearest neighbours by lists are as near, and as well audited, as they say");
  regulon::Settings settings;
  settings.plugins = (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "plugins").string();
  app.add_option("FILES", settings.patterns, "Patterns of safetensors and npy files")->required();
  app.add_option("--weights", settings.weights, "Weights of the term, a run each")->capture_default_str();
  app.add_option("--steps", settings.steps, "Steps of a run")->capture_default_str();
  app.add_option("--every", settings.every, "Steps from one line to the next")->capture_default_str();
  app.add_option("--features", settings.features, "Dictionary rows n")->capture_default_str();
  app.add_option("--batch", settings.batch, "Rows of a step")->capture_default_str();
  app.add_option("--k", settings.k, "Active features of a row")->capture_default_str();
  app.add_option("--learning-rate", settings.learning_rate, "Of the optimiser")->capture_default_str();
  app.add_option("--plugins", settings.plugins, "Folder of built plugins")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    bool agree = true;
    for (const double weight : settings.weights) agree = regulon::Comparison(settings, weight).run() && agree;
    fmt::print("{}\n", agree ? "all agree" : "THEY DIFFER");
    return agree ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
