#include <regulon/error.h>
#include <regulon/pairs.h>
#include <regulon/step.h>

#include <chrono>
#include <vector>

#include "ops_reference.h"

namespace regulon {
namespace {

/// Codes [rows, n] of which about a third are listed, some of these not active.
at::Tensor some_codes(std::int64_t rows, std::int64_t n, at::ScalarType type) {
  const at::Tensor values = at::randn({rows, n}, type);
  at::Tensor codes = values * (at::rand({rows, n}) < 0.4).to(type);
  if (n > 3) codes.select(1, 3).zero_();
  return codes;
}

/// The same as sparse codes, made without the SDK.
Codes sparse_of(const at::Tensor& dense) {
  const at::Tensor listed = dense != 0;
  const at::Tensor places = listed.nonzero();
  const at::Tensor offsets = at::cat({at::zeros({1}, at::kLong), listed.sum(1).cumsum(0)});
  return Codes::sparse(dense.size(1), offsets, places.select(1, 1).to(at::kInt).contiguous(),
                       dense.masked_select(listed));
}

TEST(CoactivationTest, NormsAndJointWeightsAreThoseOfTheMatrix) {
  at::manual_seed(31);
  for (const auto type : {at::kFloat, at::kDouble}) {
    const at::Tensor dense = some_codes(50, 9, type);
    const at::Tensor active = dense.clamp_min(0).to(at::kDouble);
    const at::Tensor norms = active.square().mean(0).sqrt();
    const at::Tensor joint =
        at::mm(active.t(), active) / 50 / (norms.unsqueeze(0) * norms.unsqueeze(1)).clamp_min(1e-300);
    const at::Tensor row = at::arange(9, at::kLong).repeat_interleave(9);
    const at::Tensor other = at::arange(9, at::kLong).repeat({9});
    for (const Codes& codes : {Codes::dense(dense), sparse_of(dense)}) {
      EXPECT_TRUE(at::allclose(ops::activation_norms(codes).to(at::kDouble), norms, 1e-5, 1e-7));
      const at::Tensor found = ops::joint_activations(codes, row, other);
      EXPECT_TRUE(at::allclose(found.to(at::kDouble), joint.view({-1}), 1e-5, 1e-7));
      EXPECT_EQ(found[3].item<double>(), 0);  // feature 3 never fires
    }
  }
}

/// Feature 0 fires in every row, and is looked at by every other, which fires in ten. Walking along all its
/// rows for each would be 8 * 10^9 steps.
TEST(CoactivationTest, AFeatureThatAlwaysFiresIsNoBurden) {
  constexpr std::int64_t kRows = 200000;
  constexpr std::int64_t kOthers = 20000;
  at::manual_seed(35);
  // Row r has feature 0 and feature 1 + r % kOthers.
  const at::Tensor own = at::arange(kRows, at::kLong).remainder(kOthers) + 1;
  const at::Tensor ids = at::stack({at::zeros_like(own), own}, 1).flatten().to(at::kInt);
  const at::Tensor values = at::rand({kRows, 2}, at::kDouble) + 0.1;
  const Codes codes =
      Codes::sparse(kOthers + 1, at::arange(kRows + 1, at::kLong) * 2, ids, values.flatten().contiguous());
  codes.by_feature();
  const at::Tensor row = at::arange(1, kOthers + 1, at::kLong);
  const at::Tensor hub = at::zeros_like(row);
  const auto start = std::chrono::steady_clock::now();
  const at::Tensor found = ops::joint_activations(codes, row, hub);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_LT(seconds.count(), 1.5);
  // Rows r, r + kOthers, … are those of one feature.
  const at::Tensor table = values.view({kRows / kOthers, kOthers, 2});
  const at::Tensor both = (table.select(2, 0) * table.select(2, 1)).sum(0);
  const at::Tensor squares = table.select(2, 1).square().sum(0) * values.select(1, 0).square().sum();
  EXPECT_TRUE(at::allclose(found, both / squares.sqrt(), 1e-10, 1e-14));
  EXPECT_TRUE(test::same_bits(ops::joint_activations(codes, hub, row), found));
}

TEST(CoactivationTest, ThreadsDoNotShowAndWrongPairsAreRefused) {
  at::manual_seed(32);
  const Codes codes = sparse_of(some_codes(400, 300, at::kFloat));
  const at::Tensor row = at::arange(300, at::kLong);
  const at::Tensor other = (row + 1).remainder(300);
  std::vector<at::Tensor> found;
  for (const int threads : {1, 2, 3}) {
    const test::Threads limit(threads);
    found.push_back(at::cat({ops::activation_norms(codes), ops::joint_activations(codes, row, other)}));
    EXPECT_TRUE(test::same_bits(found.back(), found.front()));
  }
  EXPECT_THROW(ops::joint_activations(codes, row, other.slice(0, 1)), RunError);
  EXPECT_THROW(ops::joint_activations(codes, row, other + 1), RunError);
}

TEST(CoactivationTest, NoRowsAndNoPairs) {
  const Codes none = Codes::dense(at::zeros({0, 4}));
  EXPECT_TRUE(at::equal(ops::activation_norms(none), at::zeros({4})));
  const at::Tensor nothing = at::empty({0}, at::kLong);
  EXPECT_EQ(ops::joint_activations(none, nothing, nothing).numel(), 0);
  EXPECT_EQ(ops::joint_activations(none, at::zeros({1}, at::kLong), at::ones({1}, at::kLong)).item<float>(),
            0);
}

/// The chunks as they are drawn: a permutation cut into ceil(n / chunk) parts of about equal length.
std::vector<at::Tensor> drawn_chunks(std::int64_t n, std::int64_t chunk, std::uint64_t seed) {
  const at::Tensor order = at::randperm(n, named_generator(seed, "chunks"), at::kLong);
  const std::int64_t count = (n + chunk - 1) / chunk;
  std::vector<at::Tensor> chunks;
  for (std::int64_t k = 0; k < count; ++k) {
    chunks.push_back(std::get<0>(at::sort(order.slice(0, n * k / count, n * (k + 1) / count))));
    EXPECT_LE(chunks.back().size(0), chunk);
  }
  return chunks;
}

TEST(ChunkNeighboursTest, AreTheNearestOfTheirChunk) {
  at::manual_seed(33);
  for (const std::int64_t n : {1, 2, 7, 60}) {
    at::Tensor rows = test::random_units(n, 5);
    if (n > 30) rows[4].copy_(rows[25]);
    for (const std::int64_t chunk : {1, 2, 3, 11, 60, 1000}) {
      for (const bool absolute : {true, false}) {
        const ops::Neighbours found =
            ops::chunk_neighbours(rows, chunk, named_generator(5, "chunks"), absolute);
        at::Tensor size = at::full({n}, -2.0, at::kDouble);
        at::Tensor shares = at::zeros({n}, at::kDouble).index_add_(0, found.row, found.share);
        const at::Tensor cosines = ops::pair_cosines(rows, found.row, found.other);
        size.index_put_({found.row}, absolute ? cosines.abs() : cosines);
        for (const at::Tensor& ids : drawn_chunks(n, chunk, 5)) {
          const at::Tensor own = rows.index_select(0, ids);
          at::Tensor products = own.mm(own.t());
          if (absolute) products = products.abs();
          const at::Tensor best = products.fill_diagonal_(-2).amax(1);
          EXPECT_TRUE(at::allclose(size.index_select(0, ids), best)) << n << " by " << chunk;
          const double share = ids.size(0) > 1 ? 1 : 0;
          EXPECT_TRUE(at::allclose(shares.index_select(0, ids), at::full({ids.size(0)}, share, at::kDouble)));
        }
        EXPECT_TRUE(at::equal(found.row, std::get<0>(at::sort(found.row))));
      }
    }
  }
}

TEST(ChunkNeighboursTest, OneChunkIsTheExactSearchAndOthersDifferByDraw) {
  at::manual_seed(34);
  const at::Tensor rows = test::random_units(80, 6, at::kFloat);
  const ops::Neighbours exact = ops::nearest_neighbours(rows);
  const ops::Neighbours whole = ops::chunk_neighbours(rows, 80, named_generator(1, "a"));
  EXPECT_TRUE(at::equal(whole.row, exact.row));
  EXPECT_TRUE(at::equal(whole.other, exact.other));
  const ops::Neighbours one = ops::chunk_neighbours(rows, 20, named_generator(1, "a"));
  const ops::Neighbours same = ops::chunk_neighbours(rows, 20, named_generator(1, "a"));
  const ops::Neighbours next = ops::chunk_neighbours(rows, 20, named_generator(1, "b"));
  EXPECT_TRUE(at::equal(one.other, same.other));
  EXPECT_FALSE(at::equal(one.other, next.other));
  EXPECT_THROW(ops::chunk_neighbours(rows, 0, named_generator(1, "a")), RunError);
}

}  // namespace
}  // namespace regulon
