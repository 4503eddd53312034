// Selection by rank under a budget.

#include <regulon/error.h>
#include <regulon/ops.h>

#include <algorithm>
#include <vector>

#include "select_reference.h"
#include "tests/unit/support/expect_error.h"

namespace regulon {
namespace {

using Scope = Selection::Scope;

constexpr std::int64_t kRows = 37;
constexpr std::int64_t kFeatures = 300;

ops::Product product_of(at::ScalarType type) {
  return {at::randn({kRows, 16}, type), test::random_units(kFeatures, 16, type),
          at::randn({kFeatures}, type) * 0.1, at::Tensor()};
}

Selection priced(Scope scope, std::int64_t k, const at::Tensor& prices) {
  Selection selection;
  selection.family = Selection::Family::rank;
  selection.scope = scope;
  selection.k = k;
  selection.prices = prices;
  selection.score_scale = prices.reciprocal();
  return selection;
}

/// The best scores among the rows [first, last), in order, as long as their prices add up to no more than
/// `budget`.
void mark_affordable(const at::Tensor& score, const at::Tensor& allowed, const at::Tensor& prices,
                     std::int64_t first, std::int64_t last, double budget, at::Tensor& places) {
  std::vector<std::tuple<double, std::int64_t, std::int64_t>> order;
  for (std::int64_t row = first; row < last; ++row) {
    for (std::int64_t i = 0; i < kFeatures; ++i) {
      if (allowed[row][i].item<bool>()) order.emplace_back(-score[row][i].item<double>(), row, i);
    }
  }
  std::sort(order.begin(), order.end());
  double spent = 0;
  for (const auto& [unused, row, i] : order) {
    spent += prices[i].item<double>();
    if (spent > budget) return;
    places[row][i] = true;
  }
}

test::Listed expected_of(const ops::Product& product, const Selection& selection) {
  const at::Tensor z = test::defined_z(product);
  const at::Tensor score = test::score_of(selection, z);
  at::Tensor may = z > 0;
  if (selection.only.defined()) {
    may = may.logical_and(at::zeros({kFeatures}, at::kBool).index_fill(0, selection.only, true));
  }
  at::Tensor places = at::zeros({kRows, kFeatures}, at::kBool);
  const auto k = static_cast<double>(selection.k);
  if (selection.scope == Scope::batch) {
    mark_affordable(score, may, selection.prices, 0, kRows, k * kRows, places);
  } else {
    for (std::int64_t row = 0; row < kRows; ++row) {
      mark_affordable(score, may, selection.prices, row, row + 1, k, places);
    }
  }
  return {at::where(places, z, 0), places};
}

TEST(SelectPrices, TakesTheBestThatTheBudgetPaysFor) {
  at::manual_seed(41);
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    const ops::Product product = product_of(type);
    const at::Tensor prices = at::rand({kFeatures}, type) * 2 + 0.2;
    for (const Scope scope : {Scope::row, Scope::batch}) {
      Selection selection = priced(scope, 4, prices);
      test::expect_listed(ops::select_product(product, selection), expected_of(product, selection));
      selection.only = at::arange(1, kFeatures, 3, at::kLong);
      test::expect_listed(ops::select_product(product, selection), expected_of(product, selection));
    }
  }
}

TEST(SelectPrices, PricesOfOneAreACount) {
  at::manual_seed(42);
  const ops::Product product = product_of(at::kFloat);
  for (const Scope scope : {Scope::row, Scope::batch}) {
    Selection counted = priced(scope, 5, at::ones({kFeatures}));
    const Codes with = ops::select_product(product, counted);
    counted.prices = at::Tensor();
    const Codes without = ops::select_product(product, counted);
    EXPECT_TRUE(at::equal(with.feature_ids(), without.feature_ids()));
    EXPECT_TRUE(at::equal(with.row_offsets(), without.row_offsets()));
    EXPECT_TRUE(test::same_bits(with.values(), without.values()));
  }
}

TEST(SelectPrices, NothingIsListedWhereNothingIsAffordable) {
  at::manual_seed(43);
  const ops::Product product = product_of(at::kFloat);
  const Codes row = ops::select_product(product, priced(Scope::row, 1, at::full({kFeatures}, 1.5)));
  EXPECT_EQ(row.entries(), 0);
  const Codes batch = ops::select_product(product, priced(Scope::batch, 1, at::full({kFeatures}, 1e4)));
  EXPECT_EQ(batch.entries(), 0);
  EXPECT_EQ(batch.rows(), kRows);
}

TEST(SelectPrices, AreAboveZeroAndOnePerFeature) {
  const ops::Product product = product_of(at::kFloat);
  Selection selection = priced(Scope::row, 4, at::ones({kFeatures}));
  selection.prices = at::zeros({kFeatures});
  tests::expect_error<RunError>([&] { ops::select_product(product, selection); }, {"prices", "above zero"});
  selection.prices = at::ones({kFeatures - 1});
  tests::expect_error<RunError>([&] { ops::select_product(product, selection); }, {"prices", "300"});
}

}  // namespace
}  // namespace regulon
