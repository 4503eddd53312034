/// Every loss term with every feature cost, activation and encoder that the program finds: each combination
/// either trains or is refused with the reason.

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/plugin/host.h"
#include "core/train/trainer.h"

namespace regulon::core {
namespace {

constexpr std::int64_t kRows = 48;
constexpr std::int64_t kFeatures = 16;
constexpr std::int64_t kWidth = 10;
constexpr std::int64_t kSteps = 50;

/// What toy data wants of a parameter, whoever declares one of this name.
const std::map<std::string, std::string>& toy_settings() {
  static const std::map<std::string, std::string> kSettings = {
      {"k", "2"}, {"k_aux", "4"}, {"dead_after", "96"}, {"bandwidth", "0.5"}, {"hidden", "12"}};
  return kSettings;
}

/// Rows with a few of six directions active.
at::Tensor batch_of(std::int64_t step) {
  const at::TensorOptions options(at::kFloat);
  const at::Tensor directions = at::randn({6, kWidth}, named_generator(7, "directions"), options);
  const at::Tensor amounts =
      at::randn({kRows, 6}, named_generator(7, fmt::format("batch{}", step)), options).sub(0.5).relu();
  return at::matmul(amounts, directions);
}

/// One cell of the matrix, by plugin names; no cost if empty. `without`: a base term that is left out.
struct Cell {
  std::string encoder;
  std::string activation;
  std::string loss;
  std::string cost;
  std::string without = {};

  std::string text() const {
    const std::string less = without.empty() ? "" : " without " + without;
    return fmt::format("{} {} {} {}{}", encoder, activation, loss, cost, less);
  }
};

class Matrix : public ::testing::Test {
 protected:
  const PluginDescriptor& descriptor(const std::string& interface_id, const std::string& name) {
    return *host_.find(interface_id, name);
  }
  std::vector<std::string> names(const std::string& interface_id) { return host_.names(interface_id); }

  /// The toy's settings of the plugin's own parameters, as lines of a config.
  std::string settings(const std::string& interface_id, const std::string& name) {
    std::string lines;
    for (const ParamSpec& spec : descriptor(interface_id, name).params) {
      const auto found = toy_settings().find(spec.name);
      if (found != toy_settings().end()) lines += fmt::format("{} = {}\n", found->first, found->second);
    }
    return lines;
  }

  std::string config_of(const Cell& cell) {
    std::string text =
        fmt::format("[run]\nsteps = {}\n[data]\nsource = \"toy.pairs\"\nbatch = {}\n[model]\nfeatures = {}\n",
                    kSteps, kRows, kFeatures);
    text += "[optimiser]\nlearning_rate = 1e-2\n";
    text += fmt::format("[encoder]\nplugin = \"{}\"\nactivation = \"{}\"\n", cell.encoder, cell.activation);
    text += settings("encoder/1", cell.encoder) + settings("activation/1", cell.activation);
    std::set<std::string> terms = base_terms(cell);
    terms.insert(cell.loss);
    terms.erase(cell.without);
    for (const std::string& term : terms) {
      text += fmt::format("[[loss]]\nplugin = \"{}\"\nweight = {}\n", term, term == "mse" ? 1.0 : 0.1);
      text += settings("loss_term/1", term);
    }
    if (!cell.cost.empty()) {
      text += fmt::format("[cost]\nplugin = \"{}\"\naveraging = 0.9\n", cell.cost);
      text += settings("feature_cost/1", cell.cost);
    }
    return text;
  }

  /// What trains beside the term in question: a gate learns only from terms that look at it.
  std::set<std::string> base_terms(const Cell& cell) {
    std::set<std::string> terms = {"mse"};
    if (words("encoder/1", cell.encoder, &Plugin::provides).count("codes.gate") == 0) return terms;
    for (const std::string& name : names("loss_term/1")) {
      if (words("loss_term/1", name, &Plugin::needs).count("codes.gate") != 0) terms.insert(name);
    }
    return terms;
  }

  std::set<std::string> words(const std::string& interface_id, const std::string& name,
                              std::vector<std::string> (Plugin::*ask)() const) {
    const auto object = descriptor(interface_id, name).make();
    const auto asked = ((*object).*ask)();
    return {asked.begin(), asked.end()};
  }

  /// Why the cell makes no sense, as the message should put it; empty if it does.
  std::string refusal(const Cell& cell) {
    std::set<std::string> provided = {"codes.dense", "costs"};
    provided.merge(words("encoder/1", cell.encoder, &Plugin::provides));
    provided.merge(words("activation/1", cell.activation, &Plugin::provides));
    std::set<std::string> needed;
    std::set<std::string> terms = base_terms(cell);
    terms.insert(cell.loss);
    for (const std::string& term : terms) needed.merge(words("loss_term/1", term, &Plugin::needs));
    needed.merge(words("encoder/1", cell.encoder, &Plugin::needs));
    needed.merge(words("activation/1", cell.activation, &Plugin::needs));
    for (const std::string& need : needed) {
      if (provided.count(need) == 0) return fmt::format("needs '{}'", need);
    }
    return !cell.cost.empty() && needed.count("costs") == 0 ? "nothing reads the costs" : "";
  }

