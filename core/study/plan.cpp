#include "core/study/plan.h"

#include "core/config/config_reader.h"
#include "core/io/hash.h"
#include "core/study/axis_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace regulon::core {
namespace {

constexpr std::size_t kHashDigits = 8;

/// "LABEL,seed=3"; a label that is too long is cut and ends in its hash.
std::string run_name(const std::string& label, std::int64_t seed) {
  const std::string ending = fmt::format(",seed={}", seed);
  if (label.size() + ending.size() <= kLongestRunName) return label + ending;
  const std::string mark = "+" + hash_text(label).substr(0, kHashDigits);
  return label.substr(0, kLongestRunName - ending.size() - mark.size()) + mark + ending;
}

std::string label_of(const std::vector<std::size_t>& choices, const std::vector<Axis>& axes) {
  std::string label;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    label +=
        fmt::format("{}{}={}", label.empty() ? "" : ",", axes[i].name, axes[i].choices[choices[i]].label);
  }
  return label.empty() ? "base" : label;
}

/// All combinations, the last axis fastest.
std::vector<Point> grid_points(const std::vector<Axis>& axes) {
  std::vector<Point> points;
  std::vector<std::size_t> choices(axes.size(), 0);
  while (true) {
    points.push_back({label_of(choices, axes), choices});
    std::size_t axis = axes.size();
    while (axis > 0 && ++choices[axis - 1] == axes[axis - 1].choices.size()) choices[--axis] = 0;
    if (axis == 0) return points;
  }
}

/// The first choices, then one axis at a time away from them.
std::vector<Point> single_points(const std::vector<Axis>& axes) {
  const std::vector<std::size_t> first(axes.size(), 0);
  std::vector<Point> points = {{label_of(first, axes), first}};
  for (std::size_t axis = 0; axis < axes.size(); ++axis) {
    for (std::size_t choice = 1; choice < axes[axis].choices.size(); ++choice) {
      auto choices = first;
      choices[axis] = choice;
      points.push_back({label_of(choices, axes), choices});
    }
  }
  return points;
}

/// Collects what is wrong at which points.
class PointProblems {
 public:
  void add(const Point& point, const InputError& error) {
    for (const Problem& problem : error.problems()) {
      auto [it, fresh] = index_.emplace(describe(problem), held_.size());
      if (fresh) held_.push_back({problem, point.label, 0});
      ++held_[it->second].points;
    }
  }

  void throw_if_any(std::size_t points) const {
    if (held_.empty()) return;
    std::vector<Problem> problems;
    for (const Held& held : held_) {
      Problem& problem = problems.emplace_back(held.problem);
      if (held.points == points) continue;
      const std::string others = held.points == 1 ? "" : fmt::format(" and {} more", held.points - 1);
      problem.what += fmt::format(" (at the point {}{})", held.point, others);
    }
    throw InputError(std::move(problems));
  }

 private:
  struct Held {
    Problem problem;
    std::string point;  ///< the first that has it
    std::size_t points = 0;
  };
  std::vector<Held> held_;
  std::map<std::string, std::size_t> index_;
};

Config config_at(const Point& point, const Study& study, Catalogue& catalogue) {
  doc::Problems problems;
  doc::Table document = study.base;
  for (std::size_t axis = 0; axis < study.axes.size(); ++axis) {
    for (const Edit& edit : study.axes[axis].choices[point.choices[axis]].edits) {
      apply_edit(edit, document, problems);
    }
  }
  return checked_config(document, study.config_file, catalogue, problems);
}

/// Long labels are cut and told apart by a short hash, which may be the same for two of them.
void check_names(const Study& study, const Plan& plan) {
  std::map<std::string, std::size_t> points;
  std::vector<Problem> problems;
  for (const PlannedRun& run : plan.runs) {
    const auto [earlier, fresh] = points.emplace(run.name, run.point);
    if (fresh) continue;
    problems.push_back({study.file.string(), fmt::format("two runs are called {}", run.name),
                        "a name for each: their folders are called so",
                        fmt::format("the points {} and {}", plan.points[earlier->second].label,
                                    plan.points[run.point].label),
                        "shorten the names of axes or choices: name = \"…\", labels = […]"});
  }
  if (!problems.empty()) throw InputError(std::move(problems));
}

}  // namespace

Plan plan_of(const Study& study, Catalogue& catalogue) {
  Plan plan;
  plan.points = study.grid ? grid_points(study.axes) : single_points(study.axes);
  std::vector<Config> configs;
  PointProblems problems;
  for (const Point& point : plan.points) {
    try {
      configs.push_back(config_at(point, study, catalogue));
    } catch (const InputError& error) {
      problems.add(point, error);
    }
  }
  problems.throw_if_any(plan.points.size());
  const std::size_t seeds = std::max<std::size_t>(1, study.seeds.size());
  for (std::size_t i = 0; i < seeds; ++i) {
    for (std::size_t point = 0; point < plan.points.size(); ++point) {
      Config config = configs[point];
      if (!study.seeds.empty()) config.run.seed = study.seeds[i];
      config.run.name = run_name(plan.points[point].label, config.run.seed);
      plan.runs.push_back({config.run.name, point, config.run.seed, std::move(config)});
    }
  }
  check_names(study, plan);
  return plan;
}

}  // namespace regulon::core
