#pragma once
/// Reads TOML into a document with places.

#include "core/config/document.h"

#include <filesystem>
#include <optional>
#include <string>

namespace regulon::core::doc {

/// The whole file as text. Throws InputError if it cannot be read or is larger than any config (1 MiB).
std::string read_text(const std::filesystem::path& file);

/// The document in `text`; `name` stands for the file in places ("NAME:LINE"). Throws InputError with line,
/// what TOML's grammar says, and the line itself.
Table from_toml(const std::string& text, const std::string& name);

/// A key, as an override names it ("encoder.k", "loss.NAME.weight"), and its value, whose place is the
/// assignment's.
struct Assignment {
  std::string key;
  Value value;
};

/// Reads "a.b=c": the value as TOML writes it, or a bare word. What cannot be read is added to `problems`.
std::optional<Assignment> parse_assignment(const std::string& text, const Place& place, Problems& problems);

/// Puts the assignment's value into `document`, like an override.
void assign(const Assignment& assignment, Table& document, Problems& problems);

/// Takes `key`, which must be there, out of `document`; "loss.NAME" takes out a whole loss term. Adds to
/// `problems` what stands in the way; `place` is where that was asked for.
void take_out(const std::string& key, const Place& place, Table& document, Problems& problems);

/// Puts an override "a.b=c" into `document`: tables on the way are made where they are missing, and the
/// segment after `loss` is the name of a loss term. Adds to `problems` if it cannot be read or leads through
/// something that is no table; whether the key may be there at all is found out when the document is read.
void apply_override(const std::string& override_text, Table& document, Problems& problems);

}  // namespace regulon::core::doc
