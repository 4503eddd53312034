/// Features and rows, one by one.

#include <fmt/format.h>

#include <algorithm>

#include "core/report/charts.h"
#include "core/report/run_page.h"
#include "core/report/words.h"

namespace regulon::core::report {
namespace {

constexpr std::size_t kWorstRows = 12;  ///< rows of the table beside a map
constexpr double kPlaceTells = 0.1;     ///< share of the variance of the loss from which a place tells of it
constexpr double kColoursFrom = 0.02;   ///< quantiles of the loss between which colours differ
constexpr double kColoursTo = 0.98;
constexpr double kLeastColour = 1e-9;

/// "the ×3 up to 4.2, of 3.9" or "row 17 4.2, row 3 3.9": strongest first, a token only once.
std::string strong_rows_text(const std::vector<Measured::StrongRow>& rows) {
  std::string text;
  std::vector<std::string> told;
  for (const Measured::StrongRow& row : rows) {
    if (std::find(told.begin(), told.end(), row.token) != told.end() && !row.token.empty()) continue;
    if (!row.token.empty()) told.push_back(row.token);
    const auto times = std::count_if(
        rows.begin(), rows.end(), [&](const Measured::StrongRow& other) { return other.token == row.token; });
    const std::string name = row.token.empty() ? fmt::format("row {}", row.row) : row.token;
    const std::string many = row.token.empty() || times == 1 ? "" : fmt::format(" ×{} up to", times);
    text += fmt::format("{}{}{} {}", text.empty() ? "" : " · ", name, many, number_text(row.value));
  }
  return text;
}

Table group_table(const Measured::Examples::Group& group, bool tokens) {
  Table table{group.title + ", and where they are strongest",
              {{"feature", "number"},
               {"fires on", "number"},
               {tokens ? "tokens where it is strongest, and how strong"
                       : "rows where it is strongest, and how strong",
                ""},
               {"nearest feature", "number"},
               {"cosine", "number"}},
              {},
              "",
              true,
              {}};
  for (const Measured::Example& one : group.features) {
    table.rows.push_back({{std::to_string(one.feature), "number"},
                          {share_text(one.frequency), "number"},
                          {strong_rows_text(one.rows), "long"},
                          {one.neighbour < 0 ? "-" : std::to_string(one.neighbour), "number"},
                          {one.neighbour < 0 ? "-" : number_text(one.cosine), "number"}});
  }
  return table;
}

std::string token_text(const Measured::Examples& examples) {
  if (!examples.tokens) {
    return "The data carry no token ids, so rows are told by their number, from 0, in the order in which "
           "they "
           "are held out.";
  }
  std::string text;
  if (examples.full > 0) {
    const double share = static_cast<double>(examples.of_token) / static_cast<double>(examples.full);
    text = fmt::format(
        "{} of {} features ({}) that fire on at least {} rows have one and the same token in all {} of their "
        "strongest: these stand for a token, the others for something that several share.",
        examples.of_token, examples.full, share_text(share), examples.shown, examples.shown);
  }
  if (!examples.named) {
    text +=
        std::string(text.empty() ? "" : " ") +
        "Tokens are told by number: `regulon report FOLDER --vocab FILE` (or `regulon train … --vocab FILE`) "
        "names them, FILE being a text whose line i, from 0, is token i.";
  }
  return text;
}

double loss_at(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

std::string map_caption(const Measured::RowMap& map) {
  std::string text = fmt::format(
      "{} of {} held-out rows on their first two principal components, which hold {} and {} of their "
      "variance.",
      map.points.size(), map.of, share_text(map.shares[0]), share_text(map.shares[1]));
  if (!map.from_nearest) return text;
  if (*map.from_nearest < kPlaceTells) {
    return text +
           " A row's place tells next to nothing of its loss: the rows that are rebuilt badly do not "
           "lie together here.";
  }
  return text + fmt::format(
                    " Rows near each other have like losses (the ten nearest tell {} of the variance of its "
                    "logarithm): those that are rebuilt badly lie together.",
                    share_text(*map.from_nearest));
}

std::vector<const Measured::RowMap::Point*> worst_first(const Measured::RowMap& map) {
  std::vector<const Measured::RowMap::Point*> points;
  for (const auto& point : map.points) points.push_back(&point);
  std::stable_sort(points.begin(), points.end(),
                   [](const auto* a, const auto* b) { return a->loss > b->loss; });
  return points;
}

Table worst_table(const std::vector<const Measured::RowMap::Point*>& points) {
  const bool tokens = !points.empty() && !points.front()->token.empty();
  Table table{fmt::format("The {} worst of these rows", std::min(kWorstRows, points.size())),
              {{"row", "number"}, {"loss", "number"}, {"first component", "number"}, {"second", "number"}},
              {},
              "Rows are numbered from 0, in the order in which they are held out.",
              true,
              {}};
  if (tokens) table.head.push_back({"token", ""});
  for (std::size_t i = 0; i < std::min(kWorstRows, points.size()); ++i) {
    const auto& point = *points[i];
    table.rows.push_back({{std::to_string(point.row), "number"},
                          {number_text(point.loss), "number"},
                          {number_text(point.x), "number"},
                          {number_text(point.y), "number"}});
    if (tokens) table.rows.back().push_back({point.token, ""});
  }
  return table;
}

}  // namespace

void add_examples(const Measured::Examples& examples, Section& section) {
  if (examples.groups.empty()) return;
  section.text.push_back(
      fmt::format("A few features, folded up below the plots, each with the rows of {} held-out ones where "
                  "it is strongest, at "
                  "most {}, and with the feature whose decoder row is nearest; `regulon eval FOLDER --top {} "
                  "--table FILE` "
                  "has all of them.",
                  examples.rows, examples.shown, examples.shown));
  section.text.push_back(token_text(examples));
  for (const Measured::Examples::Group& group : examples.groups)
    section.details.push_back(group_table(group, examples.tokens));
}

Section rows_section(const Measured::RowMap& map) {
  Section section{"Rows", {}, {}, {}, {}};
  const auto worst = worst_first(map);
  std::vector<double> losses;
  for (auto point = worst.rbegin(); point != worst.rend(); ++point) losses.push_back((*point)->loss);
  std::vector<MapPoint> points;
  for (auto point = worst.rbegin(); point != worst.rend(); ++point) {  // the worst on top
    const auto& one = **point;
    points.push_back({one.x, one.y, one.loss,
                      fmt::format("{}row {}: loss {}", one.token.empty() ? "" : one.token + ", ", one.row,
                                  number_text(one.loss))});
  }
  const double low = std::max(loss_at(losses, kColoursFrom), kLeastColour);
  const double high = std::max(loss_at(losses, kColoursTo), 1.01 * low);
  Figure figure;
  figure.title = "Rows by their loss";
  figure.spec =
      map_chart(points, {"first component, units of the data"}, {"second component, units of the data"},
                "loss of the row, in units of the rows' variance", low, high);
  figure.caption = map_caption(map);
  figure.numbers = worst_table(worst);
  figure.shape = "square";
  section.figures.push_back(std::move(figure));
  return section;
}

}  // namespace regulon::core::report