  /// Expects the config to be refused for `reason`.
  void expect_refused(const Cell& cell, const std::string& reason) {
    try {
      parse_config(config_of(cell), "test.toml", {}, host_);
      ADD_FAILURE() << cell.text() << " was not refused: " << reason;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
    }
  }

  /// Trains the cell; everything learnt afterwards, flat. Expects that all of it moved and stayed finite.
  at::Tensor train(const Cell& cell) {
    Trainer trainer(parse_config(config_of(cell), "test.toml", {}, host_), host_, batch_of(-1));
    std::vector<at::Tensor> before;
    for (const Parameter& parameter : trainer.model().parameters())
      before.push_back(parameter.tensor.detach().clone());
    for (std::int64_t step = 0; step < kSteps; ++step) {
      Report report;
      trainer.step(batch_of(step), &report);
      if (!std::isfinite(report.loss)) ADD_FAILURE() << cell.text() << ": loss at step " << step;
    }
    trainer.require_finite();
    priced_ = (trainer.costs() - 1).abs().max().item<double>() > 1e-3;
    std::vector<at::Tensor> after;
    for (std::size_t i = 0; i < before.size(); ++i) {
      const Parameter& parameter = trainer.model().parameters()[i];
      after.push_back(parameter.tensor.detach().reshape({-1}).clone());
      EXPECT_GT((after.back() - before[i].reshape({-1})).abs().max().item<double>(), 1e-6)
          << cell.text() << ": " << parameter.name << " did not move";
    }
    return at::cat(after);
  }

  /// The cell without its cost, without its term: trained once.
  const at::Tensor& plain(const std::string& encoder, const std::string& activation) {
    auto& found = plain_[encoder + " " + activation];
    if (!found.defined()) found = train({encoder, activation, "mse", ""});
    return found;
  }

  /// Whether the cell ends elsewhere than without its term.
  bool matters(const Cell& cell) {
    if (base_terms(cell).count(cell.loss) == 0)
      return !at::equal(train(cell), plain(cell.encoder, cell.activation));
    // Without a base term something else must still move what only that term moves.
    const Cell with{cell.encoder, cell.activation, "normalised_mse", ""};
    Cell less = with;
    less.without = cell.loss;
    return !at::equal(train(with), train(less));
  }

  /// Costs that differ from one must matter; costs of one must not, up to rounding, which steep penalties
  /// amplify from step to step.
  void expect_costs_matter(const Cell& cell) {
    const at::Tensor priced = train(cell);
    const bool matters = priced_;
    const Cell unpriced{cell.encoder, cell.activation, cell.loss, ""};
    auto& without = plain_[unpriced.text()];
    if (!without.defined()) without = train(unpriced);
    const double apart = ((priced - without).norm() / without.norm()).item<double>();
    EXPECT_TRUE(matters ? apart > 0 : apart < 1e-2) << apart;
  }

  PluginHost host_{{std::filesystem::path(REGULON_BUILD_DIR) / "plugins"}};
  bool priced_ = false;  ///< whether the costs of the cell trained last differ from one
  std::map<std::string, at::Tensor> plain_;
};

TEST_F(Matrix, EveryEncoderActivationAndTermTrainsWithEveryCost) {
  for (const std::string& encoder : names("encoder/1")) {
    int trained = 0;
    int refused = 0;
    for (const std::string& activation : names("activation/1")) {
      for (const std::string& loss : names("loss_term/1")) {
        for (const std::string& cost : names("feature_cost/1")) {
          const Cell cell{encoder, activation, loss, cost};
          SCOPED_TRACE(cell.text());
          const std::string reason = refusal(cell);
          reason.empty() ? ++trained : ++refused;
          reason.empty() ? expect_costs_matter(cell) : expect_refused(cell, reason);
        }
      }
    }
    EXPECT_GT(trained, 50) << encoder;
    EXPECT_GT(refused, 10) << encoder;
  }
}

TEST_F(Matrix, EveryTermTrainsWithEveryEncoderAndActivationAndMatters) {
  for (const std::string& loss : names("loss_term/1")) {
    int trained = 0;
    int mattered = 0;
    for (const std::string& encoder : names("encoder/1")) {
      for (const std::string& activation : names("activation/1")) {
        const Cell cell{encoder, activation, loss, ""};
        SCOPED_TRACE(cell.text());
        const std::string reason = refusal(cell);
        if (!reason.empty()) {
          expect_refused(cell, reason);
          continue;
        }
        ++trained;
        if (matters(cell)) ++mattered;
      }
    }
    EXPECT_GT(trained, 0) << loss << " fits nothing";
    EXPECT_GT(mattered, 0) << loss << " changes nothing";
  }
}

TEST_F(Matrix, ParametersThatDoNotFitTheModelAreInputErrors) {
  const Cell cell{"linear", "topk", "matryoshka", ""};
  const Config config = parse_config(config_of(cell), "test.toml", {"loss.matryoshka.widths=[4, 99]"}, host_);
  try {
    const Trainer trainer(config, host_, batch_of(-1));
    ADD_FAILURE() << "99 of 16 features";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("in prepare"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("at most 16"), std::string::npos) << error.what();
  }
  EXPECT_THROW(parse_config(config_of(cell), "test.toml", {"loss.matryoshka.widths=[4, 4]"}, host_),
               InputError);
}

}  // namespace
}  // namespace regulon::core
