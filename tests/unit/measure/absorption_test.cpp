#include "core/measure/absorption.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/error.h>

#include <nlohmann/json.hpp>

#include "tests/unit/support/expect_error.h"

namespace regulon::core {
namespace {

/// Chanin et al.'s picture: the child's decoder row has taken in the parent's, and the parent's encoder turns
/// away from the child. The other two features are plain.
struct AbsorptionToy {
  at::Tensor decoder = at::eye(4, 6);
  at::Tensor encoder = at::eye(4, 6);
  at::Tensor ids = at::arange(4);
  AbsorptionToy() {
    decoder[1][0] = 1;   // child = own direction + parent
    encoder[0][1] = -1;  // parent = own direction - child
  }
};

TEST(Absorption, TheParentTurnsAwayFromTheChild) {
  const AbsorptionToy toy;
  const Absorption found = absorption_signs(3 * toy.encoder, 0.5 * toy.decoder, toy.ids);
  const double half = std::sqrt(0.5);
  EXPECT_TRUE(at::allclose(found.own, at::tensor({half, half, 1.0, 1.0}).to(at::kFloat)));
  EXPECT_EQ(found.lowest.size(), 4U);
  const FeaturePair& worst = found.pairs.at(0);
  EXPECT_EQ(worst.feature, 0);
  EXPECT_EQ(worst.other, 1);
  EXPECT_NEAR(worst.decoder, half, 1e-6);
  EXPECT_NEAR(worst.encoder, -half, 1e-6);
  EXPECT_NEAR(worst.turned, (1 - 1) * half, 1e-6);
  EXPECT_EQ(found.histogram.back(), 2);
  EXPECT_EQ(found.histogram.at(85), 2);  // 0.70 to 0.72
}

TEST(Absorption, TheLastPairIsNamedTheRightWayRoundToo) {
  AbsorptionToy toy;
  toy.encoder[0][1] = -2;
  const auto worst = [](const at::Tensor& encoder, const at::Tensor& decoder) {
    const Absorption found = absorption_signs(encoder, decoder, at::arange(4), 1);
    EXPECT_EQ(found.pairs.size(), 1U);
    return std::pair(found.pairs.at(0).feature, found.pairs.at(0).other);
  };
  EXPECT_EQ(worst(toy.encoder, toy.decoder), (std::pair<std::int64_t, std::int64_t>(0, 1)));
  EXPECT_EQ(worst(toy.encoder.flip(0), toy.decoder.flip(0)), (std::pair<std::int64_t, std::int64_t>(3, 2)));
}

TEST(Absorption, FiguresAreTheDefinitions) {
  at::manual_seed(2);
  const at::Tensor encoder = at::randn({60, 10});
  const at::Tensor decoder = at::randn({60, 10});
  const at::Tensor ids = at::arange(0, 60, 2);
  const Absorption found = absorption_signs(encoder, decoder, ids, 3);
  const auto cosine = [](const at::Tensor& x, const at::Tensor& y) {
    return at::cosine_similarity(x, y, 0).item<double>();
  };
  double apart = 0;
  for (std::int64_t i = 0; i < 30; ++i) {
    const auto feature = ids[i].item<std::int64_t>();
    std::int64_t best = -1;
    for (std::int64_t j = 0; j < 60; j += 2) {
      const bool nearer =
          best < 0 || cosine(decoder[feature], decoder[j]) > cosine(decoder[feature], decoder[best]);
      if (j != feature && nearer) best = j;
    }
    EXPECT_EQ(found.other[i].item<std::int64_t>(), best);
    EXPECT_NEAR(found.own[i].item<double>(), cosine(encoder[feature], decoder[feature]), 1e-5);
    EXPECT_NEAR(found.decoder[i].item<double>(), cosine(decoder[feature], decoder[best]), 1e-5);
    EXPECT_NEAR(found.encoder[i].item<double>(), cosine(encoder[feature], encoder[best]), 1e-5);
    EXPECT_NEAR(found.turned[i].item<double>(), cosine(encoder[feature], decoder[best]), 1e-5);
    apart += cosine(encoder[feature], decoder[best]) < 0 ? 1.0 / 30 : 0;
  }
  EXPECT_NEAR(found.apart, apart, 1e-9);
  EXPECT_EQ(found.pairs.size(), 3U);
  EXPECT_EQ(found.lowest.at(0).first, ids[found.own.argmin()].item<std::int64_t>());
  EXPECT_EQ(to_json(found).at("features"), 30);
}

TEST(Absorption, OneFeatureHasNoOther) {
  const AbsorptionToy toy;
  const Absorption found = absorption_signs(toy.encoder, toy.decoder, toy.ids.slice(0, 2, 3));
  EXPECT_EQ(found.other[0].item<std::int64_t>(), -1);
  EXPECT_TRUE(found.pairs.empty());
  tests::expect_error<InputError>([&] { absorption_signs(toy.encoder, toy.decoder, toy.ids.slice(0, 0, 0)); },
                                  {"no feature to look at"});
}

}  // namespace
}  // namespace regulon::core
