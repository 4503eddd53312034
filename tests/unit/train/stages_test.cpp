/// Features that stay frozen while new ones learn, and configs that train so in stages.

#include "core/train/stages.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "core/io/safetensors.h"
#include "core/plugin/host.h"
#include "core/train/trainer.h"
#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/program.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;
using tests::expect_error;

constexpr char kStagedConfig[] = R"(
[run]
steps = {steps}
[data]
source = "toy.pairs"
batch = 64
normalise = "scale"
[model]
features = {features}
{model}
[optimiser]
learning_rate = 1e-2
[encoder]
{encoder}
[[loss]]
plugin = "mse"
{loss}
)";

const std::string kUncentred = "plugin = \"linear\"\nsubtract_decoder_bias = false\n";
const std::string kStage = "init = \"first\"\nfreeze = \"init\"\n";

class Stages : public ::testing::Test {
 protected:
  Config config(int features, const std::string& model, const std::string& encoder, int steps = 20,
                const std::string& loss = "[[loss]]\nplugin = \"l1\"\nweight = 0.05\n") {
    return parse_config(text(features, model, encoder, steps, loss), (scratch_ / "config.toml").string(), {},
                        host_);
  }
  static std::string text(int features, const std::string& model, const std::string& encoder, int steps,
                          const std::string& loss) {
    return fmt::format(fmt::runtime(kStagedConfig), fmt::arg("steps", steps), fmt::arg("features", features),
                       fmt::arg("model", model), fmt::arg("encoder", encoder), fmt::arg("loss", loss));
  }
  fs::path trained(const std::string& name, const Config& config) {
    train(config, host_, scratch_ / name, false, {});
    return scratch_ / name;
  }
  static NamedTensors weights(const fs::path& run) {
    NamedTensors all;
    for (const auto& [name, tensor] : SafetensorsFile(run / "weights.safetensors").tensors()) {
      all.emplace_back(name, tensor.clone());
    }
    return all;
  }
  static at::Tensor weight(const fs::path& run, const std::string& name) {
    return find_tensor(weights(run), name);
  }

  tests::ScratchFolder scratch_;
  PluginHost host_{{fs::path(REGULON_BUILD_DIR) / "plugins"}};
};

TEST_F(Stages, FrozenFeaturesKeepTheirBitsAndTheirCodes) {
  for (const std::string& encoder :
       {kUncentred, kUncentred + "tied = true\n", kUncentred + "activation = \"jumprelu\"\nthreshold = 0.1\n",
        std::string("plugin = \"gated\"\nsubtract_decoder_bias = false\n")}) {
    SCOPED_TRACE(encoder);
    fs::remove_all(scratch_ / "first");
    fs::remove_all(scratch_ / "second");
    const fs::path first = trained("first", config(6, "", encoder));
    const fs::path second = trained("second", config(10, kStage, encoder));
    for (const auto& [name, before] : weights(first)) {
      const at::Tensor after = weight(second, name);
      if (before.dim() == 0 || before.size(0) != 6 || name == "feature_costs") continue;
      EXPECT_TRUE(after.narrow(0, 0, 6).equal(before)) << name;
      EXPECT_EQ(after.size(0), 10) << name;
    }
    core::Run before(first, host_);
    core::Run after(second, host_);
    const at::Tensor rows = before.source().held_out(0, 200);
    // To rounding: so many of so few features are active that the product is done as a dense one.
    EXPECT_TRUE(at::allclose(after.encode(rows).to_dense().narrow(1, 0, 6), before.encode(rows).to_dense(),
                             1e-5, 1e-6));
    EXPECT_FALSE(weight(second, "decoder.bias").equal(weight(first, "decoder.bias"))) << "the bias goes on";
  }
}

