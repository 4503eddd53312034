#pragma once

#include "core/data/toy_source.h"

namespace regulon::core {

/// "toy.three": the three-feature toy of Till 2024 ("Do sparse autoencoders find 'true features'?"). Features
/// 0 and 1 are frequent and often active together at a roughly fixed ratio; feature 2 is rare and
/// independent of them. Under L1 a sparse autoencoder may learn 0 + 1 as one feature and never learn 2.
class ToyThree final : public ToySource {
 public:
  static void declare(Declaration<ToyThree>& d);

 protected:
  Layout prepare_toy(RandomStream& random) override;
  void draw(RandomStream& random, std::vector<Active>& active) const override;
  std::string settings() const override;

 private:
  std::int64_t width_ = 3;
  std::string directions_ = "orthonormal";
  double together_ = 0.4;
  double alone_ = 0.15;
  double rare_ = 0.05;
  double ratio_ = 1.0;
  double spread_ = 0.1;
  double low_ = 0.5;
  double high_ = 1.0;
  std::int64_t held_out_ = 4096;
};

}  // namespace regulon::core
