#pragma once
/// Measures that everybody looks at first.

namespace regulon::core {

/// A measure as tables and charts call it.
struct HeadlineMeasure {
  const char* measure;  ///< its name in `Measures`
  const char* title;    ///< of a column
  const char* axis;     ///< of a chart, with the unit
};

/// In the order in which they are shown.
inline constexpr HeadlineMeasure kHeadline[] = {
    {"fvu", "FVU", "FVU, share of the variance unexplained"},
    {"l0", "L0", "L0, active features a row"},
    {"train.dead_share", "dead", "dead features at the end of training, share"},
    {"dictionary.mean_nearest", "nearest cosine", "mean cosine of a dictionary row with its nearest"},
    {"known.found", "found", "true features found"},
    {"known.missed", "missed", "true features missed"},
    {"known.composed", "combinations", "learnt features that combine true ones"},
    {"known.mean_best", "mean best cosine", "mean best cosine with true features"}};

}  // namespace regulon::core
