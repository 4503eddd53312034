#include "core/data/toy_pairs.h"

#include <fmt/format.h>
#include <regulon/error.h>

namespace regulon::core {

void ToyPairs::declare(Declaration<ToyPairs>& d) {
  d.param("set_size", &ToyPairs::set_size_)
      .at_least(2)
      .at_most(1 << 20)
      .doc("features in each of the two sets");
  d.param("width", &ToyPairs::width_).at_least(1).doc("activation width d");
  d.param("directions", &ToyPairs::directions_).choices(direction_kinds()).doc("how the true features lie");
  d.param("correlation", &ToyPairs::correlation_)
      .at_least(0)
      .at_most(1)
      .doc("0: every pair is equally likely; 1: x_i only with y_i");
  d.param("low", &ToyPairs::low_).at_least(0).unit("activation").doc("smallest magnitude");
  d.param("high", &ToyPairs::high_).above(0).unit("activation").doc("largest magnitude");
  d.param("held_out", &ToyPairs::held_out_).at_least(1).unit("rows").doc("rows to measure on");
}

ToySource::Layout ToyPairs::prepare_toy(RandomStream&) {
  if (low_ > high_) {
    throw InputError({"[data]", "low is above high", "low <= high",
                      fmt::format("low = {}, high = {}", low_, high_), "Exchange the two."});
  }
  const auto size = static_cast<double>(set_size_);
  equal_ = 1.0 / size + correlation_ * (1.0 - 1.0 / size);
  return {2 * set_size_, width_, held_out_, directions_};
}

void ToyPairs::draw(RandomStream& random, std::vector<Active>& active) const {
  const auto size = static_cast<std::uint64_t>(set_size_);
  const std::uint64_t i = random.below(size);
  const bool equal = random.uniform() < equal_;
  // Among the others, all are equally likely: the distance from i is 1 … size - 1, around the circle.
  const std::uint64_t j = equal ? i : (i + 1 + random.below(size - 1)) % size;
  active.push_back({static_cast<std::int64_t>(i), static_cast<float>(random.uniform(low_, high_))});
  active.push_back({static_cast<std::int64_t>(size + j), static_cast<float>(random.uniform(low_, high_))});
}

std::string ToyPairs::settings() const {
  return fmt::format("pairs set_size={} width={} directions={} correlation={} low={} high={}", set_size_,
                     width_, directions_, correlation_, low_, high_);
}

}  // namespace regulon::core
