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
  /// m: the neighbours that are remembered of each row; one and a half times the rank where that is more.
  std::int64_t length = 16;
  /// Calls, at first, in which every row's list is made anew once; it adapts. 0: 80, or 20 n / B where that
  /// is more, for a batch of B rows, and 1000 at most: the first renewals then cost a twentieth of the
  /// encoder's product, on average over calls, or somewhat more for the widest dictionaries.
  double period = 0;
  double tolerance = 1e-3;  ///< mean deficit in cosine up to which the period may grow
  /// Calls from one look at all cosines of a row's list to the next; a tenth of the period where that is
  /// more.
  std::int64_t rank_every = 4;
  std::int64_t rank = 1;         ///< r: the r-th nearest is handed out
  bool absolute = true;          ///< near by |cos|, or by cos
  std::int64_t renew_every = 0;  ///< R: all lists anew at every R-th call and none between; 0: in rotation
};

/// The m nearest rows of each row, as lists that are made anew in rotation: n / period rows a call, or some
/// hundreds at every few, by one product of these with all rows, exactly; on the way each of them gets into
/// the lists of the rows that it has come near. Between, the r-th nearest of a row is the r-th in its list as
/// last ranked. Never n x n: O(n m) memory, and time of n / period rows' products. With `renew_every` all
/// lists are made anew together, at a fixed period (Steiner, in the comments to Till 2024).
///
/// Each list that is made anew tells for free what the old one missed: *recall* is the share of rows for
/// which the neighbour that was handed out had the cosine of the true one, and *deficit* by how much cosine
/// the others were off, on average over all rows. That is unbiased for lists at the end of their life, and so
/// a bound on average for all. In rotation the period shrinks when the deficit of a rotation exceeds the
/// tolerance, or that of an eighth of one twice the tolerance; it grows when it is below half of it, and
/// doubles when it is below a quarter.
class NeighbourLists {
 public:
  /// Registers what is kept, under "neighbours.…". To be called once, in the plugin's own `prepare`.
  void prepare(Preparation& preparation, const NeighbourListSettings& settings);
  /// The r-th nearest other rows, among all, of the rows of `unit_rows` [n, d] (rows of norm one, or zero)
  /// from `first` on, the same at each call: as `ops::nearest_neighbours`, but from the lists. By |cos|, a
  /// row at right angles to all others has no neighbour. The first call makes all lists, which is exact. Same
  /// state, same rows: same bits. Throws RunError if a row is not finite or far from unit length.
  ops::Neighbours nearest(const at::Tensor& unit_rows, std::int64_t first = 0);
  /// "recall" in [0, 1] and "deficit" in cosine, of the last whole rotation (of the first one, so far), and
  /// "period" in calls. Empty before anything was audited.
  std::map<std::string, double> report() const;

 private:
  NeighbourListSettings settings_;
  at::Tensor ids_;     ///< [n, m] int32: nearest first as last ranked; -1 where there are fewer than m others
  at::Tensor places_;  ///< [n, 2] int32: where in the list the r-th nearest begins, and how many tie
  at::Tensor reach_;   ///< [n] float: what gets into the list, as last ranked
  at::Tensor figures_;  ///< [11] double: see ListFigure
};

}  // namespace regulon
