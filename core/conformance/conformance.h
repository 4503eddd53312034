#pragma once
/// Holds a plugin against what a run takes for granted of it, by training a small run again and again.

#include "core/config/config.h"
#include "core/plugin/host.h"

#include <string>
#include <vector>

namespace regulon::core {

/// What one of the checks came to.
struct Finding {
  enum class Outcome {
    passed,
    failed,  ///< a contract is broken
    noted,   ///< for the author to look at: right only if it is meant so
  };
  std::string check;  ///< "threads"
  Outcome outcome = Outcome::passed;
  std::string text;  ///< one line
};

/// Trains the small run that `config` describes, which names `plugin`, with the guard's checks after every
/// call, and looks whether
///
/// - it is documented: a summary, and a line for each parameter (noted);
/// - it trains: a few steps, every number finite;
/// - the same seed gives the same bits, whatever the number of threads;
/// - a run that goes on from a saved state ends in the same bits: nothing is kept that is not registered;
/// - rows of zeros, equal rows, and rows a thousand times as long or short do no harm;
/// - a loss term is a mean: the same on a batch and on that batch twice (noted, failed if it is a sum);
/// - gradients of what is learnt agree with central finite differences along a random direction (noted: a
///   straight-through estimate differs, and so does what holds its choices constant).
///
/// `plugin` is one of the choices in `config`: its encoder, its feature cost or the term of one of its
/// losses. A check that an earlier failure makes useless is left out. Throws InputError if the data cannot be
/// read.
std::vector<Finding> check_conformance(const Config& config, const PluginHost& host, const Choice& plugin);

}  // namespace regulon::core
