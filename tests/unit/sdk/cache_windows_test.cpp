#include "sdk/src/ops/cache_windows.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

#include "ops_reference.h"
#include "sdk/src/kernel_table.h"
#include "sdk/src/ops/gather.h"

namespace regulon::ops::detail {
namespace {

/// Items that list rows of a matrix [rows, d], ascending or not; every third one lists nothing.
struct Lists {
  at::Tensor offsets;
  at::Tensor ids;

  Lists(std::int64_t items, std::int64_t each, std::int64_t rows, bool ascending) {
    std::vector<std::int64_t> begins{0};
    std::vector<at::Tensor> parts;
    for (std::int64_t i = 0; i < items; ++i) {
      if (i % 3 != 1) parts.push_back(at::randperm(rows).narrow(0, 0, each));
      if (i % 3 != 1 && ascending) parts.back() = std::get<0>(parts.back().sort());
      begins.push_back(begins.back() + (i % 3 != 1 ? each : 0));
    }
    offsets = at::tensor(begins);
    ids = at::cat(parts).to(at::kInt);
  }
  std::int64_t items() const { return offsets.size(0) - 1; }
  CacheWindows windows(std::int64_t rows, std::int64_t row_bytes) const {
    return {offsets.const_data_ptr<std::int64_t>(), ids.const_data_ptr<std::int32_t>(), items(), rows,
            row_bytes};
  }
};

constexpr std::int64_t kRows = 900;
constexpr std::int64_t kWidth = 512;  // 1.8 MB of float32: several windows of half a MiB

TEST(CacheWindows, EveryItemMeetsItsEntriesOnceAndInOrder) {
  at::manual_seed(1);
  for (const bool ascending : {true, false}) {
    const Lists lists(60, 100, kRows, ascending);
    const CacheWindows windows = lists.windows(kRows, 4 * kWidth);
    ASSERT_TRUE(windows.several());
    const std::int64_t* const offsets = lists.offsets.const_data_ptr<std::int64_t>();
    std::vector<std::int64_t> next(offsets, offsets + lists.items());
    std::vector<int> begun(next.size(), 0);
    const std::int64_t begin = 2;
    const std::int64_t end = 19;
    windows.visit(begin, end, [&](std::int64_t item, std::int64_t first, std::int64_t last, bool anew) {
      ASSERT_TRUE(item >= begin && item < end);
      const auto i = static_cast<std::size_t>(item);
      EXPECT_EQ(anew, begun[i] == 0);
      EXPECT_TRUE(anew || last > first) << "nothing to do for item " << item;
      EXPECT_EQ(first, next[i]);
      begun[i] = 1;
      next[i] = last;
    });
    for (std::int64_t item = begin; item < end; ++item) {
      EXPECT_EQ(begun[static_cast<std::size_t>(item)], 1);
      EXPECT_EQ(next[static_cast<std::size_t>(item)], offsets[item + 1]);
    }
  }
}

TEST(CacheWindows, ThereAreSeveralOnlyWhereTheyPay) {
  at::manual_seed(2);
  const Lists many(60, 100, kRows, true);
  const Lists few(60, 6, kRows, true);
  EXPECT_TRUE(many.windows(kRows, 4 * kWidth).several());
  EXPECT_FALSE(few.windows(kRows, 4 * kWidth).several());
  EXPECT_FALSE(Lists(2, 700, kRows, true).windows(kRows, 4 * kWidth).several()) << "rows are used once";
  EXPECT_FALSE(many.windows(kRows, 64).several()) << "58 kB stay in cache anyway";
  EXPECT_FALSE(Lists(60, 100, 120, true).windows(kRows, 4 * kWidth).several()) << "120 rows in use do, too";
  EXPECT_TRUE(Lists(3, 40, 40, true).windows(40, std::int64_t{1} << 22).several()) << "in the shared cache";
}

TEST(CacheWindows, DoNotShowInSums) {
  at::manual_seed(3);
  const at::Tensor matrix = at::randn({kRows, kWidth});
  const at::Tensor start = at::randn({kWidth});
  const Lists lists(60, 100, kRows, true);
  ASSERT_TRUE(lists.windows(kRows, 4 * kWidth).several());
  const at::Tensor weights = at::randn({lists.ids.size(0)});
  const at::Tensor sums = sum_rows({{lists.offsets, lists.ids, weights, matrix}}, start);
  const at::Tensor dots = dot_rows(lists.offsets, lists.ids, sums, matrix);

  at::Tensor expected_sums = at::empty_like(sums);
  at::Tensor expected_dots = at::empty_like(dots);
  const auto& kernels = best_kernels<float>();
  for (std::int64_t i = 0; i < lists.items(); ++i) {
    const std::int64_t e = lists.offsets[i].item<std::int64_t>();
    const std::int64_t count = lists.offsets[i + 1].item<std::int64_t>() - e;
    const std::int32_t* const ids = lists.ids.const_data_ptr<std::int32_t>() + e;
    kernels.gather_sum(weights.const_data_ptr<float>() + e, ids, count, matrix.const_data_ptr<float>(),
                       kWidth, start.const_data_ptr<float>(),
                       expected_sums.mutable_data_ptr<float>() + i * kWidth);
    kernels.gather_dot(sums.const_data_ptr<float>() + i * kWidth, matrix.const_data_ptr<float>(), kWidth, ids,
                       count, expected_dots.mutable_data_ptr<float>() + e);
  }
  EXPECT_TRUE(at::equal(sums, expected_sums));
  EXPECT_TRUE(at::equal(dots, expected_dots));
}

TEST(CacheWindows, PartsOfASumAddUpWithAndWithoutThem) {
  at::manual_seed(4);
  const at::Tensor matrix = at::randn({kRows, kWidth});
  const Lists many(60, 100, kRows, true);
  const Lists few(60, 3, kRows, true);
  ASSERT_TRUE(many.windows(kRows, 4 * kWidth).several());
  ASSERT_FALSE(few.windows(kRows, 4 * kWidth).several());
  const auto part = [&](const Lists& lists) {
    return RowSums{lists.offsets, lists.ids, at::randn({lists.ids.size(0)}), matrix};
  };
  const auto dense = [&](const RowSums& sums) {
    at::Tensor out = at::zeros({many.items(), kWidth}, at::kDouble);
    for (std::int64_t i = 0; i < many.items(); ++i) {
      const at::Tensor entries =
          at::arange(sums.offsets[i].item<std::int64_t>(), sums.offsets[i + 1].item<std::int64_t>());
      const at::Tensor rows = matrix.index_select(0, sums.ids.index_select(0, entries)).to(at::kDouble);
      out[i] = at::matmul(sums.weights.index_select(0, entries).to(at::kDouble), rows);
    }
    return out;
  };
  const at::Tensor start = at::randn({many.items(), kWidth});
  const RowSums a = part(many);
  const RowSums b = part(few);
  const at::Tensor expected = start.to(at::kDouble) + dense(a) + dense(b);
  for (const auto& parts : {std::vector<RowSums>{a, b}, std::vector<RowSums>{b, a}}) {
    EXPECT_TRUE(at::allclose(sum_rows(parts, start).to(at::kDouble), expected, 1e-4, 1e-4));
  }
  EXPECT_TRUE(at::allclose(sum_rows({a}).to(at::kDouble), dense(a), 1e-4, 1e-4));
}

TEST(CacheWindows, NeitherThreadsNorWhereItemsBeginShowInSums) {
  at::manual_seed(5);
  const at::Tensor matrix = at::randn({kRows, kWidth}, at::kDouble);
  const Lists many(60, 100, kRows, true);
  const Lists few(60, 3, kRows, true);
  const RowSums a{many.offsets, many.ids, at::randn({many.ids.size(0)}, at::kDouble), matrix};
  const RowSums b{few.offsets, few.ids, at::randn({few.ids.size(0)}, at::kDouble), matrix};
  const auto sums_on = [](int threads, const std::vector<RowSums>& parts) {
    const test::Threads limit(threads);
    return sum_rows(parts);
  };
  EXPECT_TRUE(at::equal(sums_on(1, {a, b}), sums_on(3, {a, b})));

  Lists last = many;
  last.offsets = many.offsets.narrow(0, 20, 41);
  ASSERT_TRUE(last.windows(kRows, 8 * kWidth).several());
  EXPECT_TRUE(
      at::equal(sum_rows({{last.offsets, last.ids, a.weights, matrix}}), sum_rows({a}).narrow(0, 20, 40)));
}

}  // namespace
}  // namespace regulon::ops::detail
