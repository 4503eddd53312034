/// Good configs: what is read, what is filled in, and that a manifest gives the same config back.

#include "core/config/config.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "fake_catalogue.h"

namespace regulon::core::testing {
namespace {

namespace fs = std::filesystem;

/// A folder that goes away with the test.
class Folder {
 public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "regulon_config_XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  fs::path write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

Config parsed(const std::string& text, const std::vector<Override>& overrides = {}) {
  static FakeCatalogue catalogue;
  return parse_config(text, "a.toml", overrides, catalogue);
}

std::set<std::string> keys(const nlohmann::json& object) {
  std::set<std::string> names;
  for (const auto& [key, value] : object.items()) names.insert(key);
  return names;
}

template <class T>
std::set<std::string> declared() {
  const auto declaration = declaration_of<T>();
  std::set<std::string> names;
  for (const ParamSpec& spec : declaration.specs()) names.insert(spec.name);
  return names;
}

TEST(Config, ReadsWhatIsWrittenAndFillsInTheRest) {
  const Config config = parsed(kGood);
  EXPECT_EQ(config.run.name, "demo");
  EXPECT_EQ(config.run.steps, 200);
  EXPECT_EQ(config.run.seed, 0);
  EXPECT_EQ(config.data.batch, 64);
  EXPECT_EQ(config.model.features, 32);
  EXPECT_EQ(config.optimiser.learning_rate, 1e-3);
  EXPECT_EQ(config.source.plugin, "toy.pairs");
  EXPECT_EQ(config.source.name, "source");
  EXPECT_EQ(std::get<std::int64_t>(config.source.values.at(0)), 16);
  EXPECT_EQ(std::get<std::vector<double>>(config.source.values.at(2)), std::vector<double>{0.5});
  EXPECT_EQ(config.encoder.plugin, "linear");
  EXPECT_EQ(config.activation.plugin, "topk");
  EXPECT_EQ(std::get<std::int64_t>(config.activation.values.at(0)), 8);
  EXPECT_EQ(config.cost.descriptor, nullptr);
  ASSERT_EQ(config.losses.size(), 2U);
  EXPECT_EQ(config.losses[0].term.name, "mse");
  EXPECT_EQ(config.losses[0].weight, Schedule(1.0));
  EXPECT_EQ(config.losses[1].term.name, "neighbours");
  EXPECT_EQ(config.losses[1].term.plugin, "orthogonality");
  EXPECT_EQ(config.losses[1].term.where, "a.toml:21");
  EXPECT_EQ(config.losses[1].weight, Schedule(0.25));
  EXPECT_EQ(config.losses[1].every, 5);
  EXPECT_TRUE(config.losses[1].rescale);
}

TEST(Config, ActivationIsReluAndNothingIsPricedUnlessToldOtherwise) {
  const Config config = parsed(with(with(kGood, "activation = \"topk\"\n", ""), "k = 8\n", ""));
  EXPECT_EQ(config.activation.plugin, "relu");
  EXPECT_EQ(config.cost_section.plugin, "");
}

TEST(Config, CostTakesItsOwnParametersBesideTheCommonOnes) {
  const Config config = parsed(kGood + "[cost]\nplugin = \"log_rarity\"\nfloor = 3\ncap = 4.5\n");
  EXPECT_EQ(config.cost.plugin, "log_rarity");
  EXPECT_EQ(std::get<double>(config.cost.values.at(0)), 3.0);
  EXPECT_EQ(config.cost_section.cap, 4.5);
}

TEST(Config, MakesObjectsWithAllParametersSet) {
  const Config config = parsed(with(kGood, "pairs = \"nearest\"", "pairs = \"nearest\"\nneighbours = 7"));
  const auto object = config.losses[1].term.make();
  const auto& term = dynamic_cast<const FakeOrthogonality&>(*object);
  EXPECT_EQ(term.pairs, "nearest");
  EXPECT_EQ(term.neighbours, 7);
  EXPECT_EQ(term.over, "decoder");
}

TEST(Config, ScheduledParametersFollowTheStep) {
  const Config config = parsed(
      with(with(kGood, "pairs = \"nearest\"", "margin = { from = 0.0, to = 0.5, over = 10, after = 10 }"),
           "k = 8", "k = { points = [[0, 20], [10, 11]] }"));
  const Choice& term = config.losses[1].term;
  const auto object = term.make();
  const auto& orthogonality = dynamic_cast<const FakeOrthogonality&>(*object);
  EXPECT_EQ(orthogonality.margin, 0.0);
  term.update(*object, 15);
  EXPECT_DOUBLE_EQ(orthogonality.margin, 0.25);
  term.update(*object, 100);
  EXPECT_EQ(orthogonality.margin, 0.5);

  const auto topk = config.activation.make();
  EXPECT_EQ(dynamic_cast<const FakeTopK&>(*topk).k, 20);
  config.activation.update(*topk, 5);  // 15.5, rounded away from zero
  EXPECT_EQ(dynamic_cast<const FakeTopK&>(*topk).k, 16);
}

TEST(Config, WeightMayBeAScheduleOrNegative) {
  const Config config =
      parsed(with(kGood, "weight = 0.25", "weight = { from = -1, to = 1e-3, over = 7, shape = \"cosine\" }"));
  EXPECT_EQ(config.losses[1].weight, Schedule::ramp(-1.0, 1e-3, 7, 0, Schedule::Shape::cosine));
  EXPECT_EQ(parsed(with(kGood, "weight = 0.25", "weight = -2")).losses[1].weight, Schedule(-2.0));
}

TEST(Config, SamePluginTwiceUnderTwoNames) {
  const Config config = parsed(kGood + "[[loss]]\nplugin = \"orthogonality\"\n");
  ASSERT_EQ(config.losses.size(), 3U);
  EXPECT_EQ(config.losses[1].term.name, "neighbours");
  EXPECT_EQ(config.losses[2].term.name, "orthogonality");
  EXPECT_EQ(config.losses[1].term.descriptor, config.losses[2].term.descriptor);
}

TEST(Config, ArraysTakeALoneValueAndMixedNumbers) {
  const Config config =
      parsed(with(kGood, "width = 16", "files = \"x/*.npy\"\nlevels = [0, 0.5, 1]\nseeds = [3, 1]"));
  EXPECT_EQ(std::get<std::vector<std::string>>(config.source.values.at(1)),
            std::vector<std::string>{"x/*.npy"});
  EXPECT_EQ(std::get<std::vector<double>>(config.source.values.at(2)), (std::vector<double>{0.0, 0.5, 1.0}));
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(config.source.values.at(3)),
            (std::vector<std::int64_t>{3, 1}));
}

/// A config in which every kind of value occurs, with numbers that have no short decimal form.
std::string everything() {
  std::string text = with(kGood, "weight = 0.25",
                          "weight = { from = 0.1, to = 0.30000000000000004, over = 500, after = 3 }");
  text = with(text, "pairs = \"nearest\"",
              "margin = { points = [[0, 0.0], [7, 0.3333333333333333], [9, 1e-17]] }");
  text = with(text, "width = 16",
              "files = [\"a b/*.npy\", \"ü\\\"\\\\.npy\"]\nlevels = []\nseeds = [9007199254740993]");
  text = with(text, "k = 8", "k = { from = 32, to = 4, over = 10 }");
  text +=
      "[optimiser]\nlearning_rate = 2.2250738585072014e-308\nbeta1 = 0.1\n[plugins]\npath = [\"../lib\"]\n";
  return text + "[cost]\nplugin = \"log_rarity\"\nfloor = 1.0000000000000002\n";
}

TEST(Config, ComesBackFromItsJsonIdentical) {
  FakeCatalogue catalogue;
  for (const std::string& text : {kGood, everything()}) {
    const Config config = parse_config(text, "some/where/a.toml", {}, catalogue);
    const std::string written = config.resolved().dump();
    const Config back = config_from_json(nlohmann::json::parse(written), "manifest.json", catalogue);
    EXPECT_TRUE(back == config);
    EXPECT_EQ(back.resolved().dump(), written);
    EXPECT_EQ(back.folder(), fs::current_path() / "some/where");
  }
}

TEST(Config, EqualityNoticesEveryPart) {
  const Config config = parsed(everything());
  EXPECT_TRUE(config == parsed(everything()));
  for (const char* change : {"run.seed=1", "data.batch=65", "data.levels=0.1", "model.unit_norm=false",
                             "optimiser.clip=1.0", "cost.floor=1.5", "encoder.tied=true", "encoder.k=3",
                             "loss.neighbours.weight=0.1", "loss.neighbours.margin=0.1", "loss.mse.every=2",
                             "loss.mse.rescale=false", "loss.mse.name=other", "plugins.path=x"}) {
    const Config changed = parsed(everything(), {change});
    EXPECT_FALSE(config == changed) << change;
    EXPECT_NE(config.resolved(), changed.resolved()) << change;
  }
}

TEST(Config, JsonWritesOutEveryDefault) {
  const nlohmann::json json = parsed(kGood).resolved();
  EXPECT_EQ(keys(json), (std::set<std::string>{"run", "data", "model", "optimiser", "encoder", "cost", "loss",
                                               "plugins", "file"}));
  EXPECT_EQ(keys(json["run"]), declared<RunSection>());
  EXPECT_EQ(keys(json["model"]), declared<ModelSection>());
  EXPECT_EQ(keys(json["optimiser"]), declared<OptimiserSection>());
  EXPECT_EQ(keys(json["plugins"]), declared<PluginsSection>());
  EXPECT_EQ(keys(json["cost"]), declared<CostSection>());
  auto data = declared<DataSection>();
  data.insert({"width", "files", "levels", "seeds"});
  EXPECT_EQ(keys(json["data"]), data);
  auto encoder = declared<EncoderSection>();
  encoder.insert({"tied", "k"});
  EXPECT_EQ(keys(json["encoder"]), encoder);
  auto loss = declared<LossSection>();
  EXPECT_EQ(keys(json["loss"][0]), loss);
  loss.insert({"pairs", "over", "margin", "neighbours"});
  EXPECT_EQ(keys(json["loss"][1]), loss);
}

TEST(Config, IdentityLeavesOutWhereThingsLie) {
  FakeCatalogue catalogue;
  const Config here = parse_config(kGood, "/here/a.toml", {}, catalogue);
  const Config there = parse_config(kGood, "/there/b.toml", {"plugins.path=lib"}, catalogue);
  EXPECT_NE(here.resolved(), there.resolved());
  EXPECT_EQ(here.identity(), there.identity());
  EXPECT_NE(here.identity(), parse_config(kGood, "/here/a.toml", {"run.seed=1"}, catalogue).identity());
}

TEST(Config, ReadsFilesWithWindowsLineEnds) {
  const Folder folder;
  std::string text = kGood;
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.insert(at, "\r");
  const fs::path file = folder.write("a.toml", "\xEF\xBB\xBF" + text);
  FakeCatalogue catalogue;
  const Config config = load_config(file, {}, catalogue);
  EXPECT_EQ(config.file, file);
  EXPECT_EQ(config.folder(), folder.path());
  EXPECT_EQ(config.identity(), parsed(kGood).identity());
}

TEST(Config, PluginPathIsRelativeToTheConfig) {
  const Folder folder;
  const fs::path file = folder.write("a.toml", "[plugins]\npath = [\"lib\", \"/opt/lib\", \"../x\"]\n");
  EXPECT_EQ(plugin_path_of(file),
            (std::vector<fs::path>{folder.path() / "lib", "/opt/lib", folder.path().parent_path() / "x"}));
  EXPECT_EQ(plugin_path_of(file, {"plugins.path=other"}), std::vector<fs::path>{folder.path() / "other"});
  EXPECT_TRUE(plugin_path_of(folder.write("b.toml", kGood)).empty());
  // What is wrong there is told when the config is loaded.
  EXPECT_TRUE(plugin_path_of(folder.write("c.toml", "[plugins]\npath = 3\n")).empty());
  EXPECT_TRUE(plugin_path_of(folder.write("d.toml", "plugins = 3\n")).empty());
  EXPECT_THROW(plugin_path_of(folder.write("e.toml", "[plugins\n")), InputError);
}

TEST(Config, UnreadableFilesAreRefused) {
  const Folder folder;
  FakeCatalogue catalogue;
  const auto message = [&](const fs::path& file) -> std::string {
    try {
      load_config(file, {}, catalogue);
    } catch (const InputError& error) {
      return error.what();
    }
    return "none";
  };
  EXPECT_PARTS(message(folder.path() / "none.toml"), "none.toml", "there is no such config");
  EXPECT_PARTS(message(folder.path()), "a folder");
  EXPECT_PARTS(message(folder.write("large.toml", std::string(2 << 20, '#'))), "large.toml", "too large");
  EXPECT_PARTS(message(folder.write("empty.toml", "")), "empty.toml:1", "[data] lacks 'source'",
               "[model] lacks 'features'", "[encoder] lacks 'plugin'", "at least one [[loss]]");
  EXPECT_PARTS(message(folder.write("zeros.toml", std::string(100, '\0'))), "zeros.toml:1", "not valid TOML");
}

}  // namespace
}  // namespace regulon::core::testing
