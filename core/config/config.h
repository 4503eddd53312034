#pragma once
/// A run's configuration, checked whole. Nothing here touches data.

#include "core/config/schedule.h"

#include <regulon/params.h>
#include <regulon/plugin.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

namespace regulon::core {

/// [run]
struct RunSection {
  static void declare(Declaration<RunSection>& d);
  bool operator==(const RunSection&) const = default;
  std::string name = "run";
  std::int64_t seed = 0;
  std::int64_t steps = 1000;
  std::string device = "auto";  ///< cpu, cuda, auto
  std::int64_t threads = 0;     ///< 0: one a core, fewer where OMP_NUM_THREADS says so, one for small steps
  std::string precision = "auto";        ///< of the product that finds candidates: auto, float32, bfloat16
  std::int64_t report_every = 50;        ///< steps between metrics lines
  std::int64_t checkpoint_every = 1000;  ///< steps between checkpoints; one is always written at the end
  std::int64_t dead_after = 100000;      ///< rows without activity after which a feature counts as dead
};

/// What of [data] is common to all sources; the other keys belong to the source.
struct DataSection {
  static void declare(Declaration<DataSection>& d);
  bool operator==(const DataSection&) const = default;
  std::string source;         ///< "toy.pairs", "files", …; required
  std::int64_t batch = 1024;  ///< rows a step
  std::string normalise =
      "none";  ///< none; scale: mean row norm sqrt(d); center: subtract the mean row, then scale
};

/// [model]
struct ModelSection {
  static void declare(Declaration<ModelSection>& d);
  bool operator==(const ModelSection&) const = default;
  std::int64_t features = 0;  ///< n; required
  bool unit_norm = true;      ///< keep dictionary rows at norm one
  bool remove_parallel_gradient =
      true;                ///< drop the gradient's part along each unit row before the optimiser sees it
  bool learn_bias = true;  ///< the decoder bias learns
  std::string bias_init = "mean";  ///< zero, mean, geometric_median (of a data sample)
  std::string init;                ///< folder of a finished run to start from; empty: from scratch
  std::string init_part = "both";  ///< of that run: both, decoder, encoder
  std::string freeze = "nothing";  ///< what does not learn: nothing, init (the features of `init`), decoder
  double prune_above = -1;         ///< leave-one-out pruning at inference; below zero: none
};

/// [optimiser]: Adam
struct OptimiserSection {
  static void declare(Declaration<OptimiserSection>& d);
  bool operator==(const OptimiserSection&) const = default;
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  std::int64_t warm_up = 0;  ///< steps of linear warm-up
  double decay = 0.0;  ///< last share of the steps over which the rate falls linearly to zero, in [0, 1]
  double clip = 0.0;   ///< largest gradient norm over all parameters; 0: no clipping
};

/// [plugins]
struct PluginsSection {
  static void declare(Declaration<PluginsSection>& d);
  bool operator==(const PluginsSection&) const = default;
  std::vector<std::string> path;  ///< more folders to look for plugins in, relative to the config file
};

/// [encoder] beside the parameters of the encoder and of the activation, which share the table
struct EncoderSection {
  static void declare(Declaration<EncoderSection>& d);
  std::string plugin;               ///< required
  std::string activation = "relu";  ///< "relu", "topk", …
};

/// One [[loss]] beside the term's own parameters
struct LossSection {
  static void declare(Declaration<LossSection>& d);
  std::string plugin;      ///< required
  std::string name;        ///< of this term; empty: the plugin's name
  double weight = 1.0;     ///< may be a schedule, may be negative
  std::int64_t every = 1;  ///< runs at every so many steps: the N-th, the 2N-th, …
  bool rescale = true;     ///< multiply the weight by `every`, so that the mean pull is the same
  double target_l0 = 0.0;  ///< steer the weight so that codes' L0 nears this; 0: do not
};

/// A plugin (or activation, or data source) with the parameters that a config gives it.
struct Choice {
  std::string plugin;  ///< the plugin's name
  std::string name;    ///< this instance's name, which metrics, streams and state carry: a loss term's own,
                       ///< or "source", "encoder", "activation", "cost"
  const PluginDescriptor* descriptor = nullptr;  ///< never null after loading; lives as long as the catalogue
  std::vector<ParamValue> values;  ///< one per descriptor->params (for a scheduled one: its value at step 0)
  std::vector<std::pair<std::size_t, Schedule>> scheduled;  ///< which of them change with the step
  std::string where;                                        ///< "FILE:LINE" of its table; not part of ==

