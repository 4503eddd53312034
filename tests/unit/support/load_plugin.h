#pragma once
/// Built plugins as tests use them: loaded from the build tree through their one entry, like the program
/// does.

#include <dlfcn.h>
#include <regulon/plugin.h>

#include <map>
#include <memory>
#include <stdexcept>
#include <string>

namespace regulon::tests {

/// The descriptor of the plugin library at `path`. Throws std::runtime_error with the loader's words.
inline PluginDescriptor load_plugin_file(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(std::string("dlopen: ") + dlerror());
  void* entry = dlsym(library, "regulon_plugin");
  if (entry == nullptr) throw std::runtime_error(std::string("dlsym: ") + dlerror());
  PluginDescriptor descriptor;
  reinterpret_cast<void (*)(PluginDescriptor&)>(entry)(descriptor);
  return descriptor;
}

/// The descriptor of the plugin `name` of this repository.
inline PluginDescriptor load_plugin(const std::string& name) {
  return load_plugin_file(std::string(REGULON_BUILD_DIR) + "/plugins/" + name + ".so");
}

/// An object of `descriptor` with the given parameters set. `T` is the interface it has: LossTerm, Encoder, …
template <class T>
std::unique_ptr<T> make_plugin(const PluginDescriptor& descriptor,
                               const std::map<std::string, ParamValue>& settings = {}) {
  std::unique_ptr<Plugin> plugin = descriptor.make();
  std::size_t used = 0;
  for (std::size_t i = 0; i < descriptor.params.size(); ++i) {
    const auto found = settings.find(descriptor.params[i].name);
    if (found == settings.end()) continue;
    descriptor.set(*plugin, i, found->second);
    ++used;
  }
  if (used != settings.size()) {
    throw std::runtime_error(descriptor.name + ": a parameter of the test is unknown");
  }
  T* object = dynamic_cast<T*>(plugin.get());
  if (object == nullptr)
    throw std::runtime_error(descriptor.name + ": not of the interface that the test expects");
  plugin.release();
  return std::unique_ptr<T>(object);
}

/// The same in one go, by the plugin's name.
template <class T>
std::unique_ptr<T> make_plugin(const std::string& name,
                               const std::map<std::string, ParamValue>& settings = {}) {
  return make_plugin<T>(load_plugin(name), settings);
}

}  // namespace regulon::tests
