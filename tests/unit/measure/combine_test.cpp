/// Combinations of features: against dense counts, and sums written out.
#include "core/measure/combine.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/error.h>

#include <cmath>
#include <set>

#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/toy_step.h"

namespace regulon::core::combine_test {
namespace {

using tests::normal;

constexpr std::int64_t kRows = 400;
constexpr std::int64_t kFeatures = 30;

/// Codes in which 20 and 21, 22 and 23, … share many of their rows, the more the higher they are.
at::Tensor dense_codes() {
  at::Tensor codes =
      (at::rand({kRows, kFeatures}, named_generator(1, "codes"), at::kDouble) < 0.08).to(at::kDouble);
  for (std::int64_t i = 20; i < 30; i += 2) {
    const at::Tensor same =
        at::rand({kRows}, named_generator(2, std::to_string(i)), at::kDouble) < 0.03 * static_cast<double>(i);
    codes.select(1, i + 1).copy_(at::where(same, codes.select(1, i), codes.select(1, i + 1)));
  }
  return codes;
}

std::vector<Codes> batches(const at::Tensor& dense) {
  return {Codes::dense(dense.narrow(0, 0, 150)), Codes::dense(dense.narrow(0, 150, kRows - 150))};
}

TEST(Combine, PartnersAreWhatADenseCountFinds) {
  const at::Tensor dense = dense_codes();
  const at::Tensor counts = dense.t().matmul(dense);  // rows together
  const Partners partners = coactive_partners(batches(dense), kFeatures, 5, 3);
  ASSERT_EQ(partners.offsets.size(), static_cast<std::size_t>(kFeatures + 1));
  for (std::int64_t i = 0; i < kFeatures; ++i) {
    std::vector<double> expected;
    for (std::int64_t j = 0; j < kFeatures; ++j) {
      const double together = counts[i][j].item<double>();
      if (j == i || together < 3) continue;
      expected.push_back(together / std::sqrt(counts[i][i].item<double>() * counts[j][j].item<double>()));
    }
    std::sort(expected.rbegin(), expected.rend());
    expected.resize(std::min<std::size_t>(expected.size(), 5));
    const auto begin = partners.score.begin() + partners.offsets[static_cast<std::size_t>(i)];
    const auto end = partners.score.begin() + partners.offsets[static_cast<std::size_t>(i + 1)];
    ASSERT_EQ(static_cast<std::size_t>(end - begin), expected.size()) << i;
    for (std::size_t k = 0; k < expected.size(); ++k) {
      EXPECT_NEAR(begin[static_cast<std::ptrdiff_t>(k)], expected[k], 1e-12) << i;
      const std::int64_t j =
          partners.other[static_cast<std::size_t>(partners.offsets[static_cast<std::size_t>(i)]) + k];
      EXPECT_NEAR(
          counts[i][j].item<double>() / std::sqrt(counts[i][i].item<double>() * counts[j][j].item<double>()),
          expected[k], 1e-12);
    }
  }
}

TEST(Combine, NearMissesAreNotActive) {
  const Codes codes = Codes::sparse(3, at::tensor({0, 2, 4}, at::kLong), at::tensor({0, 1, 0, 2}, at::kInt),
                                    at::tensor({1.0, 0.0, 1.0, 1.0}, at::kDouble));
  const Partners partners = coactive_partners({codes}, 3, 4, 1);
  EXPECT_EQ(partners.offsets, (std::vector<std::int64_t>{0, 1, 1, 2}));
  EXPECT_EQ(partners.other, (std::vector<std::int64_t>{2, 0}));
}

/// Expects sums of the parts, of length one, no feature in two, and the dictionary in front.
void expect_sums(const Combinations& made, const at::Tensor& dictionary, std::int64_t count,
                 std::int64_t of) {
  const std::int64_t n = dictionary.size(0);
  EXPECT_EQ(made.features.sizes(), (at::IntArrayRef{n + count, dictionary.size(1)}));
  EXPECT_EQ(made.features.scalar_type(), at::kFloat);
  EXPECT_EQ(made.parts.sizes(), (at::IntArrayRef{count, of}));
  EXPECT_EQ(made.combination.narrow(0, 0, n).sum().item<std::int64_t>(), 0);
  EXPECT_EQ(made.combination.sum().item<std::int64_t>(), count);
  std::set<std::int64_t> used;
  for (std::int64_t i = 0; i < count; ++i) {
    at::Tensor sum = at::zeros({dictionary.size(1)}, at::kDouble);
    at::Tensor weighted = sum.clone();
    for (std::int64_t k = 0; k < of; ++k) {
      const auto part = made.parts[i][k].item<std::int64_t>();
      EXPECT_TRUE(used.insert(part).second) << part;
      const at::Tensor direction = dictionary[part] / dictionary[part].norm();
      sum += direction;
      weighted += direction * made.weights[i][k].item<double>();
    }
    const at::Tensor found = made.features[n + i].to(at::kDouble);
    EXPECT_LT((found - sum / sum.norm()).abs().max().item<double>(), 1e-6);
    EXPECT_LT((found - weighted).abs().max().item<double>(), 1e-6);
  }
  const at::Tensor own = made.features.narrow(0, 0, n).to(at::kDouble);
  const at::Tensor norms = dictionary.norm(2, 1, true);
  EXPECT_LT((own * norms - dictionary).abs().max().item<double>(), 1e-5);
  for (std::int64_t i = 1; i < count; ++i)
    EXPECT_GE(made.scores[i - 1].item<double>(), made.scores[i].item<double>());
}

CombineSettings asked(const std::string& choose, std::int64_t count, std::int64_t of = 2) {
  CombineSettings settings;
  settings.choose = choose;
  settings.count = count;
  settings.of = of;
  return settings;
}

TEST(Combine, CoactiveFeaturesAreThoseThatShareTheirRows) {
  const at::Tensor dictionary = normal({kFeatures, 8}, 3);
  const Combinations made = combine_features(dictionary, asked("coactive", 3), batches(dense_codes()));
  expect_sums(made, dictionary, 3, 2);
  for (std::int64_t i = 0; i < 3; ++i) {  // planted pairs
    EXPECT_EQ(made.parts[i][0].item<std::int64_t>() % 2, 0);
    EXPECT_GE(made.parts[i][0].item<std::int64_t>(), 20);
    EXPECT_EQ(made.parts[i][1].item<std::int64_t>(), made.parts[i][0].item<std::int64_t>() + 1);
  }
  EXPECT_THROW(combine_features(dictionary, asked("coactive", 3), {}), InputError);
}

TEST(Combine, NearestFeaturesAreThoseOfTheHighestCosines) {
  at::Tensor dictionary = normal({40, 16}, 4);
  dictionary[7] = dictionary[31] * 2 + 0.1 * dictionary[1];
  dictionary[12].zero_();
  const Combinations made = combine_features(dictionary, asked("nearest", 8));
  expect_sums(made, dictionary, 8, 2);
  EXPECT_EQ(made.parts[0][0].item<std::int64_t>(), 7);
  EXPECT_EQ(made.parts[0][1].item<std::int64_t>(), 31);
  EXPECT_FALSE((made.parts == 12).any().item<bool>());
  // Greedy by brute force: the highest cosine of two that are left.
  const at::Tensor unit = dictionary / dictionary.norm(2, 1, true).clamp_min(1e-9);
  at::Tensor cosines = unit.matmul(unit.t()).fill_diagonal_(-2);
  for (std::int64_t i = 0; i < 8; ++i) {
    const auto best = cosines.argmax().item<std::int64_t>();
    EXPECT_EQ(made.parts[i][0].item<std::int64_t>(), std::min(best / 40, best % 40));
    EXPECT_EQ(made.parts[i][1].item<std::int64_t>(), std::max(best / 40, best % 40));
    EXPECT_NEAR(made.scores[i].item<double>(), cosines.max().item<double>(), 1e-6);
    for (const std::int64_t gone : {best / 40, best % 40}) {
      cosines[gone].fill_(-2);
      cosines.select(1, gone).fill_(-2);
    }
  }
  expect_sums(combine_features(dictionary, asked("nearest", 5, 3)), dictionary, 5, 3);
}

TEST(Combine, RandomFeaturesFollowTheSeed) {
  const at::Tensor dictionary = normal({12, 6}, 5);
  CombineSettings settings = asked("random", 4, 3);
  const Combinations made = combine_features(dictionary, settings);
  expect_sums(made, dictionary, 4, 3);  // every feature is in one
  EXPECT_TRUE(at::equal(made.parts, combine_features(dictionary, settings).parts));
  settings.seed = 1;
  EXPECT_FALSE(at::equal(made.parts, combine_features(dictionary, settings).parts));
  settings.count = 5;
  try {
    combine_features(dictionary, settings);
    ADD_FAILURE() << "15 of 12 features";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("found 4"), std::string::npos) << error.what();
  }
  expect_sums(combine_features(dictionary, asked("random", 0, 3)), dictionary, 4, 3);  // as many as there are
  EXPECT_THROW(combine_features(dictionary, asked("random", -1)), InputError);
  EXPECT_THROW(combine_features(normal({1, 3}, 6), asked("nearest", 1)), InputError);
  const at::Tensor opposite = at::tensor({1.0, 0.0, -1.0, 0.0}, at::kDouble).view({2, 2});
  tests::expect_error<InputError>([&] { combine_features(opposite, asked("random", 1)); },
                                  {"combination 0 + 1", "another seed"});
  tests::expect_error<InputError>([&] { combine_features(opposite, asked("nearest", 1)); },
                                  {"combination 0 + 1", "take fewer"});
  CombineSettings given;
  given.choose = "given";
  given.parts = {{0, 1}};
  tests::expect_error<InputError>([&] { combine_features(opposite, given); },
                                  {"combination 0 + 1", "leave this combination out"});
}

}  // namespace
}  // namespace regulon::core::combine_test
