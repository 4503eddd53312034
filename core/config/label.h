#pragma once
/// What values are called in names of folders and in tables.

#include "core/config/document.h"

#include <string>

namespace regulon::core {

/// How a value is called: letters, digits and . _ + - only.
std::string label_of(const doc::Value& value);

/// What a label must be, as messages say it.
inline constexpr const char* kLabelRule = "1 to 100 of the characters A-Z a-z 0-9 . _ + -, no dot at first";
/// Whether `text` follows that rule.
bool is_label(const std::string& text);

}  // namespace regulon::core
