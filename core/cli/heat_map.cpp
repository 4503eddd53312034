#include "core/cli/heat_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/io/atomic_file.h"

namespace regulon::cli {
namespace {

using core::KnownFeatures;

constexpr std::size_t kCellColumns = 3;
constexpr std::size_t kGap = 4;  ///< spaces between maps in the terminal
constexpr double kCell = 18;     ///< points
constexpr double kMargin = 34;   ///< around a map, for its labels
constexpr double kTitleHeight = 44;

struct Colour {
  int red, green, blue;
};

/// White at zero, towards dark blue at one and dark red at minus one.
Colour colour_of(double cosine) {
  const double strength = std::min(1.0, std::abs(cosine));
  const Colour end = cosine >= 0 ? Colour{8, 64, 129} : Colour{165, 15, 21};
  const auto mix = [strength](int to) { return static_cast<int>(std::lround(255 + (to - 255) * strength)); };
  return {mix(end.red), mix(end.green), mix(end.blue)};
}

bool contains(const std::vector<std::int64_t>& ids, std::int64_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

char mark_of(const KnownFeatures& known, std::int64_t feature) {
  if (contains(known.composed, feature)) return '+';
  return contains(known.alive, feature) ? ' ' : 'x';
}

/// A cosine in tenths: "  9", " -3", " 10"; "  ." if it rounds to none.
std::string cell_text(double cosine) {
  const auto tenths = std::lround(cosine * 10);
  return tenths == 0 ? "  ." : fmt::format("{:3}", tenths);
}

std::string coloured(const std::string& text, double cosine) {
  const Colour back = colour_of(cosine);
  const int front = std::abs(cosine) > 0.5 ? 255 : 40;
  return fmt::format("\033[48;2;{};{};{}m\033[38;2;{};{};{}m{}\033[0m", back.red, back.green, back.blue,
                     front, front, front, text);
}

std::string map_row(const KnownFeatures& known, std::int64_t feature, const at::Tensor& cosines,
                    bool colour) {
  std::string line = fmt::format("{:3}{} ", feature, mark_of(known, feature));
  for (std::int64_t t = 0; t < known.truths(); ++t) {
    const double cosine = cosines[feature][t].item<double>();
    line += colour ? coloured(cell_text(cosine), cosine) : cell_text(cosine);
  }
  return line;
}

/// Columns that a map takes in the terminal, whatever its rows contain of escapes.
std::size_t map_columns(const HeatMap& map) {
  const auto cells = 5 + kCellColumns * static_cast<std::size_t>(map.known.truths());
  return std::max({cells, map.title.size(), map.caption.size()});
}

std::string text_element(double x, double y, int size, const std::string& anchor, const std::string& text) {
  return fmt::format(
      "<text x=\"{:.0f}\" y=\"{:.0f}\" font-size=\"{}\" text-anchor=\"{}\" fill=\"#333\">{}</text>\n", x, y,
      size, anchor, text);
}

double map_height(const HeatMap& map) {
  return static_cast<double>(map.known.features()) * kCell + 2 * kMargin + 20;
}
double map_width(const HeatMap& map) {
  return std::max(static_cast<double>(map.known.truths()) * kCell + 2 * kMargin, 270.0);
}

std::string map_drawing(const HeatMap& map, double left, double top) {
  const at::Tensor all = core::known_cosines(map.known);
  const auto cosines = all.accessor<float, 2>();
  const auto order = core::reading_order(map.known);
  std::string drawing = text_element(left + kMargin, top + 14, 13, "start", map.title);
  drawing += text_element(left + kMargin, top + 30, 10, "start", map.caption);
  const double y0 = top + kMargin + 20;
  for (std::int64_t t = 0; t < cosines.size(1); ++t) {
    drawing += text_element(left + kMargin + (static_cast<double>(t) + 0.5) * kCell, y0 - 4, 8, "middle",
                            std::to_string(t));
  }
  for (std::size_t row = 0; row < order.size(); ++row) {
    const double y = y0 + static_cast<double>(row) * kCell;
    const char mark = mark_of(map.known, order[row]);
    drawing +=
        text_element(left + kMargin - 4, y + kCell * 0.7, 8, "end", fmt::format("{}{}", mark, order[row]));
    for (std::int64_t t = 0; t < cosines.size(1); ++t) {
      const auto cosine = static_cast<double>(cosines[order[row]][t]);
      const Colour fill = colour_of(cosine);
      drawing += fmt::format(
          "<rect x=\"{:.0f}\" y=\"{:.0f}\" width=\"{:.0f}\" height=\"{:.0f}\" fill=\"#{:02x}{:02x}{:02x}\" "
          "stroke=\"#ccc\" stroke-width=\"0.5\"><title>learnt {} x true {}: {:.3f}</title></rect>\n",
          left + kMargin + static_cast<double>(t) * kCell, y, kCell, kCell, fill.red, fill.green, fill.blue,
          order[row], t, cosine);
    }
  }
  return drawing;
}

}  // namespace

std::vector<std::string> heat_map_lines(const std::vector<HeatMap>& maps, bool colour) {
  std::size_t rows = 0;
  for (const auto& map : maps) rows = std::max(rows, static_cast<std::size_t>(map.known.features()));
  std::vector<std::string> lines(rows + 2);
  for (const auto& map : maps) {
    const std::size_t columns = map_columns(map) + kGap;
    const auto order = core::reading_order(map.known);
    const at::Tensor cosines = core::known_cosines(map.known);
    const auto pad = [columns](std::size_t used) {
      return std::string(columns - std::min(columns, used), ' ');
    };
    lines[0] += map.title + pad(map.title.size());
    lines[1] += map.caption + pad(map.caption.size());
    for (std::size_t row = 0; row < rows; ++row) {
      if (row < order.size()) lines[row + 2] += map_row(map.known, order[row], cosines, colour);
      const std::size_t used =
          row < order.size() ? 5 + kCellColumns * static_cast<std::size_t>(map.known.truths()) : 0;
      lines[row + 2] += pad(used);
    }
  }
  return lines;
}

void write_heat_maps(const std::filesystem::path& path, const std::string& title,
                     const std::vector<HeatMap>& maps, std::size_t columns) {
  double width = 0;
  double height = 0;
  for (const auto& map : maps) {
    width = std::max(width, map_width(map));
    height = std::max(height, map_height(map));
  }
  const std::size_t rows = (maps.size() + columns - 1) / columns;
  const double whole_width = width * static_cast<double>(columns);
  const double whole_height = kTitleHeight + height * static_cast<double>(rows);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" "
      "font-family=\"sans-serif\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
      whole_width, whole_height);
  svg += text_element(kMargin, 20, 15, "start", title);
  svg += text_element(
      kMargin, 36, 10, "start",
      "rows: learnt directions (+ a combination, x silent); columns: true features; blue: cosine 1, "
      "white: 0, red: -1");
  for (std::size_t index = 0; index < maps.size(); ++index) {
    svg += map_drawing(maps[index], width * static_cast<double>(index % columns),
                       kTitleHeight + height * static_cast<double>(index / columns));
  }
  core::write_atomically(path, svg + "</svg>\n");
}

}  // namespace regulon::cli