TEST_F(Stages, NewFeaturesFitWhatTheFrozenLeave) {
  const fs::path first = trained("first", config(4, "", kUncentred, 200));
  const fs::path second = trained("second", config(8, kStage, kUncentred, 200));
  const auto fvu = [&](const fs::path& run) {
    return nlohmann::json::parse(tests::read_file(run / "summary.json")).at("/held_out/fvu"_json_pointer);
  };
  EXPECT_LT(fvu(second).get<double>(), 0.6 * fvu(first).get<double>());
  // Where new features are silent, the old ones alone rebuild: those did not adapt to the new ones.
  core::Run before(first, host_);
  core::Run after(second, host_);
  const at::Tensor start = weight(first, "decoder.weight");
  EXPECT_TRUE(weight(second, "decoder.weight").narrow(0, 0, 4).equal(start));
  EXPECT_NEAR(weight(second, "decoder.weight").norm(2, {1}).min().item<double>(), 1.0, 1e-5);
}

TEST_F(Stages, ConvertAnEncoderThatCountedFromTheDecodersBias) {
  for (const std::string plugin : {"plugin = \"linear\"\n", "plugin = \"gated\"\n"}) {
    SCOPED_TRACE(plugin);
    fs::remove_all(scratch_ / "first");
    fs::remove_all(scratch_ / "second");
    const fs::path first = trained("first", config(6, "", plugin, 40));
    const fs::path second = trained("second", config(10, kStage, plugin + "subtract_decoder_bias = false\n"));
    core::Run before(first, host_);
    core::Run after(second, host_);
    const at::Tensor rows = before.source().held_out(0, 200);
    const at::Tensor expected = before.encode(rows).to_dense();
    EXPECT_GT(weight(first, "decoder.bias").abs().max().item<double>(), 0.01);
    EXPECT_TRUE(at::allclose(after.encode(rows).to_dense().narrow(1, 0, 6), expected, 1e-4, 1e-5));
  }
}

TEST_F(Stages, AFrozenDecoderIsAControl) {
  std::vector<std::string> losses = {"", "[[loss]]\nplugin = \"resample\"\ndead_after = 64\nevery = 3\n"};
  for (const char* of_rows : {"orthogonality", "coherence_cap", "gram_identity", "reconstruction_ica"})
    losses.push_back(fmt::format("[[loss]]\nplugin = \"{}\"\n", of_rows));
  for (const std::string& loss : losses) {
    const Config plain = config(10, "freeze = \"decoder\"", "plugin = \"linear\"\n", 100, loss);
    const fs::path run = trained("control" + std::to_string(std::hash<std::string>()(loss)), plain);
    at::Tensor rows = at::randn({10, 16}, named_generator(mix_seed(0, 1), "dictionary"), at::kFloat);
    rows = rows / rows.norm(2, {1}, true);
    EXPECT_TRUE(weight(run, "decoder.weight").equal(rows)) << "as it was drawn";
    EXPECT_FALSE(at::allclose(weight(run, "encoder.weight"), rows, 0.05, 0.05)) << "the encoder learns";
  }
}

TEST_F(Stages, RefuseWhatWouldNotStayFrozen) {
  trained("first", config(6, "", "plugin = \"linear\"\n", 2));
  const auto refused = [&](int features, const std::string& encoder, const std::vector<std::string>& words,
                           const std::string& model = kStage) {
    expect_error<InputError>([&] { trained("second", config(features, model, encoder, 2)); }, words);
    EXPECT_FALSE(fs::exists(scratch_ / "second"));
  };
  refused(6, kUncentred, {"leaves no features to learn", "above 6", "6"});
  refused(10, "plugin = \"linear\"\n", {"would not stay frozen", "subtract_decoder_bias = false"});
  refused(10, kUncentred, {"'freeze' of [model] has nothing to freeze", "no init"}, "freeze = \"init\"\n");
  refused(10, kUncentred, {"has nothing to freeze", "init_part = \"decoder\""},
          kStage + "init_part = \"decoder\"\n");
  // Without a bias that learns, nothing moves under the frozen features.
  trained("constant", config(10, kStage + "learn_bias = false\n", "plugin = \"linear\"\n", 2));
  EXPECT_TRUE(weight(scratch_ / "constant", "encoder.bias")
                  .narrow(0, 0, 6)
                  .equal(weight(scratch_ / "first", "encoder.bias")));
  fs::remove_all(scratch_ / "first");
  trained("first", config(6, "", "plugin = \"two_layer\"\nhidden = [8]\n", 2));
  refused(10, "plugin = \"two_layer\"\nhidden = [8]\n", {"cannot be frozen", "'linear'", "two_layer"});
}

