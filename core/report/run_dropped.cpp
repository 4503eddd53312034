/// How a run's loss lies over rows and codes.

#include <fmt/format.h>

#include <algorithm>

#include "core/report/charts.h"
#include "core/report/run_page.h"
#include "core/report/words.h"

namespace regulon::core::report {
namespace {

constexpr double kHalf = 0.5;

std::string drop_name(const std::string& kind) {
  if (kind == "weakest") return "weakest codes first";
  return kind == "frequent" ? "most frequent features first" : kind;
}

/// What FVU is once half of the codes are gone, between the points that were measured.
double fvu_at_half(const Measured::Drop& drop) {
  const double half = kHalf * drop.points.front().first;
  for (std::size_t i = 1; i < drop.points.size(); ++i) {
    const auto& [more, before] = drop.points[i - 1];
    const auto& [less, after] = drop.points[i];
    if (less <= half) return more == less ? after : before + (after - before) * (more - half) / (more - less);
  }
  return drop.points.back().second;
}

Table drop_table(const std::vector<Measured::Drop>& drops) {
  Table table{"The numbers", {{"left out", ""}, {"L0 left", "number"}, {"FVU", "number"}}, {}, "", true, {}};
  for (const Measured::Drop& drop : drops) {
    for (const auto& [l0, fvu] : drop.points)
      table.rows.push_back(
          {{drop_name(drop.kind), ""}, {number_text(l0), "number"}, {number_text(fvu), "number"}});
  }
  return table;
}

std::string drop_caption(const std::vector<Measured::Drop>& drops) {
  std::string text = fmt::format("On {} held-out rows, nothing encoded anew.", drops.front().rows);
  for (const Measured::Drop& drop : drops) {
    if (drop.points.front().first == 0) continue;
    text += fmt::format(" With half of the active codes left out, {}, FVU is {} instead of {}.",
                        drop_name(drop.kind), number_text(fvu_at_half(drop)),
                        number_text(drop.points.front().second));
  }
  return text;
}

}  // namespace

std::optional<Figure> drop_figure(const Measured& measured) {
  std::vector<Measured::Drop> drops = measured.drops;
  drops.erase(
      std::remove_if(drops.begin(), drops.end(), [](const auto& drop) { return drop.points.empty(); }),
      drops.end());
  if (drops.empty()) return std::nullopt;
  std::vector<Series> series;
  for (const Measured::Drop& drop : drops) series.push_back({drop_name(drop.kind), drop.points});
  Figure figure;
  figure.title = "What codes are worth";
  figure.spec = line_chart(series, {"L0 that is left, active features a row", false},
                           {"FVU, share of the variance unexplained", false});
  figure.caption = drop_caption(drops);
  figure.numbers = drop_table(drops);
  return figure;
}

std::optional<Table> losses_table(const Measured& measured) {
  if (!measured.losses) return std::nullopt;
  const Measured::Losses& losses = *measured.losses;
  Table table{"How the loss lies over rows, in units of their variance",
              {{"rows", ""}, {"loss", "number"}},
              {},
              "",
              false,
              {}};
  for (const auto& [share, loss] : losses.quantiles)
    table.rows.push_back(
        {{fmt::format("{} of them below", share_text(share)), "name"}, {number_text(loss), "number"}});
  table.rows.push_back({{"the worst", "name"}, {number_text(losses.highest), "number"}});
  table.note =
      fmt::format("The worst hundredth of the rows bears {} of the loss; if all were alike, it would be 1%.",
                  share_text(losses.tail));
  return table;
}

}  // namespace regulon::core::report
