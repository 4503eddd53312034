#pragma once
/// The report of a run.

#include "core/report/page.h"
#include "core/report/run_record.h"

namespace regulon::core::report {

Page run_page(const RunRecord& run, const Measured& measured);

/// Its parts.
Section held_out_section(const RunRecord& run, const Measured& measured);
Section curves_section(const RunRecord& run);
Section features_section(const RunRecord& run, const Measured& measured);
Section setup_section(const RunRecord& run);

/// FVU as codes are left out; none if that was not measured.
std::optional<Figure> drop_figure(const Measured& measured);
/// Quantiles of the rows' losses; none if they were not measured.
std::optional<Table> losses_table(const Measured& measured);

/// The heat map of learnt against true features; of many, those matched worst.
Figure known_figure(const Measured::Known& known, const std::string& title);

}  // namespace regulon::core::report
