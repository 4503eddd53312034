#pragma once
/// The Cholesky factor of a Gram matrix that grows and shrinks by one atom at a time, in double.

#include <cstddef>
#include <vector>

namespace regulon::solvers::detail {

/// L with L Lᵀ = G, for the few atoms of one row. Memory: their square.
class Cholesky {
 public:
  std::size_t size() const { return rows_.size(); }
  void clear() { rows_.clear(); }

  /// Adds an atom whose products with those before it, and with itself, are `gram` [size() + 1]. Returns
  /// false and leaves all as it was if it depends on the others: if less than `least` of its square is its
  /// own.
  bool push(const std::vector<double>& gram, double least);
  /// Takes the atom at `place` away.
  void remove(std::size_t place);
  /// x with G x = b, both [size()].
  void solve(const std::vector<double>& b, std::vector<double>& x) const;

 private:
  struct AtomRow {
    std::vector<double> gram;    ///< products with the atoms up to this one
    std::vector<double> factor;  ///< L's row, up to the diagonal
  };
  bool factorise(AtomRow& row, std::size_t count, double least) const;
  std::vector<AtomRow> rows_;
};

}  // namespace regulon::solvers::detail
