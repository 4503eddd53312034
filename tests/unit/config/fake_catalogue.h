#pragma once
/// A catalogue of small plugins that exist only here, and helpers to look at the messages of a refused
/// config.

#include "core/config/config.h"

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace regulon::core::testing {

struct FakeSource : Plugin {
  static void declare(Declaration<FakeSource>& d) {
    d.param("width", &FakeSource::width).at_least(1).doc("columns");
    d.param("files", &FakeSource::files).doc("globs");
    d.param("levels", &FakeSource::levels).at_least(0).at_most(1).doc("shares");
    d.param("seeds", &FakeSource::seeds).doc("integers");
  }
  std::int64_t width = 8;
  std::vector<std::string> files;
  std::vector<double> levels = {0.5};
  std::vector<std::int64_t> seeds;
};

struct FakeLinear : Plugin {
  static void declare(Declaration<FakeLinear>& d) {
    d.param("tied", &FakeLinear::tied).doc("use the dictionary");
  }
  std::vector<std::string> provides() const override { return {"encoder.directions"}; }
  bool tied = false;
};

struct FakeTwoLayer : Plugin {
  static void declare(Declaration<FakeTwoLayer>& d) {
    d.param("hidden", &FakeTwoLayer::hidden).required().at_least(1).doc("width of the hidden layer");
  }
  std::int64_t hidden = 0;
};

/// Declares what the table already holds.
struct FakeClashing : Plugin {
  static void declare(Declaration<FakeClashing>& d) {
    d.param("k", &FakeClashing::k).doc("also topk's");
    d.param("activation", &FakeClashing::activation).doc("also the section's");
  }
  std::int64_t k = 1;
  std::string activation;
};

struct FakeRelu : Plugin {};

struct FakeTopK : Plugin {
  static void declare(Declaration<FakeTopK>& d) {
    d.param("k", &FakeTopK::k).at_least(1).schedulable().doc("active features of a row");
  }
  std::vector<std::string> needs() const override { return {"costs"}; }
  std::int64_t k = 4;
};

struct FakeJumpRelu : Plugin {
  static void declare(Declaration<FakeJumpRelu>& d) { d.param("theta", &FakeJumpRelu::theta).above(0); }
  std::vector<std::string> provides() const override { return {"codes.open"}; }
  double theta = 0.1;
};

struct FakeUniform : Plugin {};

struct FakeRarity : Plugin {
  static void declare(Declaration<FakeRarity>& d) { d.param("floor", &FakeRarity::floor).above(1).doc("d"); }
  double floor = 2.0;
};

struct FakeMse : Plugin {};

struct FakeOrthogonality : Plugin {
  static void declare(Declaration<FakeOrthogonality>& d) {
    d.param("pairs", &FakeOrthogonality::pairs).choices({"all", "nearest"}).doc("which pairs");
    d.param("over", &FakeOrthogonality::over).choices({"decoder", "encoder"}).doc("whose rows");
    d.param("margin", &FakeOrthogonality::margin).at_least(0).below(1).schedulable().doc("free cosine");
    d.param("neighbours", &FakeOrthogonality::neighbours).at_least(1).doc("per feature");
  }
  std::vector<std::string> needs() const override {
    return over == "encoder" ? std::vector<std::string>{"encoder.directions"} : std::vector<std::string>{};
  }
  std::string pairs = "all";
  std::string over = "decoder";
  double margin = 0.0;
  std::int64_t neighbours = 1;
};

/// Needs what only jumprelu has, and what everything has.
struct FakeNeedsOpen : Plugin {
  std::vector<std::string> needs() const override { return {"codes.open", "codes.dense"}; }
};

struct FakeThrowing : Plugin {
  FakeThrowing() { throw std::runtime_error("no luck today"); }
};

/// All of the above by name; "broken" is a loss term that is there but cannot be used.
class FakeCatalogue : public Catalogue {
 public:
  FakeCatalogue() {
    add<FakeSource>("source/1", "toy.pairs");
    add<FakeLinear>("encoder/1", "linear");
    add<FakeTwoLayer>("encoder/1", "two_layer");
    add<FakeClashing>("encoder/1", "clashing");
    add<FakeRelu>("activation/1", "relu");
    add<FakeTopK>("activation/1", "topk");
    add<FakeJumpRelu>("activation/1", "jumprelu");
    add<FakeUniform>("feature_cost/1", "uniform");
    add<FakeRarity>("feature_cost/1", "log_rarity");
    add<FakeMse>("loss_term/1", "mse");
    add<FakeOrthogonality>("loss_term/1", "orthogonality");
    add<FakeNeedsOpen>("loss_term/1", "near_misses");
    add_throwing();
  }

  const PluginDescriptor* find(const std::string& interface_id, const std::string& name) override {
    if (name == "broken")
      throw InputError(Problem{"/lib/broken.so", "wrong SDK revision", "1", "7", "rebuild it"});
    const auto it = held_.find({interface_id, name});
    return it == held_.end() ? nullptr : &it->second;
  }

  std::vector<std::string> names(const std::string& interface_id) override {
    std::vector<std::string> names;
    for (const auto& [key, descriptor] : held_) {
      if (key.first == interface_id) names.push_back(key.second);
    }
    return names;
  }

 private:
  template <class T>
  void add(const std::string& interface_id, const std::string& name) {
    held_[{interface_id, name}] = describe_plugin<T>(interface_id, name, "a fake");
  }

  /// Without `describe_plugin`, which makes a prototype.
  void add_throwing() {
    PluginDescriptor descriptor;
    descriptor.interface_id = "loss_term/1";
    descriptor.name = "throwing";
    descriptor.make = [] { return std::make_unique<FakeThrowing>(); };
    held_[{"loss_term/1", "throwing"}] = descriptor;
  }

  std::map<std::pair<std::string, std::string>, PluginDescriptor> held_;
};

/// A config that is as it should be. Tests count its lines: [run] is on the first.
inline const std::string kGood =
    "[run]\n"                       // 1
    "name = \"demo\"\n"             // 2
    "steps = 200\n"                 // 3
    "\n"                            // 4
    "[data]\n"                      // 5
    "source = \"toy.pairs\"\n"      // 6
    "batch = 64\n"                  // 7
    "width = 16\n"                  // 8
    "\n"                            // 9
    "[model]\n"                     // 10
    "features = 32\n"               // 11
    "\n"                            // 12
    "[encoder]\n"                   // 13
    "plugin = \"linear\"\n"         // 14
    "activation = \"topk\"\n"       // 15
    "k = 8\n"                       // 16
    "\n"                            // 17
    "[[loss]]\n"                    // 18
    "plugin = \"mse\"\n"            // 19
    "\n"                            // 20
    "[[loss]]\n"                    // 21
    "plugin = \"orthogonality\"\n"  // 22
    "name = \"neighbours\"\n"       // 23
    "pairs = \"nearest\"\n"         // 24
    "weight = 0.25\n"               // 25
    "every = 5\n";                  // 26

/// `text` with the first `from` replaced; fails if there is none.
inline std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  if (at == std::string::npos) throw std::logic_error("the test's config has no " + from);
  return text.replace(at, from.size(), to);
}

