#pragma once
/// Sources made the way a config makes them: by name and parameters.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/data/source.h"

namespace regulon::tests {

using Parameters = std::vector<std::pair<std::string, ParamValue>>;

/// The source `name` with `parameters` set, not opened. Every value is checked as a config's would be.
inline std::unique_ptr<core::Source> make_source(const std::string& name, const Parameters& parameters) {
  for (const PluginDescriptor& descriptor : core::sources()) {
    if (descriptor.name != name) continue;
    std::unique_ptr<Plugin> plugin = descriptor.make();
    for (const auto& [key, value] : parameters) {
      bool known = false;
      for (std::size_t i = 0; i < descriptor.params.size(); ++i) {
        if (descriptor.params[i].name != key) continue;
        const std::optional<ParamValue> converted = convert(descriptor.params[i], value);
        EXPECT_TRUE(converted.has_value()) << key;
        EXPECT_EQ(violation(descriptor.params[i], *converted), "") << key;
        descriptor.set(*plugin, i, *converted);
        known = true;
      }
      EXPECT_TRUE(known) << name << " has no parameter " << key;
    }
    return std::unique_ptr<core::Source>(static_cast<core::Source*>(plugin.release()));
  }
  ADD_FAILURE() << "no source " << name;
  return nullptr;
}

/// The same, opened.
inline std::unique_ptr<core::Source> open_source(const std::string& name, const Parameters& parameters,
                                                 std::int64_t batch, std::uint64_t seed = 1,
                                                 const std::filesystem::path& base = {}) {
  std::unique_ptr<core::Source> source = make_source(name, parameters);
  core::SourceSetup setup;
  setup.seed = seed;
  setup.batch = batch;
  setup.base = base;
  source->open(setup);
  return source;
}

}  // namespace regulon::tests
