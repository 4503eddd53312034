#include "core/data/normalisation.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/error.h>

#include <cmath>

#include "tests/unit/data/make_source.h"
#include "tests/unit/support/expect_error.h"

namespace regulon::core {
namespace {

using namespace regulon::tests;

/// Three rows of width 2, over and over.
class FixedRows final : public Source {
 public:
  FixedRows(std::vector<float> values, std::int64_t pass) : values_(std::move(values)), pass_(pass) {}
  void open(const SourceSetup&) override {}
  std::int64_t width() const override { return 2; }
  std::int64_t training_rows() const override { return pass_; }
  at::Tensor batch(std::int64_t) override { return at::tensor(values_).view({-1, 2}); }
  std::int64_t held_out_rows() const override { return 0; }
  at::Tensor held_out(std::int64_t, std::int64_t) override { return {}; }
  std::string fingerprint() const override { return ""; }

 private:
  std::vector<float> values_;
  std::int64_t pass_;
};

TEST(Normalisation, NoneChangesNothing) {
  FixedRows source({1, 2, 3, 4}, 0);
  const Normalisation normalisation = estimate_normalisation(source, "none");
  EXPECT_TRUE(normalisation.apply(source.batch(0)).equal(source.batch(0)));
  EXPECT_FALSE(normalisation.mean.defined());
}

TEST(Normalisation, ScaleMakesTheMeanNormTheRootOfTheWidth) {
  FixedRows source({3, 4, 0, 1, 0, 3}, 0);  // norms 5, 1, 3
  const Normalisation normalisation = estimate_normalisation(source, "scale");
  EXPECT_NEAR(normalisation.scale, std::sqrt(2.0) / 3.0, 1e-4);
  EXPECT_FALSE(normalisation.mean.defined());
  EXPECT_NEAR(normalisation.apply(source.batch(0)).norm(2, {1}).mean().item<double>(), std::sqrt(2.0), 1e-3);
}

TEST(Normalisation, CenterSubtractsTheMeanFirst) {
  FixedRows source({1, 10, 3, 10, 5, 10}, 3);  // mean (3, 10), norms 2, 0, 2
  const Normalisation normalisation = estimate_normalisation(source, "center");
  EXPECT_TRUE(normalisation.mean.equal(at::tensor({3.0f, 10.0f})));
  EXPECT_NEAR(normalisation.scale, std::sqrt(2.0) * 3 / 4, 1e-9);
}

TEST(Normalisation, ALargeSampleIsOfTheFirstRows) {
  // A pass of two rows in batches of three: only two rows count.
  FixedRows source({3, 4, 0, 1, 100, 100}, 2);
  EXPECT_NEAR(estimate_normalisation(source, "scale").scale, std::sqrt(2.0) / 3.0, 1e-9);
}

TEST(Normalisation, InvertUndoesApply) {
  Normalisation normalisation;
  normalisation.mean = at::tensor({1.0f, -2.0f});
  normalisation.scale = 0.3;
  const at::Tensor rows = at::tensor({1.0f, 2.0f, -3.0f, 4.0f}).view({2, 2});
  EXPECT_TRUE(normalisation.apply(rows).allclose(at::tensor({0.0f, 1.2f, -1.2f, 1.8f}).view({2, 2})));
  EXPECT_TRUE(normalisation.invert(normalisation.apply(rows)).allclose(rows));
}

TEST(Normalisation, TravelsAsTensors) {
  Normalisation normalisation;
  normalisation.mean = at::tensor({1.0f, -2.0f});
  normalisation.scale = 1.0 / 3.0;
  const Normalisation back = Normalisation::from_tensors(normalisation.tensors(), "file");
  EXPECT_EQ(back.scale, normalisation.scale);
  EXPECT_TRUE(back.mean.equal(normalisation.mean));
  EXPECT_FALSE(Normalisation::from_tensors(Normalisation().tensors(), "file").mean.defined());
  const auto refused = [](const NamedTensors& tensors) {
    expect_error<InputError>([&] { Normalisation::from_tensors(tensors, "w.safetensors"); },
                             {"w.safetensors", "no usable normalisation"});
  };
  refused({});
  refused({{"normalisation.scale", at::scalar_tensor(0.0, at::kDouble)}});
  refused({{"normalisation.scale", at::scalar_tensor(NAN, at::kDouble)}});
  refused({{"normalisation.scale", at::scalar_tensor(1.0f)}});
  refused({{"normalisation.scale", at::scalar_tensor(1.0, at::kDouble)},
           {"normalisation.mean", at::ones({2, 2})}});
}

TEST(Normalisation, IsTheSameWhateverTheBatch) {
  const auto estimate = [](std::int64_t batch) {
    return estimate_normalisation(*open_source("toy.pairs", {}, batch), "center");
  };
  const Normalisation small = estimate(100);
  const Normalisation large = estimate(5000);
  EXPECT_EQ(small.scale, large.scale);
  EXPECT_TRUE(small.mean.equal(large.mean));
}

TEST(Normalisation, RefusesRowsWithoutANorm) {
  FixedRows zeros({0, 0, 0, 0}, 0);
  expect_error<InputError>([&] { estimate_normalisation(zeros, "scale"); },
                           {"cannot be normalised by 'scale'"});
  FixedRows constant({1, 2, 1, 2}, 2);
  expect_error<InputError>([&] { estimate_normalisation(constant, "center"); },
                           {"cannot be normalised by 'center'"});
}

}  // namespace
}  // namespace regulon::core