  /// A new object with all parameters set. Throws RunError naming the plugin if its constructor or a setter
  /// throws.
  std::unique_ptr<Plugin> make() const;
  /// Sets the scheduled parameters to their values at `step` (rounded, for integers).
  void update(Plugin& object, std::int64_t step) const;

  /// Whether both name the same plugin and give it the same parameters at every step.
  bool operator==(const Choice& other) const;
};

/// One [[loss]]
struct LossChoice {
  Choice term;
  Schedule weight{1.0};
  std::int64_t every = 1;  ///< runs at steps divisible by it
  bool rescale = true;     ///< multiply the weight by `every`, so that the mean pull is the same
  double target_l0 = 0.0;  ///< above zero: the weight is steered so that codes' L0 nears this
  bool operator==(const LossChoice&) const = default;
};

/// [cost] beside the plugin's own parameters
struct CostSection {
  static void declare(Declaration<CostSection>& d);
  bool operator==(const CostSection&) const = default;
  std::string plugin;        ///< the feature cost; empty: none, every feature costs one
  bool mean_one = true;      ///< scale costs to mean one
  double averaging = 0.999;  ///< share of the old value kept a step in the running frequency
  std::int64_t warm_up = 0;  ///< steps over which costs go from one to what the plugin says
  double least = 0.0;        ///< smallest cost after scaling
  double cap = 0.0;          ///< largest cost after scaling; 0: none
};

/// Everything a run needs, resolved and in range.
struct Config {
  RunSection run;
  DataSection data;
  ModelSection model;
  OptimiserSection optimiser;
  CostSection cost_section;
  Choice source;
  Choice encoder;
  Choice activation;
  Choice cost;
  std::vector<LossChoice> losses;
  PluginsSection plugins;
  std::filesystem::path file;  ///< where it came from, absolute

  /// The folder that relative paths in the config are relative to.
  std::filesystem::path folder() const { return file.parent_path(); }
  /// The whole configuration with every default written out, as the manifest holds it: one key a section,
  /// `loss` an array, paths as written, and under "file" the absolute path of the config, which
  /// `config_from_json` needs to find the data again.
  nlohmann::json resolved() const;
  /// `resolved` without "file" and "plugins", which say where things lie and not what they are: two configs
  /// with the same identity (and the same data and plugin hashes) are the same run.
  nlohmann::json identity() const;

  bool operator==(const Config&) const = default;
};

/// Where descriptors come from: plugins on the search path, and the built-in activations and data sources.
class Catalogue {
 public:
  virtual ~Catalogue();
  /// The descriptor of `name` of `interface_id` ("loss_term/1", "encoder/1", "feature_cost/1",
  /// "activation/1", "source/1"), or nullptr if there is none. Throws InputError if there is one but it
  /// cannot be used.
  virtual const PluginDescriptor* find(const std::string& interface_id, const std::string& name) = 0;
  /// All names of an interface, sorted, without loading anything.
  virtual std::vector<std::string> names(const std::string& interface_id) = 0;
};

/// "a.b=c" from the command line: a key path and a value as TOML writes it (a bare word is taken as text). A
/// loss term is addressed by its name: "loss.neighbours.weight=0.1".
using Override = std::string;

/// The folders of [plugins] path in `file`, with `overrides` applied, made absolute: read before anything
/// else can be checked. Throws InputError if the file is no TOML; what is wrong in [plugins] itself gives no
/// folders here, and is told by `load_config` together with all else.
std::vector<std::filesystem::path> plugin_path_of(const std::filesystem::path& file,
                                                  const std::vector<Override>& overrides = {});

/// Reads and checks a config. Throws InputError with *all* problems of the file at once, each with FILE:LINE,
/// what was expected, what was found, and a hint: syntax, unknown sections and keys, types, ranges, choices,
/// unknown plugins, needs that the encoder and activation do not provide, clashing loss names, schedules,
/// overrides. A file that ends in .json is read as a run's manifest (or its "config"): that run again.
Config load_config(const std::filesystem::path& file, const std::vector<Override>& overrides,
                   Catalogue& catalogue);
/// The same from text; `name` stands for the file in messages.
Config parse_config(const std::string& text, const std::string& name, const std::vector<Override>& overrides,
                    Catalogue& catalogue);
/// The config of a run from its manifest ("config" of manifest.json, as `resolved` wrote it). Alone here a
/// config may have no loss term ("loss": []): that of an imported run, which was not trained.
Config config_from_json(const nlohmann::json& resolved, const std::string& name, Catalogue& catalogue);

}  // namespace regulon::core
