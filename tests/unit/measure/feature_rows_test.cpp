#include "core/measure/feature_rows.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace regulon::core {
namespace {

TEST(FeatureRows, AreTheHighestOfEachColumn) {
  at::manual_seed(8);
  const at::Tensor dense = at::where(at::rand({300, 12}) < 0.2, at::rand({300, 12}), at::zeros({300, 12}));
  FeatureRowsCollector collector(12, 5);
  const at::Tensor labels = at::arange(300) * 3;
  for (std::int64_t first = 0; first < 300; first += 70) {
    const std::int64_t end = std::min<std::int64_t>(first + 70, 300);
    collector.add(Codes::dense(dense.slice(0, first, end)), labels.slice(0, first, end));
  }
  const FeatureRows found = collector.result();
  const auto [values, rows] = dense.topk(5, 0);
  EXPECT_TRUE(at::equal(found.values, values.t()));
  EXPECT_TRUE(at::equal(found.rows, rows.t()));
  EXPECT_TRUE(at::equal(found.labels, found.rows * 3));
  EXPECT_TRUE(at::allclose(found.frequency, (dense > 0).to(at::kDouble).mean(0)));
  EXPECT_EQ(find_tensor(feature_rows_table(found), "token_ids").size(1), 5);
}

TEST(FeatureRows, EndWhereThereAreNoMore) {
  at::Tensor dense = at::zeros({6, 3});
  dense[4][1] = 2;
  dense[2][1] = 2;
  FeatureRowsCollector collector(3, 4);
  collector.add(Codes::dense(dense));
  const FeatureRows found = collector.result();
  EXPECT_TRUE(at::equal(found.rows[1], at::tensor({2, 4, -1, -1}, at::kLong)));  // of equals, the earlier
  EXPECT_EQ(found.rows[0].max().item<std::int64_t>(), -1);
  EXPECT_EQ(found.values[0].max().item<double>(), 0);
  EXPECT_FALSE(found.labels.defined());
  EXPECT_FALSE(find_tensor(feature_rows_table(found), "token_ids").defined());
}

}  // namespace
}  // namespace regulon::core
