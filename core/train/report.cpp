#include "core/train/report.h"

#include <nlohmann/json.hpp>

namespace regulon::core {

nlohmann::json to_json(const Report& report) {
  nlohmann::json terms = nlohmann::json::object();
  for (const auto& term : report.terms) {
    if (term.ran) terms[term.name] = {{"value", term.value}, {"weighted", term.weighted}};
  }
  nlohmann::json line = {{"step", report.step},
                         {"loss", report.loss},
                         {"fvu", report.fvu},
                         {"l0", report.l0},
                         {"dead_share", report.dead_share},
                         {"learning_rate", report.learning_rate},
                         {"gradient_norm", report.gradient_norm},
                         {"terms", terms},
                         {"rows_per_second", report.rows_per_second},
                         {"seconds", report.seconds}};
  if (!report.figures.empty()) line["figures"] = report.figures;
  return line;
}

std::vector<std::pair<std::string, double>> scalars_of(const Report& report) {
  std::vector<std::pair<std::string, double>> scalars = {{"loss", report.loss},
                                                         {"fvu", report.fvu},
                                                         {"l0", report.l0},
                                                         {"dead_share", report.dead_share},
                                                         {"learning_rate", report.learning_rate},
                                                         {"gradient_norm", report.gradient_norm},
                                                         {"rows_per_second", report.rows_per_second}};
  for (const auto& term : report.terms) {
    if (!term.ran) continue;
    scalars.emplace_back("terms/" + term.name + "/value", term.value);
    scalars.emplace_back("terms/" + term.name + "/weighted", term.weighted);
  }
  for (const auto& [name, value] : report.figures) scalars.emplace_back("figures/" + name, value);
  return scalars;
}

}  // namespace regulon::core
