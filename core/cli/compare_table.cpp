#include "core/cli/compare_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <optional>

namespace regulon::cli {
namespace {

const std::map<std::string, const char*> kSearches = {{"a_in_b", "A's in B"},
                                                      {"b_in_a", "B's in A"},
                                                      {"a_in_a", "A's in A"},
                                                      {"b_in_b", "B's in B"},
                                                      {"random_in_b", "random, as in B"},
                                                      {"random_in_a", "random, as in A"}};

std::string matching_text(const core::DictionaryComparison& features) {
  const ops::Matching& matching = features.matching;
  const std::string proof = matching.exact
                                ? "no matching has more"
                                : fmt::format("bounds: no matching has more than {:.4f}", matching.at_most);
  return fmt::format("{:.4f}, the mean cosine of {} pairs matched one to one ({})", matching.mean,
                     matching.pairs, proof);
}

void print_nearest(const core::DictionaryComparison& features) {
  fmt::print("\nCosine with the n-th nearest: mean [a tenth below, a tenth above]\n");
  std::vector<std::int64_t> ranks;
  for (const core::NearestCosines& search : features.nearest) {
    for (const core::RankCosines& one : search.ranks) {
      if (ranks.empty() || one.rank > ranks.back()) ranks.push_back(one.rank);
    }
  }
  fmt::print("{:<18}", "looking for");
  for (const std::int64_t rank : ranks) fmt::print("{:>24}", fmt::format("n = {}", rank));
  fmt::print("\n");
  for (const core::NearestCosines& search : features.nearest) {
    fmt::print("{:<18}", kSearches.at(search.name));
    for (const core::RankCosines& one : search.ranks) {
      fmt::print("{:>24}", fmt::format("{:.3f} [{:.3f}, {:.3f}]", one.mean, one.low, one.high));
    }
    fmt::print("\n");
  }
}

void print_features(const core::DictionaryComparison& features, const char* which) {
  fmt::print("\n{:<34}{:>12}{:>12}\n", which, "A in B", "B in A");
  const auto line = [](const char* name, const std::string& a, const std::string& b) {
    fmt::print("{:<34}{:>12}{:>12}\n", name, a, b);
  };
  const auto number = [](double value) { return fmt::format("{:.4f}", value); };
  const auto percent = [](double share) { return fmt::format("{:.1f}%", 100 * share); };
  line("features", fmt::format("{}", features.features_a), fmt::format("{}", features.features_b));
  if (features.zero_a + features.zero_b > 0) {
    line("left out: rows of zeros", fmt::format("{}", features.zero_a), fmt::format("{}", features.zero_b));
  }
  line("MMCS, mean cosine with nearest", number(features.mmcs_a), number(features.mmcs_b));
  line("  of random directions", number(features.random_a), number(features.random_b));
  line("  no nearer than 99% of those are", percent(features.by_chance_a), percent(features.by_chance_b));
  line("uniqueness, different nearest", percent(features.unique_a), percent(features.unique_b));
  fmt::print("MCC {}\n", matching_text(features));
  fmt::print("pairs with a cosine of at least");
  for (const auto& [cosine, share] : features.matched_share) fmt::print("  {}: {}", cosine, percent(share));
  fmt::print("\n");
}

void print_sums(const core::Arithmetic& sums, const char* title) {
  fmt::print("\n{}, without negative parts ({} of {} looked at)\n", title, sums.features, sums.of);
  fmt::print("{:<16}{:>14}{:>14}{:>12}{:>12}{:>14}{:>10}\n", "sums by", "mean cosine", "of random", ">= 0.9",
             ">= 0.95", "random >= 0.9", "parts");
  for (const core::ArithmeticPoint& point : sums.points) {
    const std::string by =
        point.k > 0 ? fmt::format("{} of {}", point.solver, point.k) : fmt::format("lasso, {}", point.lambda);
    const auto percent = [](double share) { return fmt::format("{:.1f}%", 100 * share); };
    fmt::print("{:<16}{:>14.4f}{:>14.4f}{:>12}{:>12}{:>14}{:>10.2f}\n", by, point.mean_cosine,
               point.random_cosine, percent(point.share_90), percent(point.share_95),
               percent(point.random_90), point.parts);
  }
}

void print_rows(const core::RowComparison& rows) {
  fmt::print("\n{:<34}{:>12}{:>12}\n", fmt::format("On {} rows", rows.a.rows), "A", "B");
  const auto line = [&](const char* name, double core::Evaluation::*figure, int digits, double times = 1) {
    fmt::print("{:<34}{:>12.{}f}{:>12.{}f}\n", name, times * rows.a.*figure, digits, times * rows.b.*figure,
               digits);
  };
  using core::Evaluation;
  line("FVU", &Evaluation::fvu, 4);
  line("explained variance", &Evaluation::explained_variance, 4);
  line("  by the legacy formula", &Evaluation::explained_variance_legacy, 4);
  line("L0, active features a row", &Evaluation::l0, 2);
  line("L1, sum of codes a row", &Evaluation::l1, 3);
  line("code length, nats a row", &Evaluation::code_length, 1);
  line("unused features, %", &Evaluation::unused_share, 2, 100);
  line("cosine of row and reconstruction", &Evaluation::cosine, 4);
  line("norm ratio", &Evaluation::norm_ratio, 4);
  line("relative bias (< 1: shrinkage)", &Evaluation::relative_bias, 4);
}

std::string rows_text(const std::vector<core::NamedRow>& rows) {
  std::vector<std::string> texts;
  for (const core::NamedRow& one : rows)
    texts.push_back(fmt::format("{} ({:.3g}, other {:.3g})", one.row, one.loss, one.other));
  return texts.empty() ? "none" : fmt::format("{}", fmt::join(texts, ", "));
}

std::string correlation_text(const std::optional<double>& correlation) {
  return correlation ? fmt::format("{:.4f}", *correlation) : "none";
}

void print_loss_comparison(const core::LossComparison& losses) {
  fmt::print("\n{:<34}{:>12}{:>12}\n", "Loss of a row (mean: FVU)", "A", "B");
  const auto line = [](const std::string& name, double a, double b) {
    fmt::print("{:<34}{:>12.4f}{:>12.4f}\n", name, a, b);
  };
  line("mean", losses.a.mean, losses.b.mean);
  for (std::size_t i = 0; i < losses.a.quantiles.size(); ++i) {
    line(fmt::format("{:.4g}% of rows are below", 100 * losses.a.quantiles[i].first),
         losses.a.quantiles[i].second, losses.b.quantiles[i].second);
  }
  line("highest", losses.a.highest, losses.b.highest);
  line("share of it in the worst 1%", losses.a.tail, losses.b.tail);
  fmt::print("correlation of A's with B's {}, of their logarithms {}; A's is lower on {:.1f}% of rows\n",
             correlation_text(losses.correlation), correlation_text(losses.log_correlation),
             100 * losses.a_better);
  fmt::print("rows where A is furthest behind: {}\n", rows_text(losses.a_worse));
  fmt::print("rows where B is furthest behind: {}\n", rows_text(losses.b_worse));
}

}  // namespace

void print_comparison(const core::RunComparison& comparison) {
  for (const std::string& sentence : core::conclusions(comparison)) fmt::print("* {}\n", sentence);
  const core::DictionaryComparison& features = comparison.alive ? *comparison.alive : comparison.all;
  print_features(features, comparison.alive ? "Features active on the rows" : "Features");
  if (comparison.alive && (comparison.alive->features_a != comparison.all.features_a ||
                           comparison.alive->features_b != comparison.all.features_b)) {
    print_features(comparison.all, "All features");
  }
  print_nearest(features);
  if (comparison.a_from_b) print_sums(*comparison.a_from_b, "A's features as sums of B's");
  if (comparison.b_from_a) print_sums(*comparison.b_from_a, "B's features as sums of A's");
  if (!comparison.rows) return;
  print_rows(*comparison.rows);
  print_loss_comparison(comparison.rows->losses);
}

}  // namespace regulon::cli