/// The problems with which a config is refused; empty if it is not.
inline std::vector<Problem> problems_of(const std::string& text,
                                        const std::vector<Override>& overrides = {}) {
  FakeCatalogue catalogue;
  try {
    parse_config(text, "a.toml", overrides, catalogue);
  } catch (const InputError& error) {
    return error.problems();
  }
  return {};
}

/// The one problem of a config in one line; "none" or "several: ..." if there is not exactly one.
inline std::string problem_of(const std::string& text, const std::vector<Override>& overrides = {}) {
  const auto problems = problems_of(text, overrides);
  if (problems.empty()) return "none";
  if (problems.size() == 1) return describe(problems.front());
  std::string all = "several:";
  for (const Problem& problem : problems) all += "\n" + describe(problem);
  return all;
}

/// Asserts that `text` holds every one of `parts`.
#define EXPECT_PARTS(text, ...)                                                                             \
  do {                                                                                                      \
    const std::string expect_text = (text);                                                                 \
    for (const std::string& part : std::vector<std::string>{__VA_ARGS__}) {                                 \
      EXPECT_NE(expect_text.find(part), std::string::npos) << "no \"" << part << "\" in:\n" << expect_text; \
    }                                                                                                       \
  } while (false)

}  // namespace regulon::core::testing
