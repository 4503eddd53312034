/// Key functions of the plugin interfaces: their type records live here, once, for every library.

#include <regulon/activation.h>
#include <regulon/encoder.h>
#include <regulon/feature_cost.h>
#include <regulon/loss_term.h>

namespace regulon {

LossTerm::~LossTerm() = default;
void LossTerm::after_step(UpdateView&) {}
bool LossTerm::acts_after_step() const { return false; }

Encoder::~Encoder() = default;
at::Tensor Encoder::directions(const Dictionary&) const { return {}; }

FeatureCost::~FeatureCost() = default;

Activation::~Activation() = default;
void Activation::start(const std::function<Codes(const Selection&)>&) {}
void Activation::observe(const Codes&, const Selection&) {}

}  // namespace regulon
