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

/// The rows on a map, coloured by loss.
Section rows_section(const Measured::RowMap& map);
/// Features with the rows where they are strongest.
void add_examples(const Measured::Examples& examples, Section& section);

/// FVU as codes are left out; none if that was not measured.
std::optional<Figure> drop_figure(const Measured& measured);
/// Quantiles of the rows' losses; none if they were not measured.
std::optional<Table> losses_table(const Measured& measured);

/// Settles which cells of the heat map are drawn: all, or those of the true features that are matched worst.
void choose_cells(Measured::Known& known);

/// The heat map of learnt against true features; of many, those matched worst.
Figure known_figure(const Measured::Known& known, const std::string& title);

}  // namespace regulon::core::report
