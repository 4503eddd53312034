#include "core/report/page.h"

#include <fmt/format.h>

#include <kainjow/mustache.hpp>
#include <utility>

#include "core/report/assets.h"

namespace regulon::core::report {
namespace {

using kainjow::mustache::data;
using kainjow::mustache::list;

/// `text` with replacement characters for what is not UTF-8.
std::string utf8(const std::string& text) {
  const nlohmann::json held = text;
  return nlohmann::json::parse(held.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))
      .get<std::string>();
}

data text_data(const std::string& text) { return data(utf8(text)); }

data cell_data(const Cell& cell) {
  data object;
  object.set("text", text_data(cell.text));
  object.set("class", cell.look);
  return object;
}

list cells_data(const std::vector<Cell>& cells) {
  list all;
  for (const Cell& cell : cells) all.emplace_back(cell_data(cell));
  return all;
}

data table_data(const Table& table) {
  data object;
  list rows;
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    data row;
    bool is_base = false;
    for (const std::size_t base : table.base) is_base = is_base || base == i;
    row.set("class", is_base ? "base" : "");
    row.set("cells", cells_data(table.rows[i]));
    rows.emplace_back(std::move(row));
  }
  object.set("title", text_data(table.title));
  object.set("folds", table.folded);
  object.set("has_caption", !table.folded && !table.title.empty());
  object.set("has_note", !table.note.empty());
  object.set("has_head", !table.head.empty());
  object.set("head", cells_data(table.head));
  object.set("rows", rows);
  object.set("note", text_data(table.note));
  return object;
}

list tables_data(const std::vector<Table>& tables, bool folded) {
  list all;
  for (Table table : tables) {
    table.folded = table.folded || folded;
    all.emplace_back(table_data(table));
  }
  return all;
}

/// JSON that may stand inside a script element: nothing in it can end the element.
std::string inline_json(const nlohmann::json& value) {
  const std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string safe;
  for (const char c : text) safe += c == '<' ? std::string("\\u003c") : std::string(1, c);
  return safe;
}

data figure_data(const Figure& figure) {
  data object;
  object.set("title", text_data(figure.title));
  object.set("caption", text_data(figure.caption));
  object.set("shape", figure.shape);
  object.set("spec", inline_json(figure.spec));
  object.set("numbers", tables_data({figure.numbers}, true));
  return object;
}

data section_data(const Section& section, std::size_t index) {
  data object;
  list text;
  list figures;
  for (const std::string& paragraph : section.text) text.emplace_back(text_data(paragraph));
  for (const Figure& figure : section.figures) figures.emplace_back(figure_data(figure));
  object.set("id", fmt::format("part-{}", index + 1));
  object.set("title", text_data(section.title));
  object.set("text", text);
  object.set("tables", tables_data(section.tables, false));
  object.set("has_figures", !section.figures.empty());
  object.set("figures", figures);
  object.set("folded", tables_data(section.details, true));
  return object;
}

data page_data(const Page& page) {
  data object;
  list notices;
  list tiles;
  list sections;
  for (const std::string& notice : page.notices) {
    data entry;
    entry.set("text", text_data(notice));
    notices.emplace_back(std::move(entry));
  }
  for (const Tile& tile : page.tiles) {
    data entry;
    entry.set("name", text_data(tile.name));
    entry.set("value", text_data(tile.value));
    entry.set("note", text_data(tile.note));
    tiles.emplace_back(std::move(entry));
  }
  for (std::size_t i = 0; i < page.sections.size(); ++i)
    sections.emplace_back(section_data(page.sections[i], i));
  object.set("version", REGULON_VERSION);
  object.set("kind", page.kind);
  object.set("title", text_data(page.title));
  object.set("lead", text_data(page.lead));
  object.set("notices", notices);
  object.set("has_tiles", !page.tiles.empty());
  object.set("tiles", tiles);
  object.set("sections", sections);
  object.set("footer", fmt::format("Written by Regulon {}. This file is complete: it needs no network.",
                                   REGULON_VERSION));
  return object;
}

/// Template text that names one of the program's files.
std::string with_part(std::string text, const std::string& mark, std::string_view part) {
  for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + part.size()))
    text.replace(at, mark.size(), part);
  return text;
}

}  // namespace

bool has_charts() { return !asset("vega.js").empty(); }

std::string to_html(const Page& page) {
  std::string source(asset("report.mustache"));
  source = with_part(std::move(source), "{{>table}}", asset("table.mustache"));
  kainjow::mustache::mustache shape(source);
  if (!shape.is_valid()) throw std::logic_error("report.mustache: " + shape.error_message());
  std::string html = shape.render(page_data(page));
  // Last, and by hand: these hold braces of their own, and the library is half a megabyte.
  html = with_part(std::move(html), "<!--style-->", asset("style.css"));
  html = with_part(std::move(html), "<!--licence-->", asset("vega-licence.txt"));
  html = with_part(std::move(html), "<!--draw-->", asset("draw.js"));
  return with_part(std::move(html), "<!--vega-->", asset("vega.js"));
}

}  // namespace regulon::core::report
