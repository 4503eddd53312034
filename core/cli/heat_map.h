#pragma once
/// Learnt x true cosines, drawn in the terminal and as an SVG picture.

#include <filesystem>
#include <string>
#include <vector>

#include "core/measure/known_features.h"

namespace regulon::cli {

/// One run's map with the words that belong to it.
struct HeatMap {
  std::string title;    ///< "MSE + L1, seed 0"
  std::string caption;  ///< "found 5 of 8, combinations 4, FVU 0.019, L0 2.5"
  core::KnownFeatures known;
};

/// The maps side by side as lines of text, one learnt direction a line, one true feature a column, cosine in
/// tenths. With `colour`, cells carry a background in 24-bit ANSI colours. Combinations are marked with '+',
/// silent features with 'x'.
std::vector<std::string> heat_map_lines(const std::vector<HeatMap>& maps, bool colour);

/// Writes the maps as one SVG file, `columns` a row. Throws RunError if it cannot be written.
void write_heat_maps(const std::filesystem::path& path, const std::string& title,
                     const std::vector<HeatMap>& maps, std::size_t columns);

}  // namespace regulon::cli
