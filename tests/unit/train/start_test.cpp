/// Training that starts from another run's weights.

#include "core/train/start.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/io/safetensors.h"
#include "core/plugin/host.h"
#include "core/train/run.h"
#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/expect_words.h"
#include "tests/unit/support/program.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;
using tests::expect_error;

constexpr char kStartConfig[] = R"(
[run]
steps = {steps}
[data]
source = "toy.pairs"
batch = 64
normalise = "{normalise}"
[model]
features = 16
{model}
[optimiser]
learning_rate = {rate}
[encoder]
plugin = "linear"
{encoder}
[[loss]]
plugin = "mse"
)";

class Start : public ::testing::Test {
 protected:
  /// Of one step only: weights that stay where they began, to all intents.
  Config config(const std::string& model, const std::string& normalise = "none",
                const std::string& encoder = "activation = \"topk\"\nk = 2", int steps = 1) {
    return parse_config(
        fmt::format(fmt::runtime(kStartConfig), fmt::arg("steps", steps),
                    fmt::arg("rate", steps > 1 ? "1e-2" : "1e-9"), fmt::arg("normalise", normalise),
                    fmt::arg("model", model), fmt::arg("encoder", encoder)),
        (scratch_ / "config.toml").string(), {}, host_);
  }
  fs::path trained(const std::string& name, const Config& config) {
    train(config, host_, scratch_ / name, false, {});
    return scratch_ / name;
  }
  static at::Tensor weight(const fs::path& run, const std::string& name) {
    return SafetensorsFile(run / "weights.safetensors").tensor(name).clone();
  }
  static at::Tensor taken(const ModelStart& start, const std::string& name) {
    return find_tensor(start.weights, name);
  }
  static bool close(const at::Tensor& a, const at::Tensor& b) { return at::allclose(a, b, 1e-4, 1e-5); }

  tests::ScratchFolder scratch_;
  PluginHost host_{{fs::path(REGULON_BUILD_DIR) / "plugins"}};
};

TEST_F(Start, TakesBothPartsWithTheSameBits) {
  const fs::path first = trained("first", config("", "scale", "activation = \"topk\"\nk = 2", 30));
  const ModelStart start =
      load_start(config("init = \"first\"", "scale"),
                 Normalisation::from_tensors(SafetensorsFile(first / "weights.safetensors").tensors(), ""));
  for (const char* name : {"decoder.weight", "decoder.bias", "encoder.weight", "encoder.bias"}) {
    EXPECT_TRUE(taken(start, name).equal(weight(first, name))) << name;
  }
  // One step at a rate of 1e-9 leaves the weights where they began.
  const fs::path second = trained("second", config("init = \"first\"", "scale"));
  EXPECT_TRUE(close(weight(second, "encoder.weight"), weight(first, "encoder.weight")));
  EXPECT_TRUE(close(weight(second, "decoder.weight"), weight(first, "decoder.weight")));
  EXPECT_FALSE(close(weight(trained("other", config("", "scale")), "decoder.weight"),
                     weight(first, "decoder.weight")));
}

TEST_F(Start, TakesOnePartAlone) {
  const fs::path first = trained("first", config("", "none", "activation = \"topk\"\nk = 2", 30));
  const fs::path decoder = trained("decoder", config("init = \"first\"\ninit_part = \"decoder\""));
  EXPECT_TRUE(close(weight(decoder, "decoder.weight"), weight(first, "decoder.weight")));
  EXPECT_TRUE(close(weight(decoder, "encoder.weight"), weight(first, "decoder.weight")))
      << "an encoder begins there";
  const fs::path encoder = trained("encoder", config("init = \"first\"\ninit_part = \"encoder\""));
  EXPECT_TRUE(close(weight(encoder, "encoder.weight"), weight(first, "encoder.weight")));
  EXPECT_FALSE(close(weight(encoder, "decoder.weight"), weight(first, "decoder.weight")));
}

