#pragma once
/// The report of a study.

#include "core/report/page.h"
#include "core/report/run_record.h"
#include "core/report/study_record.h"

namespace regulon::core::report {

/// What one run of a point learnt of the true features.
struct StudyMap {
  std::string title;
  Measured::Known known;
};

/// The page of `study`; `maps` may be empty, and `no_maps` says why if there should be some.
Page study_page(const StudyRecord& study, const std::vector<StudyMap>& maps = {},
                const std::string& no_maps = "");

/// A measure as a report calls it.
struct MeasureName {
  std::string measure;
  std::string title;  ///< short, for the head of a column
  std::string axis;   ///< with its unit, for a chart
};

/// Measures that everybody looks at first, of those that the study has: what is compared and drawn.
std::vector<MeasureName> main_measures(const StudyRecord& study);

/// A point as charts call it: its choices, without the axes' names.
std::string short_name(const StudyPoint& point);

/// Its parts.
Section comparison_section(const StudyRecord& study);
Section trade_off_section(const StudyRecord& study);
Section measures_section(const StudyRecord& study);
Section runs_section(const StudyRecord& study);

}  // namespace regulon::core::report
