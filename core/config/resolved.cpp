/// A config as JSON, with every default written out.

#include "core/config/config.h"

#include <array>
#include <nlohmann/json.hpp>

namespace regulon::core {

namespace {

using nlohmann::json;

json to_json_value(const Schedule& schedule) {
  constexpr std::array<const char*, 3> kShapeNames = {"linear", "cosine", "exponential"};
  const auto& points = schedule.points();
  if (schedule.is_constant()) return points.front().second;
  if (points.size() > 2) return json{{"points", points}};
  const auto& [after, from] = points[0];
  const auto& [end, to] = points[1];
  return json{{"from", from},
              {"to", to},
              {"over", end - after},
              {"after", after},
              {"shape", kShapeNames.at(static_cast<std::size_t>(schedule.shape()))}};
}

/// Every key that the section declares, with the value it has.
template <class Section>
json section_json(const Section& section) {
  const Declaration<Section> declaration = declaration_of<Section>();
  json all = json::object();
  for (std::size_t i = 0; i < declaration.specs().size(); ++i) {
    json& value = all[declaration.specs()[i].name];
    std::visit([&value](const auto& held) { value = held; }, declaration.getters()[i](section));
  }
  return all;
}

/// Adds the parameters of `choice` to its section.
void add_parameters(const Choice& choice, json& section) {
  for (std::size_t i = 0; i < choice.values.size(); ++i) {
    json& value = section[choice.descriptor->params[i].name];
    std::visit([&value](const auto& held) { value = held; }, choice.values[i]);
  }
  for (const auto& [index, schedule] : choice.scheduled) {
    section[choice.descriptor->params[index].name] = to_json_value(schedule);
  }
}

json loss_json(const LossChoice& loss) {
  json section = {
      {"plugin", loss.term.plugin}, {"name", loss.term.name},  {"weight", to_json_value(loss.weight)},
      {"every", loss.every},        {"rescale", loss.rescale}, {"target_l0", loss.target_l0}};
  add_parameters(loss.term, section);
  return section;
}

}  // namespace

json Config::resolved() const {
  json all = identity();
  all["plugins"] = section_json(plugins);
  all["file"] = file.string();
  return all;
}

json Config::identity() const {
  json all = {{"run", section_json(run)},
              {"data", section_json(data)},
              {"model", section_json(model)},
              {"optimiser", section_json(optimiser)},
              {"cost", section_json(cost_section)}};
  add_parameters(source, all["data"]);
  all["encoder"] = {{"plugin", encoder.plugin}, {"activation", activation.plugin}};
  add_parameters(encoder, all["encoder"]);
  add_parameters(activation, all["encoder"]);
  add_parameters(cost, all["cost"]);
  all["loss"] = json::array();
  for (const LossChoice& loss : losses) all["loss"].push_back(loss_json(loss));
  return all;
}

}  // namespace regulon::core
