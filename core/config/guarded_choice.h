#pragma once
/// Calls into plugins before there is a run to guard them.

#include "core/config/config.h"

#include <fmt/format.h>
#include <regulon/error.h>

#include <exception>
#include <string>

namespace regulon::core {

/// Calls `action`; whatever it throws that is not an Error already becomes a RunError naming the plugin.
template <class Action>
void guarded(const Choice& choice, const char* call, Action action) {
  const auto fail = [&](const std::string& what) {
    throw RunError(Problem{choice.where, fmt::format("plugin {} in {}: {}", choice.plugin, call, what),
                           "no exception", "one", "this is a fault of the plugin"});
  };
  try {
    action();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail(error.what());
  } catch (...) {
    fail("an exception of unknown type");
  }
}

}  // namespace regulon::core
