/// A feature cost that does one thing wrong, chosen by its parameter `how`; "good" does nothing wrong.
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <regulon/feature_cost.h>

#include <cmath>
#include <stdexcept>

namespace {

class Misbehaves final : public regulon::FeatureCost {
 public:
  static void declare(regulon::Declaration<Misbehaves>& d) {
    d.param("how", &Misbehaves::how_).doc("what to do wrong");
  }

  at::Tensor cost(const regulon::FeatureStats& stats, const regulon::Dictionary& dictionary) override {
    if (how_ == "throws") throw std::runtime_error("no luck in cost");
    if (how_ == "throws_int") throw 7;
    if (how_ == "in_place") stats.frequency.add_(1);
    if (how_ == "raw_pointer") static_cast<float*>(stats.frequency.data_ptr())[0] += 1;
    at::Tensor good = at::ones({dictionary.features()}, dictionary.weight().options().requires_grad(false));
    if (how_ == "nan") return good.mul(NAN);
    if (how_ == "negative") return good.index_fill(0, at::tensor({1}, at::kLong), -0.5);
    if (how_ == "gradient") return dictionary.weight().square().sum(1);
    if (how_ == "shape") return good.unsqueeze(1);
    if (how_ == "dtype") return good.to(at::kLong);
    if (how_ == "meta") return good.to(at::kMeta);
    if (how_ == "undefined") return {};
    return good;
  }

 private:
  std::string how_ = "good";
};

}  // namespace

REGULON_FEATURE_COST(Misbehaves, "misbehaves", "Does one thing wrong")
