#include <regulon/feature_cost.h>

/// A feature costs the norm of its decoder row: what one unit of its code adds to the reconstruction (Conerly
/// et al. 2024, "Update on how we train SAEs", Transformer Circuits, April update). A cost has no gradient;
/// for the penalty that also shrinks the decoder, see the term l1 and its parameter `decoder_norms`.
class DecoderNorm final : public regulon::FeatureCost {
 public:
  at::Tensor cost(const regulon::FeatureStats&, const regulon::Dictionary& dictionary) override {
    return dictionary.detach().norms();
  }
};

REGULON_FEATURE_COST(DecoderNorm, "decoder_norm", "A feature costs the norm of its decoder row")