TEST_F(Start, ConvertsToTheUnitsOfTheNewRun) {
  const std::string jump = "activation = \"jumprelu\"\nthreshold = 0.3\n";
  for (const std::string centered : {"", "subtract_decoder_bias = false\n"}) {
    SCOPED_TRACE(centered);
    const fs::path first =
        trained("first" + centered.substr(0, 4), config("", "center", jump + centered, 30));
    const std::string init = fmt::format("init = \"{}\"", first.filename().string());
    const fs::path second = trained("second" + centered.substr(0, 4), config(init, "none", jump + centered));
    core::Run before(first, host_);
    core::Run after(second, host_);
    const at::Tensor rows = before.source().held_out(0, 200);
    const Codes a = before.encode(rows);
    const Codes b = after.encode(rows);
    const double ratio = after.normalisation().scale / before.normalisation().scale;
    EXPECT_NE(ratio, 1.0);
    EXPECT_TRUE(close(b.to_dense(), a.to_dense() * ratio));
    EXPECT_TRUE(close(after.decode(b), before.decode(a)));
  }
}

TEST_F(Start, TurnsAThresholdIntoTheFormThatIsLearnt) {
  const fs::path first =
      trained("first", config("", "none", "activation = \"jumprelu\"\nthreshold = 0.3", 5));
  const ModelStart start =
      load_start(config("init = \"first\"", "none", "activation = \"jumprelu\"\nlearn = \"linear\""), {});
  EXPECT_TRUE(close(taken(start, "activation.threshold"), weight(first, "activation.log_threshold").exp()));
  EXPECT_FALSE(taken(start, "activation.log_threshold").defined());
}

TEST_F(Start, RefusesToDropWhatAnotherActivationLearnt) {
  trained("first", config("", "none", "activation = \"jumprelu\"\nthreshold = 0.3", 5));
  expect_error<InputError>([&] { static_cast<void>(load_start(config("init = \"first\""), {})); },
                           {"weights.safetensors", "of another activation", "activation = \"jumprelu\"",
                            "init_part = \"decoder\""});
  const ModelStart start = load_start(config("init = \"first\"\ninit_part = \"decoder\""), {});
  EXPECT_TRUE(taken(start, "decoder.weight").defined());
  EXPECT_FALSE(taken(start, "encoder.weight").defined());
}

TEST_F(Start, ScalesRowsOnlyWhereTheDecoderIsTakenAlone) {
  fs::path first = trained("first", config("unit_norm = false", "none", "activation = \"topk\"\nk = 2", 5));
  NamedTensors weights;
  for (const auto& [name, tensor] : SafetensorsFile(first / "weights.safetensors").tensors()) {
    weights.emplace_back(name, name == "decoder.weight" ? tensor * 3 : tensor.clone());
  }
  write_safetensors(first / "weights.safetensors", weights);
  expect_error<InputError>([&] { load_start(config("init = \"first\""), {}); },
                           {"not of norm one", "norms from ", "unit_norm = false", "init_part"});
  const ModelStart alone = load_start(config("init = \"first\"\ninit_part = \"decoder\""), {});
  EXPECT_TRUE(close(taken(alone, "decoder.weight").norm(2, {1}), at::ones({16})));
  const ModelStart free = load_start(config("init = \"first\"\nunit_norm = false"), {});
  EXPECT_TRUE(taken(free, "decoder.weight").equal(weight(first, "decoder.weight")));
}

TEST_F(Start, RefusesWhatDoesNotFit) {
  trained("first", config("", "none"));
  expect_error<InputError>([&] { load_start(config("init = \"nowhere\""), {}); },
                           {"nowhere", "names no finished run", "relative to the config's folder"});
  expect_error<InputError>(
      [&] { load_start(config("init = \"first\"", "none", "subtract_decoder_bias = false"), {}); },
      {"another encoder", "subtract_decoder_bias = true", "init_part = \"decoder\""});
  expect_error<InputError>([&] { trained("second", config("init = \"first\"", "none", "tied = true")); },
                           {"cannot be started from", "encoder.weight"});
  Config wider = config("init = \"first\"");
  wider.model.features = 17;
  expect_error<InputError>([&] { trained("third", wider); },
                           {"'decoder.weight' does not fit", "[17, 16]", "[16, 16]"});
  EXPECT_FALSE(fs::exists(scratch_ / "third"));
}

TEST_F(Start, IsPartOfWhatARunIs) {
  const fs::path first = trained("first", config(""));
  const auto manifest = nlohmann::json::parse(
      tests::read_file(trained("second", config("init = \"first\"")) / "manifest.json"));
  EXPECT_EQ(manifest.at("init"), start_fingerprint(config("init = \"first\"")));
  EXPECT_EQ(manifest.at("config").at("model").at("init"), "first");
  EXPECT_FALSE(nlohmann::json::parse(tests::read_file(first / "manifest.json")).contains("init"));
}

}  // namespace
}  // namespace regulon::core
