#include "core/train/objective.h"

#include <utility>

#include "core/measure/evaluation.h"

namespace regulon::core {
namespace {

/// Counted from one, as reports count: a report at step 50 sees a term that runs at every fifth.
bool takes_its_turn(const LossChoice& choice, std::int64_t step) { return (step + 1) % choice.every == 0; }

}  // namespace

double Objective::Term::weight_at(std::int64_t step) const {
  const double rescaled = choice.weight.at(step) * (choice.rescale ? static_cast<double>(choice.every) : 1.0);
  return steering ? rescaled * steering->factor() : rescaled;
}

Objective::Objective(const Config& config, const PluginHost& host) {
  for (const auto& choice : config.losses) {
    GuardedPlugin plugin(choice.term.make(), choice.term.name, host.origin(*choice.term.descriptor));
    const bool acts = plugin.acts_after_step();
    std::optional<WeightSteering> steering;
    if (choice.target_l0 > 0) steering.emplace(choice.target_l0);
    terms_.push_back({choice, std::move(plugin), acts, std::move(steering)});
  }
}

void Objective::prepare(const Preparation& outline, std::uint64_t seed) {
  for (auto& term : terms_) {
    Preparation own = outline;
    own.generator = named_generator(seed, "loss." + term.plugin.name());
    term.plugin.prepare(own);
  }
}

std::vector<Parameter> Objective::parameters() const {
  std::vector<Parameter> all;
  for (const auto& term : terms_) {
    for (const auto& own : term.plugin.preparation().parameters()) {
      all.push_back({"loss." + term.plugin.name() + "." + own.name, own.tensor});
    }
  }
  return all;
}

NamedTensors Objective::state() const {
  NamedTensors all;
  for (const auto& term : terms_) {
    const Preparation& kept = term.plugin.preparation();
    for (const auto* list : {&kept.parameters(), &kept.states()}) {
      for (const auto& own : *list)
        all.emplace_back("loss." + term.plugin.name() + "." + own.name, own.tensor);
    }
    if (term.steering) all.emplace_back("steering." + term.plugin.name(), term.steering->state());
  }
  return all;
}

at::Tensor Objective::value(const StepView& step, std::vector<TermReport>* terms) {
  at::Tensor total;
  for (auto& term : terms_) {
    TermReport report{term.plugin.name()};
    term.choice.term.update(term.plugin.object(), step.step());  // also for after_step, whatever the weight
    const double weight = term.weight_at(step.step());
    if (takes_its_turn(term.choice, step.step()) && weight != 0.0) {
      // Reading the value back makes a device wait: there only when a report is due.
      const bool check_values = terms != nullptr || step.batch().is_cpu();
      const at::Tensor value = term.plugin.value(step.for_term(term.plugin.name()), check_values);
      if (value.defined()) {
        total = total.defined() ? total + value * weight : value * weight;
        report.ran = true;
        if (terms != nullptr) report.value = value.item<double>();
        report.weighted = report.value * weight;
      }
    }
    if (terms != nullptr) terms->push_back(report);
  }
  return total;
}

void Objective::steer(const Codes& codes, std::int64_t step) {
  std::optional<double> l0;  // counted once, and only if somebody wants it
  for (auto& term : terms_) {
    if (!term.steering || !takes_its_turn(term.choice, step)) continue;
    if (!l0) l0 = mean_l0(codes);
    term.steering->observe(*l0);
  }
}

bool Objective::acts_after_step() const {
  for (const auto& term : terms_) {
    if (term.acts_after_step) return true;
  }
  return false;
}

void Objective::after_step(UpdateView outline, std::uint64_t seed) {
  for (auto& term : terms_) {
    const bool is_on = takes_its_turn(term.choice, outline.step) && term.weight_at(outline.step) != 0.0;
    if (!term.acts_after_step || !is_on) continue;
    outline.generator = named_generator(seed, "after_step." + term.plugin.name());
    term.plugin.after_step(outline);
  }
}

std::map<std::string, double> Objective::report() {
  std::map<std::string, double> figures;
  for (auto& term : terms_) {
    for (const auto& [name, value] : term.plugin.report()) figures[term.plugin.name() + "." + name] = value;
    if (term.steering) figures[term.plugin.name() + ".weight_factor"] = term.steering->factor();
  }
  return figures;
}

}  // namespace regulon::core
