#include "core/measure/evaluation.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace regulon::core {
namespace {

struct Rows {
  at::Tensor x, rebuilt, dense;
};

Rows some_rows(std::int64_t count) {
  at::manual_seed(3);
  return {at::randn({count, 6}) + 2, at::randn({count, 6}) * 0.3 + 2,
          at::where(at::rand({count, 9}) > 0.7, at::rand({count, 9}), at::zeros({count, 9}))};
}

Evaluation evaluate(const Rows& rows, std::int64_t batch) {
  Evaluator evaluator(9, 6);
  for (std::int64_t first = 0; first < rows.x.size(0); first += batch) {
    const std::int64_t end = std::min(first + batch, rows.x.size(0));
    evaluator.add(rows.x.slice(0, first, end), Codes::dense(rows.dense.slice(0, first, end)),
                  rows.rebuilt.slice(0, first, end));
  }
  return evaluator.result();
}

TEST(Evaluation, MatchesTheFormulas) {
  const Rows rows = some_rows(50);
  const Evaluation found = evaluate(rows, 50);
  const at::Tensor x = rows.x.to(at::kDouble);
  const at::Tensor y = rows.rebuilt.to(at::kDouble);
  const double error = (x - y).square().sum().item<double>();
  const double fvu = error / (x - x.mean(0, true)).square().sum().item<double>();
  EXPECT_NEAR(found.fvu, fvu, 1e-9);
  EXPECT_NEAR(found.explained_variance, 1 - fvu, 1e-9);
  EXPECT_NEAR(found.mse, error / 50, 1e-9);
  EXPECT_NEAR(found.l0, (rows.dense > 0).sum().item<double>() / 50, 1e-9);
  EXPECT_NEAR(found.l1, rows.dense.sum().item<double>() / 50, 1e-5);
  EXPECT_NEAR(found.cosine, at::cosine_similarity(x, y, 1).mean().item<double>(), 1e-9);
  EXPECT_NEAR(found.norm_ratio, (y.norm(2, {1}) / x.norm(2, {1})).mean().item<double>(), 1e-9);
  EXPECT_NEAR(found.relative_bias, y.square().sum().item<double>() / (x * y).sum().item<double>(), 1e-9);
  EXPECT_TRUE(at::allclose(found.frequency, (rows.dense > 0).to(at::kDouble).mean(0)));
}

TEST(Evaluation, LegacyVarianceIsThatOfStoredRows) {
  const Rows rows = some_rows(50);
  const at::Tensor x = rows.x.to(at::kDouble);
  const double error = (x - rows.rebuilt).square().sum(1).mean().item<double>();
  const double mean = x.mean().item<double>();  // the scalar whose square should have been a sum over d
  const double legacy = 1 - error / (x.square().sum(1).mean().item<double>() - mean * mean);
  const double variance = (x - x.mean(0, true)).square().sum(1).mean().item<double>();
  const Evaluation plain = evaluate(rows, 7);
  EXPECT_NEAR(plain.explained_variance_legacy, legacy, 1e-6);
  EXPECT_NEAR(plain.variance, variance, 1e-9);
  EXPECT_GT(legacy, plain.explained_variance + 0.1);

  Normalisation normalisation{rows.x.mean(0) + 0.5, 3.0};
  Evaluator evaluator(9, 6, normalisation);
  evaluator.add(normalisation.apply(rows.x), Codes::dense(rows.dense), normalisation.apply(rows.rebuilt));
  const Evaluation normalised = evaluator.result();
  EXPECT_NEAR(normalised.explained_variance_legacy, legacy, 1e-5);
  EXPECT_NEAR(normalised.variance, variance, 1e-4);
  EXPECT_NEAR(normalised.fvu, plain.fvu, 1e-5);
}

TEST(Evaluation, FrequenciesGiveACodeLengthAndAHistogram) {
  Rows rows = some_rows(50);
  rows.dense.slice(1, 0, 2).zero_();
  rows.dense.slice(1, 2, 4).zero_();
  rows.dense.slice(1, 2, 4).select(0, 7).fill_(1);  // two of the nine in one row of fifty
  const Evaluation found = evaluate(rows, 50);
  const at::Tensor p = (rows.dense > 0).to(at::kDouble).mean(0);
  EXPECT_NEAR(found.code_length, at::special_entr(p).sum().item<double>(), 1e-12);
  const nlohmann::json shares = to_json(found)["frequency"];
  EXPECT_DOUBLE_EQ(shares["unused"], 2.0 / 9);
  EXPECT_DOUBLE_EQ(shares["below_1e-2"], 0);
  EXPECT_DOUBLE_EQ(shares["below_1e-1"], 2.0 / 9);
  EXPECT_DOUBLE_EQ(shares["above"], 5.0 / 9);
}

TEST(Evaluation, DoesNotDependOnTheBatches) {
  const Rows rows = some_rows(50);
  const Evaluation whole = evaluate(rows, 50);
  const Evaluation pieces = evaluate(rows, 7);
  EXPECT_NEAR(whole.fvu, pieces.fvu, 1e-12);
  EXPECT_NEAR(whole.cosine, pieces.cosine, 1e-12);
  EXPECT_EQ(whole.rows, pieces.rows);
}

TEST(Evaluation, UnusedFeaturesAreCounted) {
  Rows rows = some_rows(20);
  rows.dense.slice(1, 0, 3).zero_();
  EXPECT_DOUBLE_EQ(evaluate(rows, 20).unused_share, 3.0 / 9.0);
}

TEST(Evaluation, RowsOfZerosAndNoRowsAreDefined) {
  Evaluator none(9, 6);
  EXPECT_EQ(none.result().fvu, 0);
  Evaluator zeros(9, 6);
  zeros.add(at::zeros({4, 6}), Codes::dense(at::zeros({4, 9})), at::zeros({4, 6}));
  EXPECT_EQ(zeros.result().fvu, 0);
  EXPECT_EQ(zeros.result().cosine, 0);
  EXPECT_EQ(zeros.result().unused_share, 1);
}

}  // namespace
}  // namespace regulon::core
