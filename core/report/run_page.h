#pragma once
/// The report of a run.

#include "core/report/page.h"
#include "core/report/run_record.h"

namespace regulon::core::report {

Page run_page(const RunRecord& run, const Measured& measured);

/// Its parts.
Section held_out_section(const RunRecord& run);
Section curves_section(const RunRecord& run);
Section features_section(const RunRecord& run, const Measured& measured);
Section setup_section(const RunRecord& run);

/// The heat map of learnt against true features; of many, those matched worst.
Figure known_figure(const Measured::Known& known, const std::string& title);

}  // namespace regulon::core::report
