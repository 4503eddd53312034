#include "core/plugin/library.h"
#include <c10/util/Type.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <regulon/encoder.h>
#include <regulon/feature_cost.h>
#include <regulon/loss_term.h>
#include "core/plugin/call.h"

#include <boost/dll/shared_library.hpp>
#include <set>

namespace regulon::core {
namespace {

constexpr const char* kEntry = "regulon_plugin";

/// The mangled name in the loader's message "PATH: undefined symbol: NAME, version V", or nothing.
std::string missing_symbol(const std::string& message) {
  constexpr std::string_view marker = "undefined symbol: ";
  const std::size_t at = message.find(marker);
  if (at == std::string::npos) return {};
  const std::string rest = message.substr(at + marker.size());
  return rest.substr(0, rest.find_first_of(", \t\n("));
}

Problem load_problem(const PluginName& plugin, const std::string& message) {
  const std::string symbol = missing_symbol(message);
  if (symbol.empty()) {
    return {place(plugin, ""), "it could not be loaded", "a library whose own libraries are all there",
            message, "See what is missing with ldd, and rebuild it"};
  }
  const std::string readable = c10::demangle(symbol.c_str());
  return {place(plugin, ""), "it could not be loaded", "every symbol it uses to be defined",
          "undefined symbol " + (readable == symbol ? symbol : readable + " [" + symbol + "]"),
          "Define it, or link the library that does, and rebuild (regulon_add_plugin makes the linker find "
          "such gaps)"};
}

/// Loads without ever unloading: RTLD_NODELETE does for every library what -z nodelete does for ours.
boost::dll::shared_library load(const PluginName& plugin, const std::filesystem::path& path) {
  using Mode = boost::dll::load_mode::type;
  const auto mode =
      static_cast<Mode>(boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local | RTLD_NODELETE);
  boost::dll::shared_library library;
  boost::dll::fs::error_code failed;
  library.load(path, failed, mode);
  if (failed) {
    const char* message = dlerror();
    throw InputError(load_problem(plugin, message == nullptr ? failed.message() : message));
  }
  return library;
}

void check_descriptor(const PluginName& plugin, const Manifest& manifest,
                      const PluginDescriptor& descriptor) {
  const auto refuse = [&](std::string what, std::string expected, std::string found) {
    throw InputError(
        Problem{place(plugin, kEntry), std::move(what), std::move(expected), std::move(found),
                "Make it with REGULON_LOSS_TERM, REGULON_ENCODER or REGULON_FEATURE_COST and rebuild it"});
  };
  if (descriptor.interface_id != manifest.interface_id || descriptor.name != manifest.name) {
    refuse("it is not what its manifest says", manifest.interface_id + " '" + manifest.name + "'",
           descriptor.interface_id + " '" + descriptor.name + "'");
  }
  if (!descriptor.make || !descriptor.set) {
    refuse("it cannot be made", "a descriptor with make and set", "one without");
  }
  std::set<std::string> seen;
  for (const ParamSpec& spec : descriptor.params) {
    if (!seen.insert(spec.name).second) {
      refuse("it declares a parameter twice", "every name once", "'" + spec.name + "' twice");
    }
  }
}

bool is_of_interface(const Plugin& plugin, const std::string& interface_id) {
  if (interface_id == "loss_term/1") return dynamic_cast<const LossTerm*>(&plugin) != nullptr;
  if (interface_id == "encoder/1") return dynamic_cast<const Encoder*>(&plugin) != nullptr;
  return dynamic_cast<const FeatureCost*>(&plugin) != nullptr;
}

std::unique_ptr<Plugin> make_checked(const PluginName& plugin, const PluginDescriptor& inner) {
  std::unique_ptr<Plugin> object = call_plugin(plugin, "its constructor", [&] { return inner.make(); });
  if (object == nullptr || !is_of_interface(*object, inner.interface_id)) {
    throw RunError(Problem{place(plugin, "its constructor"), "it made something else",
                           "an object of " + inner.interface_id,
                           object == nullptr ? "nothing" : "another class",
                           "Derive the class from the base of that interface and rebuild it"});
  }
  return object;
}

/// The descriptor with every call into the library guarded.
PluginDescriptor guarded(const PluginName& plugin, const PluginDescriptor& inner) {
  PluginDescriptor outer = inner;
  outer.make = [plugin, inner] { return make_checked(plugin, inner); };
  outer.set = [plugin, inner](Plugin& object, std::size_t index, const ParamValue& value) {
    const std::string call = "setting " + inner.params.at(index).name;
    call_plugin(plugin, call, [&] { inner.set(object, index, value); });
  };
  return outer;
}

}  // namespace

PluginDescriptor load_plugin(const std::filesystem::path& path, const Manifest& manifest) {
  const PluginName plugin{manifest.name, path.string()};
  const boost::dll::shared_library library = load(plugin, path);
  if (!library.has(kEntry)) {
    throw InputError(
        Problem{place(plugin, ""), "it has no entry", fmt::format("a function {} in C linkage", kEntry),
                "none of that name",
                "End its source with REGULON_LOSS_TERM, REGULON_ENCODER or REGULON_FEATURE_COST, at "
                "namespace scope, and rebuild it"});
  }
  auto& entry = library.get<void(PluginDescriptor&)>(kEntry);
  PluginDescriptor descriptor;
  call_plugin<InputError>(plugin, "declare (or its constructor)", [&] { entry(descriptor); });
  check_descriptor(plugin, manifest, descriptor);
  return guarded(plugin, descriptor);
}

}  // namespace regulon::core
