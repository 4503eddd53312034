#pragma once

#include "core/data/toy_source.h"

namespace regulon::core {

/// "toy.general": many features with their own probabilities, correlation, hierarchy and magnitudes; the
/// parameters of SynthSAEBench and of Chanin's toys are among its settings.
///
/// Hierarchy: the first `roots` features are roots; every feature of a level has `children` features in the
/// next one, `levels` levels with the roots', numbered level by level; features beyond these are free. A
/// child is active only where its parent is, and of `exclusive` siblings at most one is. Each feature keeps
/// its stated probability as its share of all rows; siblings that ask for more than their parent's share are
/// scaled down to it together. Correlation is among roots and free features.
class ToyGeneral final : public ToySource {
 public:
  static void declare(Declaration<ToyGeneral>& d);

  /// [n_true]: the share of rows in which each feature is active, after open().
  const std::vector<double>& probabilities() const { return probabilities_; }

 protected:
  Layout prepare_toy(RandomStream& random) override;
  void draw(RandomStream& random, std::vector<Active>& active) const override;
  std::string settings() const override;

 private:
  void set_probabilities();
  void set_hierarchy();
  void set_correlation(RandomStream& random);
  std::int64_t first_child(std::int64_t feature) const { return roots_ + feature * children_; }

  void draw_independent(RandomStream& random, std::vector<Active>& active) const;
  void draw_copula(RandomStream& random, std::vector<Active>& active) const;
  void draw_pairs(RandomStream& random, std::vector<Active>& active) const;
  void draw_children(std::int64_t parent, RandomStream& random, std::vector<Active>& active) const;

  std::int64_t features_ = 64;
  std::int64_t width_ = 32;
  std::string directions_ = "random";
  std::string probability_ = "constant";
  double p_ = 0.05;
  double p_min_ = 5e-4;
  double p_max_ = 0.4;
  double zipf_ = 0.5;
  std::vector<double> p_list_;
  std::string correlation_ = "none";
  double strength_ = 0.5;
  std::int64_t rank_ = 25;
  std::int64_t roots_ = 0;
  std::int64_t children_ = 4;
  std::int64_t levels_ = 3;
  bool exclusive_ = true;
  std::string magnitude_ = "uniform";
  double low_ = 0.0;
  double high_ = 1.0;
  double mean_ = 1.0;
  double deviation_ = 0.15;
  std::int64_t held_out_ = 4096;

  std::int64_t forest_ = 0;            // features that belong to the hierarchy
  std::vector<std::int64_t> heads_;    // roots and free features
  std::vector<double> probabilities_;  // [n_true]
  std::vector<double> given_parent_;   // [n_true]: probability where the parent is active; unused for heads
  std::vector<double> loadings_;       // copula: [heads, rank]
  std::vector<double> thresholds_;     // copula: [heads], of the latent normal
};

}  // namespace regulon::core
