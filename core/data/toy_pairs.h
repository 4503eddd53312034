#pragma once

#include "core/data/toy_source.h"

namespace regulon::core {

/// "toy.pairs": two sets of features x_i and y_j, exactly one of each active in every row (Anders et al.:
/// composed features). Features 0 … set_size - 1 are the x_i, the next set_size the y_j. Without
/// correlation every pair is equally likely; `correlation` moves that share of what the row and the column
/// have left to the pairs (x_i, y_i): P(i, i) = (1 + correlation * (s - 1)) / s^2 for sets of s.
class ToyPairs final : public ToySource {
 public:
  static void declare(Declaration<ToyPairs>& d);

 protected:
  Layout prepare_toy(RandomStream& random) override;
  void draw(RandomStream& random, std::vector<Active>& active) const override;
  std::string settings() const override;

 private:
  std::int64_t set_size_ = 4;
  std::int64_t width_ = 16;
  std::string directions_ = "orthonormal";
  double correlation_ = 0.8;
  double low_ = 0.0;
  double high_ = 1.0;
  std::int64_t held_out_ = 4096;
  double equal_ = 0.0;  // probability that i == j
};

}  // namespace regulon::core
