#include "core/data/toy_three.h"

#include <fmt/format.h>
#include <regulon/error.h>

namespace regulon::core {

void ToyThree::declare(Declaration<ToyThree>& d) {
  d.param("width", &ToyThree::width_).at_least(1).doc("activation width d");
  d.param("directions", &ToyThree::directions_).choices(direction_kinds()).doc("how the true features lie");
  d.param("together", &ToyThree::together_)
      .at_least(0)
      .at_most(1)
      .doc("probability that features 0 and 1 are active together");
  d.param("alone", &ToyThree::alone_)
      .at_least(0)
      .at_most(0.5)
      .doc("probability of feature 0 without 1, and as much of 1 without 0");
  d.param("rare", &ToyThree::rare_)
      .at_least(0)
      .at_most(1)
      .doc("probability of feature 2, independent of the others");
  d.param("ratio", &ToyThree::ratio_)
      .above(0)
      .doc("magnitude of feature 1 over that of feature 0 when together");
  d.param("spread", &ToyThree::spread_)
      .at_least(0)
      .at_most(1)
      .doc("the ratio varies uniformly by this share to both sides");
  d.param("low", &ToyThree::low_).at_least(0).unit("activation").doc("smallest magnitude");
  d.param("high", &ToyThree::high_).above(0).unit("activation").doc("largest magnitude");
  d.param("held_out", &ToyThree::held_out_).at_least(1).unit("rows").doc("rows to measure on");
}

ToySource::Layout ToyThree::prepare_toy(RandomStream&) {
  if (together_ + 2 * alone_ > 1) {
    throw InputError({"[data]", "the probabilities of toy.three add up to more than one",
                      "together + 2 * alone <= 1", fmt::format("{}", together_ + 2 * alone_),
                      "Lower together or alone."});
  }
  if (low_ > high_) {
    throw InputError({"[data]", "low is above high", "low <= high",
                      fmt::format("low = {}, high = {}", low_, high_), "Exchange the two."});
  }
  return {3, width_, held_out_, directions_};
}

void ToyThree::draw(RandomStream& random, std::vector<Active>& active) const {
  const double kind = random.uniform();
  const double magnitude = random.uniform(low_, high_);
  const auto add = [&](std::int64_t feature, double value) {
    active.push_back({feature, static_cast<float>(value)});
  };
  if (kind < together_) {
    add(0, magnitude);
    add(1, magnitude * ratio_ * (1.0 + spread_ * random.uniform(-1.0, 1.0)));
  } else if (kind < together_ + alone_) {
    add(0, magnitude);
  } else if (kind < together_ + 2 * alone_) {
    add(1, magnitude);
  }
  if (random.uniform() < rare_) add(2, random.uniform(low_, high_));
}

std::string ToyThree::settings() const {
  return fmt::format(
      "three width={} directions={} together={} alone={} rare={} ratio={} spread={} low={} high={}", width_,
      directions_, together_, alone_, rare_, ratio_, spread_, low_, high_);
}

}  // namespace regulon::core
