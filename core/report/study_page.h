#pragma once
/// The report of a study.

#include "core/report/page.h"
#include "core/report/study_record.h"

namespace regulon::core::report {

Page study_page(const StudyRecord& study);

/// A measure as a report calls it.
struct MeasureName {
  std::string measure;
  std::string title;  ///< short, for the head of a column
  std::string axis;   ///< with its unit, for a chart
};

/// Measures that everybody looks at first, of those that the study has: what is compared and drawn.
std::vector<MeasureName> main_measures(const StudyRecord& study);

/// Its parts.
Section comparison_section(const StudyRecord& study);
Section trade_off_section(const StudyRecord& study);
Section measures_section(const StudyRecord& study);
Section runs_section(const StudyRecord& study);

}  // namespace regulon::core::report
