// The same weights, batches and settings as SAELens's own trainer: codes, loss and gradients of the first
// step, and the weights after ten. Decoder norms are free there, and gradients are clipped at norm one.

#include "tests/unit/golden/golden_run.h"

namespace regulon::core {
namespace {

std::string config(const std::string& encoder_and_losses) {
  return R"(
[model]
features = 48
unit_norm = false
[optimiser]
learning_rate = 1e-3
clip = 1.0
)" + encoder_and_losses;
}

std::string ranked(const std::string& activation, const std::string& loss) {
  return config(fmt::format(R"(
[encoder]
plugin = "linear"
k = 4
rescale_by_decoder_norm = true
{}
[[loss]]
{}
)",
                            activation, loss));
}

/// SAELens's codes of a rescaled selection are what a feature adds to the reconstruction, z |w|; Regulon's
/// are z.
void expect_first_step_rescaled(GoldenRun& run) {
  const GoldenRun::First first = run.first_step();
  const at::Tensor norms = run.expected("initial.decoder.weight").norm(2, {1});
  expect_close(first.codes * norms, run.expected("step0.codes"), "codes times norms");
  expect_close(first.reconstruction, run.expected("step0.reconstruction"), "reconstruction");
  expect_close(first.loss, run.expected("step0.loss"), "loss");
  run.expect_gradients();
}

/// SAELens averages its threshold from zero, which pulls it down for as many steps as the average remembers;
/// Regulon takes the first one whole. After ten steps at .75 that is .75^10 of the first step's smallest
/// score.
void expect_threshold_without_bias(GoldenRun& run) {
  const at::Tensor scores = run.expected("step0.codes");
  const double first = scores.masked_select(scores > 0).min().item<double>();
  const at::Tensor theirs = run.expected("final.activation.threshold");
  expect_close(run.now("activation.threshold"), theirs + std::pow(0.75, 10) * first, "threshold");
}

TEST(SaeLens, Standard) {
  GoldenRun run("sae_lens_standard", config(R"(
[encoder]
plugin = "linear"
[[loss]]
plugin = "mse"
[[loss]]
plugin = "l1"
weight = 0.1
)"));
  run.expect_first_step();
  run.expect_ten_steps();
}

// The ranked ones are compared without SAELens's auxiliary loss, which also lets dead features of negative
// pre-activation reconstruct the error; Regulon's codes are never negative. dictionary_learning's, whose
// codes are not either, is compared in its own test.
TEST(SaeLens, TopK) {
  GoldenRun run("sae_lens_topk", ranked("activation = \"topk\"", "plugin = \"mse\""));
  expect_first_step_rescaled(run);
  run.expect_ten_steps();
}

TEST(SaeLens, BatchTopK) {
  GoldenRun run("sae_lens_batch_topk",
                ranked("activation = \"batch_topk\"\ndecay = 0.75", "plugin = \"mse\""));
  expect_first_step_rescaled(run);
  run.expect_ten_steps();
  expect_threshold_without_bias(run);
}

TEST(SaeLens, MatryoshkaBatchTopK) {
  GoldenRun run("sae_lens_matryoshka",
                ranked("activation = \"batch_topk\"", "plugin = \"matryoshka\"\nwidths = [12, 24, 48]"));
  expect_first_step_rescaled(run);
  run.expect_ten_steps();
}

constexpr char kJumpRelu[] = R"(
[encoder]
plugin = "linear"
activation = "jumprelu"
learn = "linear"
bandwidth = 0.2
gradient_to_input = {}
[[loss]]
plugin = "mse"
[[loss]]
plugin = "l0"
weight = 0.1
)";

TEST(SaeLens, JumpRelu) {
  GoldenRun run("sae_lens_jumprelu", config(fmt::format(kJumpRelu, false)));
  run.expect_first_step();
  run.expect_ten_steps();
}

TEST(SaeLens, JumpReluWhoseGradientReachesTheEncoder) {
  GoldenRun run("sae_lens_jumprelu_to_input", config(fmt::format(kJumpRelu, true)));
  run.expect_first_step();
  run.expect_ten_steps();
}

// SAELens lets the dictionary learn from the auxiliary reconstruction, which the paper freezes.
TEST(SaeLens, Gated) {
  GoldenRun run("sae_lens_gated", config(R"(
[encoder]
plugin = "gated"
[[loss]]
plugin = "mse"
[[loss]]
plugin = "gate_l1"
weight = 0.1
[[loss]]
plugin = "gated_auxiliary"
freeze_dictionary = false
)"));
  run.expect_first_step();
  run.expect_ten_steps();
}

}  // namespace
}  // namespace regulon::core
