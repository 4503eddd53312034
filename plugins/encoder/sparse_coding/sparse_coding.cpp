#include <regulon/encoder.h>
#include <regulon/solvers.h>

#include <algorithm>

/// No encoder but a solver: each row's codes are the best that the dictionary has for it, as
/// <regulon/solvers.h> says, and then what the selection keeps of them. Codes are constant in the gradient:
/// by the envelope theorem the dictionary's gradient at optimal codes needs no other part (Olshausen & Field
/// 1996, "Emergence of simple-cell receptive field properties by learning a sparse code for natural images").
///
/// A selection of k features a row (topk) also tells pursuits where to stop; lasso solvers solve by lambda
/// and lose the rest.
class SparseCoding final : public regulon::Encoder {
 public:
  static void declare(regulon::Declaration<SparseCoding>& d) {
    std::vector<std::string> names;
    for (const regulon::solvers::Solver& solver : regulon::solvers::all()) names.push_back(solver.name);
    d.param("solver", &SparseCoding::solver_).choices(names).doc("how codes are solved for");
    d.param("lambda", &SparseCoding::lambda_)
        .at_least(0)
        .schedulable()
        .doc("price of a code at a cost of one; 0: by the selection's k alone, for pursuits");
    d.param("tolerance", &SparseCoding::tolerance_)
        .above(0)
        .doc("lasso solvers stop at a duality gap of this share of |x - b_dec|^2 / 2");
    d.param("iterations", &SparseCoding::iterations_)
        .at_least(0)
        .doc("of a row at most; 0: as many as the solver thinks fit");
  }
  std::vector<std::string> needs() const override {
    return lambda_ > 0 ? std::vector<std::string>{"costs"} : std::vector<std::string>{};
  }

  void prepare(regulon::Preparation& preparation) override {
    regulon::solvers::Settings settings = this->settings();
    // What a pursuit without lambda stops at comes with the selection.
    if (is_pursuit() && lambda_ == 0) settings.k = 1;
    regulon::solvers::check(settings, preparation.features);
  }

  regulon::Codes encode(const regulon::EncodeView& view) override {
    const regulon::Dictionary dictionary = view.dictionary.detach();
    regulon::solvers::Settings settings = this->settings();
    const regulon::Selection& selection = view.selection;
    const bool by_row = selection.family == regulon::Selection::Family::rank &&
                        selection.scope == regulon::Selection::Scope::row && !selection.prices.defined();
    if (is_pursuit() && by_row) settings.k = std::min(selection.k, dictionary.features());
    const regulon::solvers::Problem problem{view.batch, dictionary.weight(), dictionary.bias(), view.costs};
    return regulon::solvers::select(regulon::solvers::solve(problem, settings).codes, selection);
  }

 private:
  bool is_pursuit() const { return regulon::solvers::is_pursuit(solver_); }
  regulon::solvers::Settings settings() const {
    regulon::solvers::Settings settings;
    settings.solver = solver_;
    settings.lambda = lambda_;
    settings.tolerance = tolerance_;
    settings.iterations = iterations_;
    return settings;
  }

  std::string solver_ = "cd";
  double lambda_ = 0.1;
  double tolerance_ = 1e-4;
  std::int64_t iterations_ = 0;
};

REGULON_ENCODER(SparseCoding, "sparse_coding",
                "Solves for each row's codes; only the dictionary learns (inference-time sparse coding)")
