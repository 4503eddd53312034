#pragma once
/// Files that are part of the program: the page's template, style and script, charts, and Vega.

#include <string_view>

namespace regulon::core::report {

/// The text of the file `name` ("report.mustache", "charts/line.json", "vega.js"). That of "vega.js" is empty
/// if the program was built where no Vega was found. Throws std::logic_error for a name that is none.
std::string_view asset(std::string_view name);

}  // namespace regulon::core::report
