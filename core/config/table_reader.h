#pragma once
/// Reads tables of a document by what was declared about their keys.

#include "core/config/document.h"
#include "core/config/schedule.h"

#include <regulon/params.h>

#include <string>
#include <utility>
#include <vector>

namespace regulon::core::doc {

/// What a table gave for a list of specs.
struct Reading {
  std::vector<ParamValue> values;  ///< one per spec; the default where the key is absent or wrong
  std::vector<std::pair<std::size_t, Schedule>> scheduled;  ///< index of the spec, its schedule

  /// The schedule of spec `index`; a constant if it was given as a plain number.
  Schedule schedule(std::size_t index) const;
};

/// Reads the keys of `specs` out of `table`, which messages call `title` ("[run]"). Every key that is
/// missing though required, of the wrong type, out of range, not among the choices, not finite, or a schedule
/// that is malformed or not allowed is added to `problems`. Keys not in `specs` are left to `check_keys`.
Reading read_table(const Table& table, const std::string& title, const std::vector<ParamSpec>& specs,
                   Problems& problems);

/// Adds every key of `table` that is not in `allowed` to `problems`, with a did-you-mean.
void check_keys(const Table& table, const std::string& title, const std::vector<std::string>& allowed,
                Problems& problems);

/// The parameter value that `schedule` gives for `spec` at `step`: rounded where the parameter is an integer.
ParamValue value_at(const ParamSpec& spec, const Schedule& schedule, std::int64_t step);

/// The names of `specs`, in their order.
std::vector<std::string> names_of(const std::vector<ParamSpec>& specs);

/// Reads the keys that `T` declares into a new `T`.
template <class T>
T read_declared(const Table& table, const std::string& title, Problems& problems) {
  const Declaration<T> declaration = declaration_of<T>();
  const Reading reading = read_table(table, title, declaration.specs(), problems);
  T object;
  for (std::size_t i = 0; i < reading.values.size(); ++i) declaration.setters()[i](object, reading.values[i]);
  return object;
}

}  // namespace regulon::core::doc
