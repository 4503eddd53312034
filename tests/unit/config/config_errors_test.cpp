/// Every message that refuses a config, provoked once.

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fake_catalogue.h"

namespace regulon::core::testing {
namespace {

TEST(ConfigErrors, TheTestsOwnConfigIsGood) { EXPECT_EQ(problem_of(kGood), "none"); }

TEST(ConfigErrors, Syntax) {
  EXPECT_PARTS(problem_of(with(kGood, "steps = 200", "steps = = 200")), "a.toml:3", "not valid TOML",
               "steps = = 200");
  EXPECT_PARTS(problem_of(with(kGood, "\"demo\"", "demo")), "a.toml:2", "not valid TOML", "quotes");
  EXPECT_PARTS(problem_of(with(kGood, "steps = 200", "name = \"again\"")), "a.toml:3", "not valid TOML");
  EXPECT_PARTS(problem_of(with(kGood, "\"demo\"", "\"de\xff\"")), "a.toml:2", "not valid TOML");
  EXPECT_PARTS(problem_of(with(kGood, "200", "99999999999999999999")), "a.toml:3", "not valid TOML");
}

TEST(ConfigErrors, Depth) {
  std::string dots = "a";
  for (int i = 0; i < 50000; ++i) dots += ".a";
  EXPECT_PARTS(problem_of(kGood + dots + " = 1\n"), "a.toml:27", "keys of at most");
  EXPECT_PARTS(problem_of(kGood + "[" + dots + "]\n"), "a.toml:27", "keys of at most");
  EXPECT_PARTS(problem_of(kGood + "x = " + std::string(60, '[') + std::string(60, ']')), "a.toml:27",
               "too deep");
  EXPECT_PARTS(problem_of(kGood + "x = " + std::string(100000, '[')), "a.toml:27", "not valid TOML");
}

TEST(ConfigErrors, UnknownSectionsAndKeys) {
  EXPECT_PARTS(problem_of(with(kGood, "[run]", "[optimizer]\nclip = 1.0\n[run]")), "a.toml:1",
               "unknown section [optimizer]", "did you mean 'optimiser'?");
  EXPECT_PARTS(problem_of(with(kGood, "steps", "stesp")), "a.toml:3", "unknown key 'stesp' in [run]",
               "did you mean 'steps'?");
  EXPECT_PARTS(problem_of(with(kGood, "width", "widht")), "a.toml:8", "'widht' in [data]",
               "did you mean 'width'?");
  EXPECT_PARTS(problem_of(with(kGood, "k = 8", "kk = 8\nteid = true")), "a.toml:16", "a.toml:17",
               "'kk' in [encoder]", "did you mean 'tied'?");
  EXPECT_PARTS(problem_of(with(kGood, "pairs =", "piars =")), "a.toml:24", "'piars' in [[loss]] 'neighbours'",
               "did you mean 'pairs'?");
  EXPECT_PARTS(problem_of(with(kGood, "weight", "wieght")), "a.toml:25", "'wieght'",
               "did you mean 'weight'?");
  EXPECT_PARTS(problem_of(kGood + "[cost]\nflor = 2\n"), "a.toml:28", "'flor' in [cost]", "one of:");
  EXPECT_PARTS(problem_of("seed = 3\n" + kGood), "a.toml:1", "'seed' stands outside",
               "it belongs under [run]");
  EXPECT_PARTS(problem_of("modl = 3\n" + kGood), "a.toml:1", "outside of any section",
               "did you mean 'model'?");
  EXPECT_PARTS(problem_of(kGood + "[\"x\\u001by\"]\n"), "unknown section [x?y]");
}

TEST(ConfigErrors, SectionsOfTheWrongForm) {
  EXPECT_PARTS(problem_of("plugins = 3\n" + kGood), "a.toml:1", "'plugins' is not a section", "3 (integer)");
  EXPECT_PARTS(problem_of(kGood + "[[optimiser]]\n"), "a.toml:27", "'optimiser' is not a section",
               "single brackets");
  const std::string without_losses = kGood.substr(0, kGood.find("[[loss]]"));
  EXPECT_PARTS(problem_of(without_losses), "a.toml:1", "at least one [[loss]]", "plugin = \"mse\"");
  EXPECT_PARTS(problem_of("loss = []\n" + without_losses), "a.toml:1", "at least one [[loss]]");
  EXPECT_PARTS(problem_of(without_losses + "[loss]\nplugin = \"mse\"\n"), "a.toml:18", "double brackets");
  EXPECT_PARTS(problem_of("loss = [{plugin = \"mse\"}, 3]\n" + without_losses), "a.toml:1", "not a loss term",
               "3 (integer)");
}

TEST(ConfigErrors, WrongTypes) {
  EXPECT_PARTS(problem_of(with(kGood, "200", "\"200\"")), "a.toml:3", "'steps' of [run]", "an integer",
               "\"200\" (text)", "without quotes");
  EXPECT_PARTS(problem_of(with(kGood, "200", "2.5")), "a.toml:3", "an integer", "2.5 (number)");
  EXPECT_PARTS(problem_of(with(kGood, "\"demo\"", "7")), "a.toml:2", "a text", "7 (integer)", "in quotes");
  EXPECT_PARTS(problem_of(with(kGood, "\"demo\"", "true")), "a.toml:2", "a text", "found true");
  EXPECT_PARTS(problem_of(with(kGood, "200", "2020-01-01")), "a.toml:3", "an integer", "a date or time");
  EXPECT_PARTS(problem_of(with(kGood, "200", "[200]")), "a.toml:3", "an integer", "an array of 1");
  EXPECT_PARTS(problem_of(with(kGood, "200", "{ a = 1 }")), "a.toml:3", "an integer", "a table");
  EXPECT_PARTS(problem_of(with(kGood, "width = 16", "files = [\"a\", 3]")), "a.toml:8", "an array of texts",
               "an array of 2");
  EXPECT_PARTS(problem_of(with(kGood, "0.25", "true")), "a.toml:25", "a number", "or a schedule",
               "found true");
  EXPECT_PARTS(problem_of(with(kGood, "\"toy.pairs\"", "3")), "a.toml:6", "'source' of [data]", "a text");
  EXPECT_PARTS(problem_of(with(kGood, "\"orthogonality\"", "3")), "a.toml:22",
               "'plugin' of [[loss]] 'neighbours'");
}

TEST(ConfigErrors, OutOfRange) {
  EXPECT_PARTS(problem_of(with(kGood, "batch = 64", "batch = 0")), "a.toml:7", "'batch' of [data]", "[1, ",
               "found 0");
  EXPECT_PARTS(problem_of(with(kGood, "200", "-3")), "a.toml:3", "'steps'", "found -3");
  EXPECT_PARTS(problem_of(with(kGood, "200", "9223372036854775807")), "a.toml:3", "'steps'",
               "9223372036854775807");
  EXPECT_PARTS(problem_of(with(kGood, "features = 32", "features = 2147483648")), "a.toml:11", "2147483647");
  EXPECT_PARTS(problem_of(kGood + "[optimiser]\ndecay = 1.5\n"), "a.toml:28", "[0, 1]", "found 1.5");
  EXPECT_PARTS(problem_of(kGood + "[optimiser]\nbeta1 = 1\n"), "a.toml:28", "[0, 1)", "found 1.0");
  EXPECT_PARTS(problem_of(kGood + "[optimiser]\nlearning_rate = 0\n"), "a.toml:28", "above 0");
  EXPECT_PARTS(problem_of(with(kGood, "width = 16", "levels = [0.5, 2.0]")), "a.toml:8", "'levels'",
               "element 2", "2.0");
  EXPECT_PARTS(problem_of(with(kGood, "steps = 200", "report_every = 0")), "a.toml:3", "'report_every'");
  EXPECT_PARTS(problem_of(with(kGood, "every = 5", "every = 0")), "a.toml:26", "'every'");
  EXPECT_PARTS(problem_of(with(kGood, "every = 5", "target_l0 = -3")), "a.toml:26", "'target_l0'");
}

TEST(ConfigErrors, NumbersThatAreNone) {
  EXPECT_PARTS(problem_of(with(kGood, "0.25", "nan")), "a.toml:25", "'weight'", "a number", "nan");
  EXPECT_PARTS(problem_of(with(kGood, "0.25", "-inf")), "a.toml:25", "'weight'", "inf");
  EXPECT_PARTS(problem_of(kGood + "[optimiser]\nclip = inf\n"), "a.toml:28", "'clip'", "inf");
  EXPECT_PARTS(problem_of(with(kGood, "0.25", "9007199254740993")), "a.toml:25", "'weight'", "not exact");
  EXPECT_PARTS(problem_of(with(kGood, "0.25", "{ from = nan, to = 1.0, over = 5 }")), "a.toml:25", "'from'",
               "finite");
}

TEST(ConfigErrors, Choices) {
  EXPECT_PARTS(problem_of(with(kGood, "steps = 200", "device = \"gpu\"")), "a.toml:3", "'device'",
               "one of: cpu, cuda, auto", "\"gpu\"");
  EXPECT_PARTS(problem_of(with(kGood, "\"nearest\"", "\"neerest\"")), "a.toml:24", "'pairs'",
               "did you mean 'nearest'?");
}

TEST(ConfigErrors, MissingRequired) {
  EXPECT_PARTS(problem_of(with(kGood, "source = \"toy.pairs\"\n", "")), "a.toml:5", "[data] lacks 'source'");
  EXPECT_PARTS(problem_of(with(kGood, "features = 32\n", "")), "a.toml:10", "[model] lacks 'features'");
  EXPECT_PARTS(problem_of(with(kGood, "[model]\nfeatures = 32\n", "")), "a.toml:1",
               "[model] lacks 'features'");
  EXPECT_PARTS(problem_of(with(kGood, "plugin = \"linear\"\n", "")), "a.toml:13", "[encoder] lacks 'plugin'");
  EXPECT_PARTS(problem_of(with(kGood, "\"linear\"", "\"two_layer\"")), "a.toml:13",
               "[encoder] lacks 'hidden'", "width of the hidden layer");
  EXPECT_PARTS(problem_of(with(kGood, "plugin = \"mse\"\n", "")), "a.toml:18", "[[loss]] lacks 'plugin'");
}

TEST(ConfigErrors, UnknownNames) {
  EXPECT_PARTS(problem_of(with(kGood, "toy.pairs", "toy.pair")), "a.toml:6", "unknown data source 'toy.pair'",
               "did you mean 'toy.pairs'?");
  EXPECT_PARTS(problem_of(with(kGood, "\"linear\"", "\"liner\"")), "a.toml:14", "unknown encoder 'liner'",
               "did you mean 'linear'?");
  EXPECT_PARTS(problem_of(with(kGood, "\"topk\"", "\"tokp\"")), "a.toml:15", "unknown activation 'tokp'",
               "did you mean 'topk'?");
  EXPECT_PARTS(problem_of(with(kGood, "\"linear\"", "\"topk\"")), "a.toml:14", "unknown encoder 'topk'",
               "is the name of an activation");
  EXPECT_PARTS(problem_of(with(kGood, "\"mse\"", "\"mes\"")), "a.toml:19", "unknown loss term 'mes'",
               "did you mean 'mse'?");
  EXPECT_PARTS(problem_of(kGood + "[cost]\nplugin = \"log_rareness\"\n"), "a.toml:28", "unknown feature cost",
               "log_rarity");
  EXPECT_PARTS(problem_of(with(kGood, "\"mse\"", "\"\"")), "a.toml:19", "unknown loss term ''");
}

TEST(ConfigErrors, NoPluginsAtAll) {
  class Empty final : public FakeCatalogue {
    const PluginDescriptor* find(const std::string&, const std::string&) override { return nullptr; }
    std::vector<std::string> names(const std::string&) override { return {}; }
  };
  Empty catalogue;
  try {
    parse_config(kGood, "a.toml", {}, catalogue);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_PARTS(error.what(), "a.toml:14", "no encoder on the plugin path", "./regulon plugins");
  }
}

TEST(ConfigErrors, PluginsThatCannotBeUsed) {
  EXPECT_PARTS(problem_of(with(kGood, "\"mse\"", "\"broken\"")), "a.toml:19: /lib/broken.so",
               "wrong SDK revision", "found 7", "rebuild it");
  EXPECT_PARTS(problem_of(with(kGood, "\"mse\"", "\"throwing\"")), "a.toml:18",
               "plugin throwing in its constructor", "no luck today", "fault of the plugin");
}

TEST(ConfigErrors, ParametersThatClash) {
  const std::string message = problem_of(with(kGood, "\"linear\"", "\"clashing\""));
  EXPECT_PARTS(message, "a.toml:14", "encoder 'clashing' declares a parameter 'activation'",
               "[encoder] has one", "a.toml:15", "activation 'topk' declares a parameter 'k'",
               "encoder 'clashing' has one", "rename it in the plugin");
}

TEST(ConfigErrors, LossNames) {
  EXPECT_PARTS(problem_of(kGood + "[[loss]]\nplugin = \"mse\"\n"), "a.toml:27",
               "two loss terms are called 'mse'", "a.toml:18", "name = ");
  EXPECT_PARTS(problem_of(with(kGood, "\"neighbours\"", "\"mse\"")), "a.toml:23", "called 'mse'",
               "a.toml:18");
  EXPECT_PARTS(problem_of(with(kGood, "\"neighbours\"", "\"encoder\"")), "a.toml:23",
               "cannot be called 'encoder'");
  EXPECT_PARTS(problem_of(with(kGood, "\"neighbours\"", "\"a/b\"")), "a.toml:23", "characters", "\"a/b\"");
  EXPECT_PARTS(problem_of(with(kGood, "\"neighbours\"", "\"\"")), "a.toml:23", "characters");
}

TEST(ConfigErrors, Schedules) {
  const auto weight = [](const std::string& value) { return problem_of(with(kGood, "0.25", value)); };
  EXPECT_PARTS(weight("{ from = 0.0, to = 1.0, ovr = 5, over = 5 }"), "a.toml:25",
               "unknown key 'ovr' in the schedule of 'weight' of [[loss]] 'neighbours'",
               "did you mean 'over'?");
  EXPECT_PARTS(weight("{ from = 0.0, to = 1.0 }"), "a.toml:25", "lacks 'over'", "over = 500");
  EXPECT_PARTS(weight("{ to = 1.0, over = 5 }"), "a.toml:25", "lacks 'from'");
  EXPECT_PARTS(weight("{}"), "lacks 'from'", "lacks 'to'", "lacks 'over'");
  EXPECT_PARTS(weight("{ from = \"a\", to = 1.0, over = 5 }"), "'from'", "a number", "\"a\" (text)");
  EXPECT_PARTS(weight("{ from = 0.0, to = 1.0, over = 5.5 }"), "'over'", "an integer", "5.5 (number)");
  EXPECT_PARTS(weight("{ from = 0.0, to = 1.0, over = 0 }"), "a.toml:25", "'over'", "from 1 to", "found 0");
  EXPECT_PARTS(weight("{ from = 0.0, to = 1.0, over = 5, after = -1 }"), "'after'", "from 0 to", "found -1");
  EXPECT_PARTS(weight("{ from = 0.0, to = 1.0, over = 5, shape = \"linar\" }"), "'shape'",
               "one of: linear, cosine, exponential", "did you mean 'linear'?");
  EXPECT_PARTS(weight("{ from = 0.0, to = 1.0, over = 5, shape = 3 }"), "'shape'", "3 (integer)");
  EXPECT_PARTS(weight("{ from = 0.0, to = 1.0, over = 5, shape = \"exponential\" }"), "a.toml:25",
               "pass zero", "small number instead of zero");
  EXPECT_PARTS(weight("{ points = 3 }"), "'points'", "an array of [step, value]", "3 (integer)");
  EXPECT_PARTS(weight("{ points = [] }"), "'points'", "at least one");
  EXPECT_PARTS(weight("{ points = [[0, 1.0], [5]] }"), "pairs [step, value]", "an array of 1");
  EXPECT_PARTS(weight("{ points = [[0, 1.0], [2.5, 1.0]] }"), "pairs [step, value] of an integer");
  EXPECT_PARTS(weight("{ points = [[5, 1.0], [5, 2.0]] }"), "do not ascend", "a step after 5");
  EXPECT_PARTS(weight("{ points = [[-5, 1.0]] }"), "out of range", "found -5");
  EXPECT_PARTS(weight("{ points = [[0, 1.0]], over = 3 }"), "unknown key 'over'", "points");
}

TEST(ConfigErrors, ScheduledParametersAreCheckedAtEveryCorner) {
  const auto margin = [](const std::string& value) {
    return problem_of(with(kGood, "pairs = \"nearest\"", "margin = " + value));
  };
  EXPECT_PARTS(margin("{ from = 0.0, to = 1.0, over = 7, after = 3 }"), "a.toml:24", "at step 10 'margin'",
               "[0, 1)", "found 1.0");
  EXPECT_PARTS(margin("{ points = [[0, 0.0], [4, -0.5], [9, 0.0]] }"), "at step 4 'margin'", "found -0.5");
  EXPECT_EQ(margin("{ points = [[0, 0.0], [4, 0.5], [9, 0.0]] }"), "none");
  EXPECT_PARTS(problem_of(with(kGood, "k = 8", "k = { from = 0, to = 4, over = 2 }")), "a.toml:16",
               "at step 0 'k'", "at least 1");
  EXPECT_PARTS(problem_of(with(kGood, "k = 8", "k = { from = 1, to = 4.5, over = 2 }")), "at step 2 'k'",
               "an integer", "4.5");
  EXPECT_PARTS(problem_of(with(kGood, "k = 8", "k = { from = 1, to = 1e300, over = 2 }")), "at step 2 'k'");
}

TEST(ConfigErrors, ScheduleWhereNoneIsTaken) {
  EXPECT_PARTS(problem_of(with(kGood, "every = 5", "every = { from = 1, to = 5, over = 3 }")), "a.toml:26",
               "'every'", "does not change with the step", "an integer", "a schedule");
}

TEST(ConfigErrors, Needs) {
  const std::string over_encoder = with(kGood, "pairs = \"nearest\"", "over = \"encoder\"");
  EXPECT_EQ(problem_of(over_encoder), "none");
  EXPECT_PARTS(problem_of(with(over_encoder, "\"linear\"", "\"two_layer\"\nhidden = 4")), "a.toml:22",
               "loss term 'neighbours' needs 'encoder.directions'",
               "encoder 'two_layer' and activation 'topk'", "encoders that provide it: linear");
  EXPECT_PARTS(problem_of(kGood + "[[loss]]\nplugin = \"near_misses\"\n"), "a.toml:27",
               "loss term 'near_misses' needs 'codes.open'", "encoder.directions",
               "activations that provide it: jumprelu");
  EXPECT_EQ(
      problem_of(with(kGood, "\"topk\"\nk = 8", "\"jumprelu\"") + "[[loss]]\nplugin = \"near_misses\"\n"),
      "none");
}

TEST(ConfigErrors, ValuesThatContradictEachOther) {
  EXPECT_PARTS(problem_of(with(kGood, "k = 8", "k = 33")), "a.toml:16", "'k' of [encoder] exceeds",
               "at most 32", "found 33");
  EXPECT_PARTS(problem_of(with(kGood, "k = 8", "k = { from = 64, to = 8, over = 5 }")), "a.toml:16",
               "found 64");
  EXPECT_EQ(problem_of(with(kGood, "k = 8", "k = 32")), "none");
  EXPECT_PARTS(problem_of(kGood + "[cost]\ncap = 0.5\n"), "a.toml:28", "contradicts mean_one", "found 0.5");
  EXPECT_EQ(problem_of(kGood + "[cost]\ncap = 0.5\nmean_one = false\n"), "none");
  EXPECT_PARTS(problem_of(with(kGood, "\"demo\"", "\"../demo\"")), "a.toml:2", "cannot name a folder");
  EXPECT_PARTS(problem_of(with(kGood, "\"demo\"", "\"\"")), "a.toml:2", "cannot name a folder");
}

TEST(ConfigErrors, CostsThatNothingReads) {
  const std::string relu = with(with(kGood, "topk", "relu"), "k = 8", "");
  EXPECT_EQ(problem_of(relu), "none");
  EXPECT_PARTS(problem_of(relu + "[cost]\nplugin = \"uniform\"\n"), "a.toml:27", "nothing reads the costs",
               "feature cost 'uniform'", "remove [cost]");
  EXPECT_EQ(problem_of(kGood + "[cost]\nplugin = \"uniform\"\n"), "none");  // topk of the fakes takes costs
}

TEST(ConfigErrors, AllAtOnceInTheOrderOfTheFile) {
  std::string text = with(kGood, "steps", "stesp");
  text = with(text, "batch = 64", "batch = 0");
  text = with(text, "features = 32", "features = \"many\"");
  text = with(text, "\"topk\"", "\"tokp\"");
  text = with(text, "\"mse\"", "\"mes\"");
  text = with(text, "0.25", "{ from = 0 }");
  text += "[extra]\n";
  std::vector<std::string> places;
  for (const Problem& problem : problems_of(text)) places.push_back(problem.where);
  EXPECT_EQ(places, (std::vector<std::string>{"a.toml:3", "a.toml:7", "a.toml:11", "a.toml:15", "a.toml:19",
                                              "a.toml:25", "a.toml:25", "a.toml:27"}));
}

TEST(ConfigErrors, UnknownPluginDoesNotMakeItsParametersUnknown) {
  // Nobody can tell whose key `k` is as long as the activation is not known.
  EXPECT_EQ(problems_of(with(kGood, "\"topk\"", "\"tokp\"")).size(), 1U);
}

TEST(ConfigErrors, PathsThatNoManifestCanHold) {
  FakeCatalogue catalogue;
  EXPECT_THROW(parse_config(kGood, "\xff/a.toml", {}, catalogue), InputError);
}

TEST(ConfigErrors, Manifests) {
  FakeCatalogue catalogue;
  const nlohmann::json good = parse_config(kGood, "a.toml", {}, catalogue).resolved();
  const auto message = [&](const nlohmann::json& json) -> std::string {
    try {
      config_from_json(json, "manifest.json", catalogue);
    } catch (const InputError& error) {
      return error.what();
    }
    return "none";
  };
  EXPECT_EQ(message(good), "none");
  EXPECT_PARTS(message(nlohmann::json::array()), "manifest.json", "an object", "array");
  nlohmann::json changed = good;
  changed["loss"][1]["pairs"] = "neer";
  EXPECT_PARTS(message(changed), "manifest.json: loss[1].pairs", "one of: all, nearest");
  changed = good;
  changed["run"]["steps"] = nullptr;
  changed["run"]["seed"] = std::uint64_t{1} << 63;
  EXPECT_PARTS(message(changed), "run.steps", "null", "run.seed", "beyond 64 bits");
  changed = good;
  changed.erase("file");
  EXPECT_PARTS(message(changed), "manifest.json", "\"file\"");
  changed = good;
  nlohmann::json deep = 1;
  for (int i = 0; i < 1000; ++i) deep = nlohmann::json::array({deep});
  changed["run"]["seed"] = deep;
  EXPECT_PARTS(message(changed), "manifest.json", "too deep");
}

}  // namespace
}  // namespace regulon::core::testing