TEST_F(Stages, AreReadFromOneConfig) {
  const std::string stages = R"(
[[stage]]
name = "coarse"
set = ["loss.l1.weight=0.3"]
[[stage]]
set = ["model.features=10", "run.steps=7"]
unset = ["loss.l1"]
)";
  tests::write_file(scratch_ / "config.toml", text(6, "", kUncentred, 20, R"([[loss]]
plugin = "l1"
)") + stages);
  const fs::path out = scratch_ / "runs" / "all";
  const auto read = load_stages(scratch_ / "config.toml", {"run.seed=3"}, out, host_);
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0].name, "coarse");
  EXPECT_EQ(read[0].folder, out / "stages" / "coarse");
  EXPECT_EQ(read[0].config.losses.size(), 2U);
  EXPECT_EQ(read[0].config.losses[1].weight.at(0), 0.3);
  EXPECT_EQ(read[1].name, "2");
  EXPECT_EQ(read[1].folder, out);
  EXPECT_EQ(read[1].config.run.steps, 7);
  EXPECT_EQ(read[1].config.losses.size(), 1U);
  EXPECT_EQ(read[1].config.model.freeze, "init");
  EXPECT_EQ(read[1].config.model.init, "runs/all/stages/coarse");
  for (const Stage& stage : read) EXPECT_EQ(stage.config.run.seed, 3);
  EXPECT_TRUE(load_stages(scratch_ / "config.toml", {"run.name=x"}, {}, host_)[1].folder == "runs/x");

  const TrainResult result = train_stages(read, host_, false, {});
  EXPECT_TRUE(result.finished);
  EXPECT_TRUE(weight(out, "decoder.weight")
                  .narrow(0, 0, 6)
                  .equal(weight(out / "stages" / "coarse", "decoder.weight")));
  expect_error<InputError>([&] { train_stages(read, host_, false, {}); }, {"exists already", "--resume"});
}

TEST_F(Stages, StartFromTheOneBeforeWhateverTheFirstStartsFrom) {
  trained("base", config(6, "", kUncentred, 2));
  const std::string stages = "[[stage]]\n[[stage]]\nset = [\"model.features=10\"]\n";
  const auto read = [&](const std::string& model, const std::string& more, const std::vector<Override>& set) {
    tests::write_file(scratch_ / "config.toml", text(6, model, kUncentred, 2, more));
    return load_stages(scratch_ / "config.toml", set, scratch_ / "out", host_);
  };
  for (const auto& chain : {read("init = \"base\"\ninit_part = \"decoder\"\n", stages, {}),
                            read("", stages, {"model.init=base"})}) {
    EXPECT_EQ(chain[0].config.model.init, "base");
    EXPECT_EQ(chain[0].config.model.freeze, "nothing");
    EXPECT_EQ(chain[1].config.model.init, "out/stages/1");
    EXPECT_EQ(chain[1].config.model.init_part, "both");
    EXPECT_EQ(chain[1].config.model.freeze, "init");
  }
  const auto own = read("", "[[stage]]\n[[stage]]\nset = [\"model.freeze=nothing\"]\n", {});
  EXPECT_EQ(own[1].config.model.init, "out/stages/1");
  EXPECT_EQ(own[1].config.model.freeze, "nothing") << "all features go on to learn together";
  expect_error<InputError>([&] { read("", stages, {"model.freeze=decoder"}); },
                           {"contradicts the stages", "freeze = \"init\"", "in stage '2'"});
}

TEST_F(Stages, KeepFrozenRowsWhereFeaturesCompete) {
  for (const std::string activation : {"topk", "batch_topk"}) {
    SCOPED_TRACE(activation);
    fs::remove_all(scratch_ / "first");
    fs::remove_all(scratch_ / "second");
    const std::string encoder = kUncentred + "activation = \"" + activation + "\"\nk = 2\n";
    const fs::path first = trained("first", config(6, "", encoder));
    const fs::path second = trained("second", config(10, kStage, encoder));
    for (const char* name : {"decoder.weight", "encoder.weight", "encoder.bias"}) {
      EXPECT_TRUE(weight(second, name).narrow(0, 0, 6).equal(weight(first, name))) << name;
    }
  }
}

