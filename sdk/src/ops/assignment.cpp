#include <regulon/assignment.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <queue>
#include <utility>

namespace regulon::ops {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();
constexpr std::int64_t kNobody = -1;

std::size_t at_index(std::int64_t i) { return static_cast<std::size_t>(i); }

/// The state of the search: who has whom, and the prices u (rows) and v (columns), with
/// cost_ij - u_i - v_j at least 0 on every pair, and 0 on those that are matched.
class Matcher {
 public:
  explicit Matcher(const AssignmentPairs& pairs)
      : pairs_(pairs),
        rows_(static_cast<std::int64_t>(pairs.offsets.size()) - 1),
        column_of_(at_index(rows_), kNobody),
        row_of_(at_index(pairs.columns), kNobody),
        u_(at_index(rows_), pairs.unmatched),
        v_(at_index(pairs.columns), 0),
        distance_(at_index(pairs.columns), kFar),
        from_(at_index(pairs.columns), kNobody),
        settled_(at_index(pairs.columns), false) {}

  Assignment solve() {
    const std::vector<std::int64_t> left = take_cheapest();
    for (const std::int64_t row : left) augment(row);
    return {std::move(column_of_), std::move(v_)};
  }

 private:
  /// Where a path may end: at a column that nobody has, or at a row that goes without.
  struct End {
    double length = kFar;
    std::int64_t column = kNobody;
    std::int64_t row = kNobody;
  };

  /// Gives each row its cheapest column where that is free; returns the rows that still look for one.
  std::vector<std::int64_t> take_cheapest() {
    std::vector<std::int64_t> left;
    for (std::int64_t row = 0; row < rows_; ++row) {
      std::int64_t best = kNobody;
      for (std::int64_t pair = first(row); pair < first(row + 1); ++pair) {
        const double cost = pairs_.cost[at_index(pair)];
        const std::int64_t column = pairs_.column[at_index(pair)];
        const bool ties = cost == u_[at_index(row)] && best != kNobody;
        if (cost > u_[at_index(row)] || (ties && column > best)) continue;
        u_[at_index(row)] = cost;
        best = column;
      }
      if (best != kNobody && row_of_[at_index(best)] == kNobody) {
        match(row, best);
      } else if (best != kNobody) {
        left.push_back(row);
      }
    }
    return left;
  }

  /// The shortest path from `row`, over pairs by their reduced cost, to an end; then prices and matches along
  /// it.
  void augment(std::int64_t start) {
    queue_ = {};
    touched_.clear();
    scanned_.clear();
    End end;
    std::int64_t row = start;
    double length = 0;
    for (;;) {
      scan(row, length, end);
      const std::int64_t column = nearest_column(end.length);
      if (column == kNobody) break;
      settled_[at_index(column)] = true;
      scanned_.push_back(column);
      length = distance_[at_index(column)];
      row = row_of_[at_index(column)];
      if (row == kNobody) {
        end = {length, column, kNobody};
        break;
      }
    }
    update_prices(start, end);
    follow_back(start, end);
    for (const std::int64_t column : touched_) {
      distance_[at_index(column)] = kFar;
      settled_[at_index(column)] = false;
    }
  }

  void scan(std::int64_t row, double length, End& end) {
    const double base = length - u_[at_index(row)];
    if (base + pairs_.unmatched < end.length) end = {base + pairs_.unmatched, kNobody, row};
    for (std::int64_t pair = first(row); pair < first(row + 1); ++pair) {
      const std::int64_t column = pairs_.column[at_index(pair)];
      const std::size_t j = at_index(column);
      if (settled_[j]) continue;
      // Rounding must not make a path shorter than its beginning.
      const double reach = std::max(length, base + pairs_.cost[at_index(pair)] - v_[j]);
      if (reach >= distance_[j]) continue;
      if (distance_[j] == kFar) touched_.push_back(column);
      distance_[j] = reach;
      from_[j] = row;
      if (reach < end.length) queue_.emplace(reach, column);
    }
  }

  /// The nearest column that is not settled, if it is nearer than `limit`.
  std::int64_t nearest_column(double limit) {
    while (!queue_.empty()) {
      const auto [length, column] = queue_.top();
      if (length >= limit) return kNobody;
      queue_.pop();
      if (!settled_[at_index(column)] && length == distance_[at_index(column)]) return column;
    }
    return kNobody;
  }

  void update_prices(std::int64_t start, const End& end) {
    u_[at_index(start)] += end.length;
    for (const std::int64_t column : scanned_) {
      const double change = end.length - distance_[at_index(column)];
      const std::int64_t row = row_of_[at_index(column)];
      if (row != kNobody) u_[at_index(row)] += change;
      v_[at_index(column)] -= change;
    }
  }

  void follow_back(std::int64_t start, const End& end) {
    std::int64_t column = end.column;
    if (column == kNobody) {  // the row gives its column up, unless it is the one that began
      column = column_of_[at_index(end.row)];
      column_of_[at_index(end.row)] = kNobody;
      if (end.row == start) return;
    }
    for (;;) {
      const std::int64_t row = from_[at_index(column)];
      const std::int64_t given_up = column_of_[at_index(row)];
      match(row, column);
      if (row == start) return;
      column = given_up;
    }
  }

  void match(std::int64_t row, std::int64_t column) {
    column_of_[at_index(row)] = column;
    row_of_[at_index(column)] = row;
  }
  std::int64_t first(std::int64_t row) const { return pairs_.offsets[at_index(row)]; }

  using Reached = std::pair<double, std::int64_t>;
  const AssignmentPairs& pairs_;
  std::int64_t rows_;
  std::vector<std::int64_t> column_of_;
  std::vector<std::int64_t> row_of_;
  std::vector<double> u_;
  std::vector<double> v_;
  std::vector<double> distance_;
  std::vector<std::int64_t> from_;
  std::vector<bool> settled_;
  std::vector<std::int64_t> touched_;  ///< columns with a distance
  std::vector<std::int64_t> scanned_;  ///< settled columns
  std::priority_queue<Reached, std::vector<Reached>, std::greater<>> queue_;
};

}  // namespace

Assignment assign(const AssignmentPairs& pairs) { return Matcher(pairs).solve(); }

}  // namespace regulon::ops
