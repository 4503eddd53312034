#pragma once
/// A study as its file says it: a base config, and axes along which it is changed.
///
///     [study]
///     name = "sparsity"                 # the file's name, if absent
///     base = "../toy/orthogonal.toml"   # relative to this file; or the config's tables stand in this file
///     set = ["run.steps=500"]           # what differs from the base in every run
///     seeds = 5                         # 0 … 4; or a list of them; the base's own if absent
///     leave_one_out = ["l1"]            # the base, and once without each of these loss terms
///     add_one_in = ["orthogonality"]    # without any of these, and with one of them at a time
///     mode = "grid"                     # every combination; or "one_at_a_time"
///
///     [[axis]]
///     key = "encoder.k"
///     values = [8, 16]
///
///     [[axis]]                          # keys that move together
///     key = ["model.features", "loss.l1.weight"]
///     values = [[256, 0.1], [512, 0.05]]
///
///     [[axis]]                          # named points, each of which changes several keys
///     name = "encoder"
///     [[axis.point]]
///     name = "relu"
///     set = ["encoder.activation=relu"]
///     unset = ["encoder.k"]             # or "loss.NAME", a whole term
///     [[axis.point]]
///     name = "topk"                     # changes nothing
///
/// The first choice of every axis together is the point that all others are compared with.

#include "core/config/config.h"
#include "core/config/edits.h"
#include "core/config/label.h"
#include "core/config/toml_reader.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace regulon::core {

/// [study]
struct StudySection {
  static void declare(Declaration<StudySection>& d);
  std::string name;                        ///< empty: the file's name
  std::string base;                        ///< empty: the tables of the study file itself
  std::vector<std::string> set;            ///< "KEY=VALUE"
  std::vector<std::string> unset;          ///< keys
  std::vector<std::int64_t> seeds;         ///< a lone number is a count of them
  std::vector<std::string> leave_one_out;  ///< names of loss terms; "all" for all of them
  std::vector<std::string> add_one_in;     ///< the same
  std::string mode = "grid";               ///< grid, one_at_a_time
};

/// [[axis]], beside `values`, whose elements may be anything, and [[axis.point]]
struct AxisSection {
  static void declare(Declaration<AxisSection>& d);
  std::string name;                 ///< empty: made from the key
  std::vector<std::string> key;     ///< several move together
  std::vector<std::string> labels;  ///< of the values; empty: made from them
};

/// [[axis.point]]
struct PointSection {
  static void declare(Declaration<PointSection>& d);
  std::string name;
  std::vector<std::string> set;    ///< "KEY=VALUE"
  std::vector<std::string> unset;  ///< keys
};

/// One of the choices along an axis.
struct AxisChoice {
  std::string label;  ///< characters that a file's name may have, see `label_of`
  std::vector<Edit> edits;
};

/// A direction in which a study varies; at least one choice.
struct Axis {
  std::string name;
  std::vector<AxisChoice> choices;
};

/// A study, read and checked as far as that goes without plugins: the runs' configs are checked by `plan_of`.
struct Study {
  std::string name;
  std::filesystem::path file;         ///< absolute
  std::filesystem::path config_file;  ///< the base's file, or the study's own; absolute
  std::vector<Override> overrides;    ///< those of the base
  doc::Table base;                    ///< with `set`, `unset` and the overrides in it
  bool grid = true;                   ///< every combination; if not, one axis away from the base at a time
  std::vector<Axis> axes;
  std::vector<std::int64_t> seeds;  ///< empty: the base's own

  /// Combinations of choices, saturating.
  std::uint64_t points() const;
};

/// The most runs that a study may have.
inline constexpr std::uint64_t kMostRuns = 10'000;

/// Reads a study. `overrides` change the base, or, as "study.KEY=VALUE", the study. Throws InputError with
/// all problems at once: unknown keys, empty axes, names that clash, two axes on one key, too many runs (told
/// before any is made), a base that is missing.
Study read_study(const std::filesystem::path& file, const std::vector<Override>& overrides);

}  // namespace regulon::core
