#pragma once
/// A config that is trained in stages: each adds features to those of the one before, which stay frozen.
///
///     [[stage]]
///     name = "coarse"                                         # "1", "2", … if absent
///     set = ["model.features=32", "loss.l1.weight=0.3"]       # what differs from the rest of the config
///
///     [[stage]]
///     name = "fine"
///     set = ["model.features=64", "run.steps=4000"]           # 32 of the 64 are the first stage's
///     unset = ["loss.orthogonality"]
///
/// The last stage is the run; each but the first starts with [model] init = the one before, freeze = "init".
/// (After L. Riggs 2024, in the discussion of Till, "Do sparse autoencoders find true features?": train,
/// freeze, fit new features to what is left; the decoder's bias goes on from where it was.)

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/config/config.h"
#include "core/train/run.h"

namespace regulon::core {

/// [[stage]]
struct StageSection {
  static void declare(Declaration<StageSection>& d);
  std::string name;                ///< empty: its number, from 1
  std::vector<std::string> set;    ///< "KEY=VALUE"
  std::vector<std::string> unset;  ///< keys
};

/// A run to be made, after those before it.
struct Stage {
  std::string name;              ///< empty if the config has no stages
  std::filesystem::path folder;  ///< of its run
  Config config;
};

/// The runs that `file` asks for, one unless it has [[stage]]: the last into `out` (empty: runs/NAME, NAME
/// that of [run]), the others into stages/ in there. `overrides` hold for all stages. Throws InputError like
/// `load_config`, for the first stage in which something is wrong.
std::vector<Stage> load_stages(const std::filesystem::path& file, const std::vector<Override>& overrides,
                               const std::filesystem::path& out, Catalogue& catalogue);

/// Trains one stage after the other, and returns what came of the last, or of the one that `stop` ended; with
/// `resume` it goes on where that was. `on_stage` hears of each before it begins. Throws like `train`; a
/// folder that is taken is told before the first stage.
TrainResult train_stages(const std::vector<Stage>& stages, const PluginHost& host, bool resume,
                         const TrainCallbacks& callbacks,
                         const std::function<void(const Stage&)>& on_stage = {});

}  // namespace regulon::core
