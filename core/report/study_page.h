#pragma once
/// The report of a study.

#include "core/report/page.h"
#include "core/report/run_record.h"
#include "core/report/study_curves.h"
#include "core/report/study_likeness.h"
#include "core/report/study_record.h"

namespace regulon::core::report {

/// What one run of a point learnt of the true features.
struct StudyMap {
  std::string title;
  Measured::Known known;
};

/// What a page shows beyond the results; each may be empty.
struct StudyParts {
  std::vector<PointCurves> curves;
  std::vector<StudyMap> maps;
  std::string no_maps;  ///< why there are none, or not all
  Likeness likeness;
};

Page study_page(const StudyRecord& study, const StudyParts& parts = {});

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
