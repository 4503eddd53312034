#pragma once
/// From the tables of a study file to axes.

#include "core/study/study_file.h"

#include <string>
#include <vector>

namespace regulon::core {

/// Reads all [[axis]] of a study file into `axes`.
void read_axes(const doc::Table& document, doc::Problems& problems, std::vector<Axis>& axes);

/// Adds the axis "loss" that leaves terms of `base` out one by one, or lets them in one by one, as `section`
/// (read from `table`) asks.
void add_loss_axis(const StudySection& section, const doc::Table& table, const doc::Table& base,
                   doc::Problems& problems, std::vector<Axis>& axes);

/// Adds to `problems` axes or labels of one name, and keys that two axes set.
void check_axes(const std::vector<Axis>& axes, doc::Problems& problems);

/// Whether a choice of `axis` changes `key`.
bool sets(const Axis& axis, const std::string& key);

}  // namespace regulon::core
