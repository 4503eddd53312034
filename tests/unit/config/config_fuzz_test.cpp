/// Whatever a config holds, it is read or refused: nothing else may happen.

#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <random>

#include "fake_catalogue.h"

namespace regulon::core::testing {
namespace {

const std::array<std::string, 26> kFragments = {"nan",
                                                "-inf",
                                                "1e999",
                                                "9223372036854775807",
                                                "-9223372036854775808",
                                                "0",
                                                "-1",
                                                "0x7f",
                                                "\"",
                                                "'''",
                                                "[",
                                                "]",
                                                "{",
                                                "}",
                                                "[[loss]]\n",
                                                "[cost]\n",
                                                "=",
                                                "\n",
                                                ".",
                                                "#",
                                                "{ from = 0, to = 1, over = 3 }",
                                                "{ points = [[0, 1], [9, 2]] }",
                                                "1979-05-27",
                                                std::string(1, '\0'),
                                                "\xff",
                                                "plugin = \"near_misses\"\n"};

std::size_t below(std::mt19937_64& random, std::size_t end) { return end == 0 ? 0 : random() % end; }

/// A few random edits: bytes replaced, fragments put in, pieces dropped, doubled or moved.
std::string mutated(std::string text, std::mt19937_64& random) {
  const std::size_t edits = 1 + below(random, 2);
  for (std::size_t i = 0; i < edits; ++i) {
    const std::size_t at = below(random, text.size());
    const std::size_t length = below(random, 30);
    const std::string piece = text.substr(at, length);
    switch (below(random, 8)) {
      case 0:
        if (!text.empty()) text[at] = static_cast<char>(random() & 0xff);
        break;
      case 1:
        text.insert(at, kFragments[below(random, kFragments.size())]);
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(below(random, text.size()), piece);
        break;
      default: {
        // A value replaced whole: the kind of mistake that gets past the syntax.
        const std::size_t equals = text.find('=', at);
        const std::size_t end = equals == std::string::npos ? equals : text.find('\n', equals);
        if (end != std::string::npos) {
          text.replace(equals + 1, end - equals - 1, kFragments[below(random, kFragments.size())]);
        }
      }
    }
  }
  return text;
}

TEST(ConfigFuzz, AnyMutationIsReadOrRefusedWithAMessage) {
  FakeCatalogue catalogue;
  std::mt19937_64 random(20240607);
  int read = 0;
  int refused = 0;
  int past_syntax = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::string text = mutated(kGood, random);
    SCOPED_TRACE(text);
    try {
      const Config config = parse_config(text, "a.toml", {}, catalogue);
      const Config back = config_from_json(nlohmann::json::parse(config.resolved().dump()), "m", catalogue);
      EXPECT_TRUE(back == config);
      ++read;
    } catch (const InputError& error) {
      ASSERT_FALSE(error.problems().empty());
      for (const Problem& problem : error.problems()) {
        EXPECT_EQ(problem.where.rfind("a.toml:", 0), 0U) << problem.where;
        EXPECT_FALSE(problem.what.empty());
      }
      ++refused;
      past_syntax += std::string(error.what()).find("not valid TOML") == std::string::npos ? 1 : 0;
    }
  }
  // The mutations reach all three: configs still good, broken syntax, and good syntax with a bad meaning.
  EXPECT_GT(read, 100);
  EXPECT_GT(refused - past_syntax, 500);
  EXPECT_GT(past_syntax, 500);
}

TEST(ConfigFuzz, AnyOverrideIsTakenOrRefusedWithAMessage) {
  FakeCatalogue catalogue;
  std::mt19937_64 random(7);
  const std::array<std::string, 4> seeds = {"run.steps=7",
                                            "loss.neighbours.weight={ from = 0, to = 1, over = 4 }",
                                            "encoder.activation=topk", "data.levels=[0.25, 1]"};
  int taken = 0;
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    const std::string text = mutated(seeds[below(random, seeds.size())], random);
    SCOPED_TRACE(text);
    try {
      const Config config = parse_config(kGood, "a.toml", {text}, catalogue);
      EXPECT_FALSE(config.resolved().dump().empty());
      ++taken;
    } catch (const InputError& error) {
      EXPECT_FALSE(error.problems().empty());
      ++refused;
    }
  }
  EXPECT_GT(taken, 50);
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace regulon::core::testing
