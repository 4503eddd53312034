#include "core/plugin/call.h"
#include <c10/util/Exception.h>
#include <c10/util/Type.h>
#include <cxxabi.h>

#include <exception>
#include <new>
#include <typeinfo>

namespace regulon::core {

std::string place(const PluginName& plugin, const std::string& call) {
  const std::string who = "plugin " + plugin.name + " (" + plugin.origin + ")";
  return call.empty() ? who : who + " in " + call;
}

std::string exception_text() {
  const std::type_info* type = abi::__cxa_current_exception_type();
  const std::string name = type == nullptr ? "an unknown exception" : c10::demangle(type->name());
  try {
    throw;
  } catch (const Error& error) {
    return error.what();
  } catch (const c10::Error& error) {
    return name + ": " + error.what_without_backtrace();
  } catch (const std::bad_alloc&) {
    return name + ": out of memory";
  } catch (const std::exception& error) {
    return name + ": " + error.what();
  } catch (...) {
    return "an exception of type " + name;
  }
}

bool is_out_of_memory() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return true;
  } catch (const std::exception& error) {
    // LibTorch has no type of its own for it on the CPU.
    const std::string text = error.what();
    return text.find("DefaultCPUAllocator") != std::string::npos && text.find("memory") != std::string::npos;
  } catch (...) {
    return false;
  }
}

Problem thrown_problem(const PluginName& plugin, const std::string& call) {
  if (is_out_of_memory()) {
    return {place(plugin, call), "memory ran out", "less than this machine has", exception_text(),
            "Lower its widths, [model] features or [data] batch"};
  }
  return {place(plugin, call), "it threw", "the call to return", exception_text(),
          "Mend the plugin or what it was given, or take it out of the config"};
}

}  // namespace regulon::core
