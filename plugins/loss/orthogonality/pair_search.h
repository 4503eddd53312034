#pragma once
#include <regulon/neighbour_lists.h>
#include <regulon/pairs.h>
#include <regulon/step.h>

#include <cstdint>
#include <map>
#include <string>

#include "chunk_audit.h"

/// Which pairs are looked for, and how.
struct PairSearchSettings {
  std::string
      rows;  ///< whose rows these are: part of the name under which terms of a step share what is found
  std::string pairs;  ///< "nearest", "closest", "unique" or "chunks"
  bool absolute = true;
  bool uses_lists = false;
  std::int64_t rank = 1;
  std::int64_t chunk = 0;
  std::int64_t renew_every = 1;  ///< unique: calls from one assignment to the next
  regulon::NeighbourListSettings lists;
};

/// Rows i whose pairs (i, j) count; j may be any row.
struct WantedRows {
  std::int64_t first = 0;  ///< rows before it are frozen
  bool active = false;     ///< only those that fired
  at::Tensor ids;          ///< [count] int64, ascending; undefined: all
  std::int64_t count = 0;
};

/// Finds the pairs of a step, and keeps what it needs from one to the next.
class PairSearch {
 public:
  /// To be called once; lists, chunks and assignments keep something.
  void prepare(regulon::Preparation& preparation, const PairSearchSettings& settings);
  /// Pairs with shares that add up to one for each wanted row that has a neighbour; for "closest", to one
  /// in all. `unit_rows` [n, d].
  regulon::ops::Neighbours find(const regulon::StepView& step, const at::Tensor& unit_rows,
                                const WantedRows& wanted);
  /// Recall and deficit of lists and chunks; of an assignment, by how much another's mean could be higher.
  std::map<std::string, double> report() const;

 private:
  regulon::ops::Neighbours from_chunks(const regulon::StepView& step, const at::Tensor& unit_rows,
                                       const WantedRows& wanted);
  regulon::ops::Neighbours from_lists(const regulon::StepView& step, const at::Tensor& unit_rows,
                                      const WantedRows& wanted);
  regulon::ops::Neighbours assigned(const at::Tensor& unit_rows, const WantedRows& wanted);
  regulon::ops::Neighbours exact(const regulon::StepView& step, const at::Tensor& unit_rows,
                                 const WantedRows& wanted) const;
  regulon::ops::Neighbours closest_of(const regulon::ops::Neighbours& found,
                                      const at::Tensor& unit_rows) const;
  std::string name_of_search() const;

  PairSearchSettings settings_;
  regulon::NeighbourLists lists_;
  ChunkAudit audit_;
  at::Tensor assigned_;  ///< [n] int64: the neighbour of each row's own; -1: none
  at::Tensor figures_;   ///< [2] double: calls so far, what the last assignment may lack
};
