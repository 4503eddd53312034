#pragma once
/// Calls into foreign code: an exception of whatever type comes out as an error that names the plugin and the
/// call.

#include <ATen/core/grad_mode.h>
#include <regulon/error.h>

#include <string>
#include <utility>

namespace regulon::core {

/// Whom a message is about: "plugin NAME (ORIGIN)".
struct PluginName {
  std::string name;    ///< the plugin's, or the instance's in a config
  std::string origin;  ///< path of its library, or "built in"
};

/// "plugin NAME (ORIGIN)", followed by " in CALL" if there is a call.
std::string place(const PluginName& plugin, const std::string& call);

/// The exception being handled, by type and text: "std::runtime_error: no luck". Only within a handler.
std::string exception_text();

/// Whether the exception being handled says that memory ran out. Only within a handler.
bool is_out_of_memory();

/// What to report when `call` threw. Only within a handler.
Problem thrown_problem(const PluginName& plugin, const std::string& call);

/// Runs `body`, a call into the plugin, and hands back what it returns. Gradient recording is as before
/// afterwards, whatever the plugin did to it. Throws `Raised` (RunError or InputError) if anything was
/// thrown.
template <class Raised = RunError, class Body>
auto call_plugin(const PluginName& plugin, const std::string& call, Body&& body) {
  const at::AutoGradMode keep(at::GradMode::is_enabled());
  try {
    return std::forward<Body>(body)();
  } catch (...) {
    throw Raised(thrown_problem(plugin, call));
  }
}

}  // namespace regulon::core
