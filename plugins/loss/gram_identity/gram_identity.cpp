#include <ATen/TensorOperators.h>
#include <regulon/gram.h>
#include <regulon/loss_term.h>
#include <regulon/sums.h>

#include <algorithm>

/// Draws the Gram matrix of the decoder rows to the identity (Steiner, in the comments on Till 2024, "Do
/// sparse autoencoders find true features?").
///
/// Of unit rows u_i it is the mean over the n (n - 1) ordered pairs of the squared cosine. The n x n matrix
/// U Uᵀ and the d x d matrix Uᵀ U have the same squared norm, so that
///
///     sum over i != j of (u_i . u_j)² = |Uᵀ U|² - sum over i of |u_i|⁴,
///
/// which takes O(n d²) and never n x n. More rows than coordinates cannot all be orthogonal: |Uᵀ U|² is at
/// least (tr Uᵀ U)² / d = n² / d, and the mean of n > d unit rows at least (n - d) / (d (n - 1)), the square
/// of the Welch bound, which every tight frame has.
///
/// With `norms`, of rows w_i as they are, it is |W Wᵀ - I|² over the same n (n - 1), so that norms are drawn
/// to one as well, and both forms agree on rows of norm one:
///
///     |W Wᵀ - I|² = |Wᵀ W|² - 2 tr Wᵀ W + n.
///
/// Frozen rows count in pairs with new ones only: i runs over the m new rows, j over all, m (n - 1) pairs.
class GramIdentity final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<GramIdentity>& d) {
    d.param("norms", &GramIdentity::norms_)
        .doc("of rows as they are, so that their norms are drawn to one too; else of directions alone");
  }

  at::Tensor value(const regulon::StepView& step) override {
    const regulon::Dictionary& dictionary = step.dictionary();
    const at::Tensor& rows = norms_ ? dictionary.weight() : dictionary.unit_rows();
    const std::int64_t frozen = dictionary.frozen_rows();
    const std::int64_t learning = rows.size(0) - frozen;
    if (learning == 0) return {};
    const at::Tensor own = rows.narrow(0, frozen, learning);
    const at::Tensor gram = regulon::ops::gram(own);
    const at::Tensor all = gram + regulon::ops::gram(rows.narrow(0, 0, frozen).detach());
    const at::Tensor products = regulon::ops::total(gram * all);
    const at::Tensor squared_norms = own.square().sum(1, true);
    const at::Tensor excess = norms_ ? products - 2 * gram.diagonal().sum() + static_cast<double>(learning)
                                     : products - regulon::ops::gram(squared_norms).sum();
    return excess / static_cast<double>(learning * std::max<std::int64_t>(1, rows.size(0) - 1));
  }

 private:
  bool norms_ = false;
};

REGULON_LOSS_TERM(GramIdentity, "gram_identity",
                  "Squared cosines of all pairs of decoder rows, by their d x d Gram")
