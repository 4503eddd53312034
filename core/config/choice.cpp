/// Making plugin objects from what a config says about them.

#include "core/config/config.h"
#include "core/config/guarded_choice.h"
#include "core/config/table_reader.h"

#include <fmt/format.h>

namespace regulon::core {
Catalogue::~Catalogue() = default;

std::unique_ptr<Plugin> Choice::make() const {
  std::unique_ptr<Plugin> object;
  guarded(*this, "its constructor", [&] { object = descriptor->make(); });
  if (object == nullptr) {
    throw RunError(Problem{where, fmt::format("plugin {} in its constructor", plugin), "an object", "none",
                           "this is a fault of the plugin"});
  }
  guarded(*this, "setting its parameters", [&] {
    for (std::size_t i = 0; i < values.size(); ++i) descriptor->set(*object, i, values[i]);
  });
  return object;
}

void Choice::update(Plugin& object, std::int64_t step) const {
  guarded(*this, "setting its parameters", [&] {
    for (const auto& [index, schedule] : scheduled) {
      descriptor->set(object, index, doc::value_at(descriptor->params[index], schedule, step));
    }
  });
}

bool Choice::operator==(const Choice& other) const {
  return plugin == other.plugin && name == other.name && values == other.values &&
         scheduled == other.scheduled;
}

}  // namespace regulon::core
