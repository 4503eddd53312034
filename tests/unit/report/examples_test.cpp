/// Features and rows that a report shows one by one.

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/error.h>

#include "core/report/feature_examples.h"
#include "core/report/row_map.h"
#include "core/report/run_page.h"
#include "tests/unit/support/expect_words.h"
#include "tests/unit/support/program.h"

namespace regulon::core::report {
namespace {

using regulon::tests::expect_words;

/// Feature i of 40 fires on a share of (40 - i) / 100 of the rows; the last two never do.
FeatureRows strongest_of_forty() {
  FeatureRows found;
  found.rows = at::arange(120).reshape({40, 3});
  found.rows.narrow(0, 38, 2).fill_(-1);
  found.rows[37][2] = -1;  // two rows only
  found.values = at::full({40, 3}, 2.0F);
  found.labels = found.rows % 3;  // three tokens each
  found.labels[5].fill_(7);
  found.frequency = (40 - at::arange(40, at::kDouble)) / 100;
  found.frequency.narrow(0, 38, 2).fill_(0);
  return found;
}

TEST(FeatureExamples, AreFrequentMiddlingRareAndNeighbours) {
  at::Tensor decoder = at::eye(40);
  decoder[20][21] = 3;       // 20 leans to 21
  decoder[38] = decoder[0];  // silent: nobody's neighbour
  const auto examples = feature_examples(strongest_of_forty(), decoder, 100, {});
  ASSERT_EQ(examples.groups.size(), 4U);
  EXPECT_EQ(examples.groups[0].features.front().feature, 0);
  EXPECT_EQ(examples.groups[1].features.front().feature, 16);
  EXPECT_EQ(examples.groups[2].features.back().feature, 37);
  EXPECT_EQ(examples.groups[2].features.back().rows.size(), 2U);
  const auto& nearest = examples.groups[3].features;
  EXPECT_EQ(nearest[0].feature, 20);
  EXPECT_EQ(nearest[0].neighbour, 21);
  EXPECT_NEAR(nearest[0].cosine, 3 / std::sqrt(10.0), 1e-6);
  EXPECT_EQ(nearest[1].feature, 21);
  EXPECT_EQ(nearest[1].neighbour, 20);
  EXPECT_NEAR(examples.groups[0].features[0].cosine, 0, 1e-6);  // its copy is silent
  EXPECT_EQ(examples.full, 37);
  EXPECT_EQ(examples.of_token, 1);
}

TEST(FeatureExamples, WithoutAnyThatFireThereAreNone) {
  FeatureRows silent = strongest_of_forty();
  silent.frequency.fill_(0);
  EXPECT_TRUE(feature_examples(silent, at::eye(40), 100, {}).groups.empty());
}

TEST(FeatureExamples, TokensAreNamedAndToldOnce) {
  const regulon::tests::ScratchFolder scratch;
  regulon::tests::write_file(scratch / "vocab", "zero\r\none\ntwo\n");
  const Vocabulary words(scratch / "vocab");
  EXPECT_EQ(words.text(0), "zero");
  EXPECT_EQ(words.text(3), "token 3 (not in --vocab)");
  EXPECT_EQ(Vocabulary().text(3), "token 3");
  Section section;
  add_examples(feature_examples(strongest_of_forty(), at::eye(40), 100, words), section);
  expect_words(section.text[1], {"1 of 37 features (2.7%)", "one and the same token"});
  ASSERT_EQ(section.details.size(), 4U);
  EXPECT_TRUE(section.details[0].folded);
  EXPECT_EQ(section.details[0].rows[0][2].text, "zero 2 · one 2 · two 2");
  EXPECT_EQ(section.details[0].rows[5][2].text, "token 7 (not in --vocab) ×3 up to 2");
}

TEST(FeatureExamples, RowsAreNumberedWhereThereAreNoTokens) {
  FeatureRows found = strongest_of_forty();
  found.labels = at::Tensor();
  Section section;
  add_examples(feature_examples(found, at::eye(40), 100, {}), section);
  expect_words(section.text[1], {"no token ids"});
  EXPECT_EQ(section.details[0].rows[1][2].text, "row 3 2 · row 4 2 · row 5 2");
}

TEST(FeatureExamples, AVocabularyThatIsNoneIsRefused) {
  const regulon::tests::ScratchFolder scratch;
  regulon::tests::write_file(scratch / "empty", "");
  EXPECT_THROW(Vocabulary(scratch / "empty"), InputError);
  EXPECT_THROW(Vocabulary(scratch / "nowhere"), InputError);
  EXPECT_THROW(Vocabulary(scratch.path()), InputError);
}

/// Columns of spread 5, 2 and 0.1, uncorrelated, and zeros up to `width`.
at::Tensor three_columns(std::int64_t rows, std::int64_t width) {
  at::manual_seed(3);
  at::Tensor columns = at::randn({rows, 3}, at::kDouble);
  columns -= columns.mean(0, true);
  columns = std::get<0>(at::linalg_qr(columns)) * std::sqrt(static_cast<double>(rows));
  at::Tensor all = at::zeros({rows, width}, at::kDouble);
  all.narrow(1, 0, 3).copy_(columns * at::tensor({5.0, 2.0, 0.1}, at::kDouble));
  return all;
}

TEST(RowMap, LiesOnTheFirstTwoComponents) {
  for (const std::int64_t width : {3, 400}) {  // fewer and more columns than rows
    const at::Tensor rows = three_columns(200, width);
    const auto map = principal_map(rows + 7, at::ones({200}, at::kDouble));
    const double whole = 25 + 4 + 0.01;
    EXPECT_NEAR(map.shares[0], 25 / whole, 1e-9);
    EXPECT_NEAR(map.shares[1], 4 / whole, 1e-9);
    for (std::int64_t i = 0; i < 200; ++i) {
      const auto& point = map.points[static_cast<std::size_t>(i)];
      EXPECT_NEAR(point.x, rows[i][0].item<double>(), 1e-8);
      EXPECT_NEAR(point.y, rows[i][1].item<double>(), 1e-8);
      EXPECT_NEAR(point.loss, 1 / whole, 1e-9);
    }
    EXPECT_FALSE(map.from_nearest);  // losses that are all alike have nothing to tell
  }
}

TEST(RowMap, TellsWhetherLossesLieTogether) {
  const at::Tensor rows = three_columns(1000, 3);
  const auto by_place = principal_map(rows, (rows.select(1, 0) / 5).exp());
  ASSERT_TRUE(by_place.from_nearest);
  EXPECT_GT(*by_place.from_nearest, 0.9);
  at::manual_seed(4);
  const auto by_chance = principal_map(rows, at::rand({1000}, at::kDouble) + 0.1);
  EXPECT_LT(*by_chance.from_nearest, 0.05);
  expect_words(rows_section(by_place).figures[0].caption, {"lie together", "86.2%"});
  expect_words(rows_section(by_chance).figures[0].caption, {"next to nothing of its loss"});
}

TEST(RowMap, TheWorstRowsAreListed) {
  Measured::RowMap map;
  for (int i = 0; i < 30; ++i) map.points.push_back({1.0 * i, 2.0, 0.01 * i, 100 + i, "word"});
  const Figure figure = rows_section(map).figures[0];
  EXPECT_EQ(figure.numbers.rows.size(), 12U);
  EXPECT_EQ(figure.numbers.rows[0][0].text, "129");
  EXPECT_EQ(figure.numbers.rows[0].back().text, "word");
  EXPECT_EQ(figure.spec["data"][0]["values"].size(), 30U);
  expect_words(figure.spec["data"][0]["values"][29]["tip"].get<std::string>(), {"word, row 129: loss 0.29"});
}

}  // namespace
}  // namespace regulon::core::report
