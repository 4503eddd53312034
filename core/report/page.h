#pragma once
/// A report as its parts, and the HTML page made of them. All text is plain: the page escapes it.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace regulon::core::report {

/// A cell of a table. `look` is a class of the style: "number", "clear" and "hint" (differences that stand
/// out, or may), "long", "code", "name"; empty for plain text.
struct Cell {
  std::string text;
  std::string look;
};

struct Table {
  std::string title;
  std::vector<Cell> head;  ///< may be empty
  std::vector<std::vector<Cell>> rows;
  std::string note;               ///< below it
  bool folded = false;            ///< only its title is seen until somebody opens it
  std::vector<std::size_t> base;  ///< rows that are set off
};

/// A chart in words and as a Vega specification, with its figures as a table.
struct Figure {
  std::string title;
  nlohmann::json spec;
  std::string caption;  ///< what to conclude
  Table numbers;
  std::string shape;  ///< "wide", "square" or empty
};

struct Section {
  std::string title;
  std::vector<std::string> text;
  std::vector<Table> tables;
  std::vector<Figure> figures;
  std::vector<Table> details;  ///< tables after the figures
};

/// One of the figures at the top.
struct Tile {
  std::string name;
  std::string value;
  std::string note;
};

struct Page {
  std::string kind;  ///< "run", "study"
  std::string title;
  std::string lead;                  ///< one or two sentences
  std::vector<std::string> notices;  ///< what a reader has to know first
  std::vector<Tile> tiles;
  std::vector<Section> sections;
};

/// The page as one HTML file that needs nothing else. Bytes that are not UTF-8 become replacement characters.
std::string to_html(const Page& page);

/// Whether the program can have charts drawn: see `asset`.
bool has_charts();

/// The notice of a page that has none.
inline constexpr const char* kNoCharts =
    "The plots are missing: the program that wrote this was built without Vega. Their figures stand in the "
    "tables.";

}  // namespace regulon::core::report
