#pragma once
/// Nearest neighbours for the price of a list: rows move slowly, and so does who is near whom.

#include <regulon/pairs.h>
#include <regulon/plugin.h>

#include <cstdint>
#include <map>
#include <string>

namespace regulon {

/// How neighbour lists are kept.
struct NeighbourListSettings {
  std::int64_t length = 16;  ///< m: the neighbours that are remembered of each row
  double period = 40;        ///< calls, at first, in which every row's list is made anew once; it adapts
  double tolerance = 1e-3;   ///< mean deficit in cosine up to which the period may grow
  /// Calls from one look at all cosines of a row's list to the next; a tenth of the period where that is
  /// more.
  std::int64_t rank_every = 4;
};

/// The m nearest rows of each row by absolute cosine, as lists that are made anew in rotation: n / period
/// rows a call, by one product of these with all rows, exactly. Between, the nearest of a row is the nearest
/// in its list by today's cosines. Never n x n: O(n m) memory, and time of n / period rows' products.
///
/// Each list that is made anew tells for free what the old one missed: *recall* is the share of rows whose
/// nearest, as it was handed out, truly was, and *deficit* by how much cosine the others fell short, on
/// average over all rows. That is unbiased for lists at the end of their life, and so a bound on average for
/// all. The period shrinks when the deficit of a rotation exceeds the tolerance, grows when it is below half
/// of it, and doubles when it is below a quarter.
class NeighbourLists {
 public:
  /// Registers what is kept, under "neighbours.…". To be called once, in the plugin's own `prepare`.
  void prepare(Preparation& preparation, const NeighbourListSettings& settings);
  /// The nearest other rows of `unit_rows` [n, d] (rows of norm one, or zero): as `ops::nearest_neighbours`,
  /// but from the lists. The first call makes all lists, which is exact. Same state, same rows: same bits.
  /// Throws RunError if a row is not finite or far from unit length.
  ops::Neighbours nearest(const at::Tensor& unit_rows);
  /// "recall" in [0, 1] and "deficit" in cosine, of the last whole rotation (of the first one, so far), and
  /// "period" in calls. Empty before anything was audited.
  std::map<std::string, double> report() const;

 private:
  NeighbourListSettings settings_;
  at::Tensor ids_;   ///< [n, m] int32: nearest first as last ranked; -1 where there are fewer than m others
  at::Tensor ties_;  ///< [n] int32: how many of the first share the largest cosine
  at::Tensor figures_;  ///< [9] double: see neighbour_lists.cpp
};

}  // namespace regulon