TEST_F(Stages, GoOnWhereTheyWereStopped) {
  tests::write_file(scratch_ / "config.toml",
                    text(6, "", kUncentred, 12, "[[stage]]\n[[stage]]\nset = [\"model.features=10\"]\n"));
  const auto whole = load_stages(scratch_ / "config.toml", {}, scratch_ / "whole", host_);
  train_stages(whole, host_, false, {});
  for (const int stop_after : {5, 17}) {  // in the first stage, in the second
    const auto name = "parts" + std::to_string(stop_after);
    const auto parts = load_stages(scratch_ / "config.toml", {}, scratch_ / name, host_);
    int steps = 0;
    TrainCallbacks callbacks;
    callbacks.stop = [&] { return ++steps == stop_after; };
    EXPECT_FALSE(train_stages(parts, host_, false, callbacks).finished);
    EXPECT_TRUE(train_stages(parts, host_, true, {}).finished);
    for (const char* tensor : {"decoder.weight", "encoder.weight", "decoder.bias"}) {
      EXPECT_TRUE(weight(scratch_ / name, tensor).equal(weight(scratch_ / "whole", tensor))) << tensor;
    }
  }
}

TEST_F(Stages, OverridesReachTheStagesThatKeepTheTerm) {
  tests::write_file(scratch_ / "config.toml",
                    text(6, "", kUncentred, 2,
                         "[[loss]]\nplugin = \"l1\"\n[[stage]]\nunset = [\"loss.l1\"]\n"
                         "[[stage]]\nset = [\"model.features=12\"]\n"));
  const std::vector<Stage> stages = load_stages(scratch_ / "config.toml", {"loss.l1.weight=0.75"}, {}, host_);
  ASSERT_EQ(stages.size(), 2U);
  EXPECT_EQ(stages[0].config.losses.size(), 1U);
  ASSERT_EQ(stages[1].config.losses.size(), 2U);
  EXPECT_EQ(stages[1].config.losses[1].weight.at(0), 0.75);
  expect_error<InputError>(
      [&] { load_stages(scratch_ / "config.toml", {"loss.hoyer.weight=0.75"}, {}, host_); }, {"hoyer"});
}

TEST_F(Stages, RefuseConfigsThatSayNoStages) {
  const auto refused = [&](const std::string& stages, const std::vector<std::string>& words) {
    tests::write_file(scratch_ / "config.toml", text(6, "", kUncentred, 2, stages));
    expect_error<InputError>([&] { load_stages(scratch_ / "config.toml", {}, {}, host_); }, words);
  };
  refused("[stage]\nname = \"a\"\n", {"'stage' is not a list of stages", "[[stage]]"});
  refused("[[stage]]\nnaem = \"a\"\n", {"unknown key 'naem'", "name"});
  refused("[[stage]]\nname = \"a/b\"\n", {"cannot be called that", "a/b"});
  refused("[[stage]]\nname = \"a\"\n[[stage]]\nname = \"a\"\n", {"two stages are called 'a'"});
  refused("[[stage]]\n[[stage]]\n", {"stage '2' adds no features", "above 6", "model.features=12"});
  // From another start than the stage before, it is not known yet how many there are.
  tests::write_file(scratch_ / "config.toml",
                    text(6, "", kUncentred, 2,
                         "[[stage]]\n[[stage]]\nset = [\"model.init=elsewhere\", \"model.freeze=init\"]\n"));
  EXPECT_EQ(load_stages(scratch_ / "config.toml", {}, {}, host_).size(), 2U);
  refused("[[stage]]\nset = [\"model.featurs=3\"]\n", {"featurs", "in stage '1'"});
  refused("[[stage]]\nunset = [\"loss.l1\"]\n", {"l1", "in stage '1'"});
  tests::write_file(scratch_ / "config.toml", text(6, "", kUncentred, 2, "[[stage]]\n"));
  expect_error<InputError>([&] { load_config(scratch_ / "config.toml", {}, host_); },
                           {"unknown section [stage]", "only `regulon train`"});
}

}  // namespace
}  // namespace regulon::core
