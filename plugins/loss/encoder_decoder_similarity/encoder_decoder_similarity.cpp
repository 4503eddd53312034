#include <ATen/TensorOperators.h>
#include <regulon/loss_term.h>
#include <regulon/sums.h>

/// A mild pull between what detects a feature and what it writes: the mean over features of
/// 1 - cos(e_i, w_i), e_i the encoder's direction and w_i the decoder's row. Between tied weights, which are
/// always alike, and free ones, whose differences tell of absorption (suggested in a comment on Chanin et al.
/// 2024, "Toy Models of Feature Absorption in SAEs"). A direction of zeros counts as at a right angle.
class EncoderDecoderSimilarity final : public regulon::LossTerm {
 public:
  std::vector<std::string> needs() const override { return {"encoder.directions", "encoder.untied"}; }

  at::Tensor value(const regulon::StepView& step) override {
    const regulon::Dictionary& decoder = step.dictionary();
    const regulon::Dictionary encoder(step.encoder_directions(), decoder.bias());
    const at::Tensor cosines = (encoder.unit_rows() * decoder.unit_rows()).sum(1);
    return regulon::ops::mean(1 - cosines);
  }
};

REGULON_LOSS_TERM(EncoderDecoderSimilarity, "encoder_decoder_similarity",
                  "Pulls each feature's encoder direction towards its decoder row: mean of 1 - cosine")
