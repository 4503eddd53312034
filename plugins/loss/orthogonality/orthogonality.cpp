#include <ATen/TensorOperators.h>
#include <regulon/loss_term.h>
#include <regulon/neighbour_lists.h>
#include <regulon/pairs.h>

/// Decoder rows are to point in different directions. With `pairs = "all"` the mean over all pairs of the
/// absolute cosine (Till 2024, "Do sparse autoencoders find true features?"); with "nearest" the mean over
/// features of the largest absolute cosine with any other, exact ties sharing the weight (Riggs and Till, in
/// the comments there). Either may be squared.
class Orthogonality final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<Orthogonality>& d) {
    d.param("pairs", &Orthogonality::pairs_)
        .choices({"nearest", "all"})
        .doc("each feature with its nearest other feature, or with all others");
    d.param("shape", &Orthogonality::shape_)
        .choices({"absolute", "square"})
        .doc("the penalty of a pair: its absolute cosine, or its squared cosine");
    d.param("search", &Orthogonality::search_)
        .choices({"auto", "exact", "lists"})
        .doc(
            "nearest: each time among all, or in neighbour lists renewed in rotation; auto: lists above 4096 "
            "features");
    d.param("list_length", &Orthogonality::list_length_)
        .at_least(1)
        .unit("features")
        .doc("neighbours remembered of each feature");
    d.param("tolerance", &Orthogonality::tolerance_)
        .at_least(0)
        .unit("cosine")
        .doc("mean shortfall of the lists' nearest up to which they may be renewed less often");
  }

  void prepare(regulon::Preparation& preparation) override {
    constexpr std::int64_t kExactUpTo = 4096;
    uses_lists_ = pairs_ == "nearest" &&
                  (search_ == "lists" || (search_ == "auto" && preparation.features > kExactUpTo));
    regulon::NeighbourListSettings settings;
    settings.length = list_length_;
    settings.tolerance = tolerance_;
    if (uses_lists_) lists_.prepare(preparation, settings);
  }

  at::Tensor value(const regulon::StepView& step) override {
    const regulon::Dictionary& dictionary = step.dictionary();
    const at::Tensor& rows = dictionary.weight();
    const bool square = shape_ == "square";
    if (pairs_ == "all") {
      const auto shape = square ? regulon::ops::PairShape::square : regulon::ops::PairShape::absolute;
      return regulon::ops::all_pairs(dictionary.unit_rows(), shape);
    }
    // Row, other and share of each pair, for every term that asks in this step.
    const std::string key = uses_lists_
                                ? "nearest_neighbours(decoder, lists of " + std::to_string(list_length_) +
                                      " within " + std::to_string(tolerance_) + ")"
                                : "nearest_neighbours(decoder)";
    const auto& pairs = step.once(key, [&] {
      // Rows that the core keeps at norm one need not be made so again.
      const at::Tensor& unit_rows = dictionary.unit_norm() ? rows : dictionary.unit_rows();
      const regulon::ops::Neighbours found =
          uses_lists_ ? lists_.nearest(unit_rows) : regulon::ops::nearest_neighbours(unit_rows);
      return std::vector<at::Tensor>{found.row, found.other, found.share};
    });
    const at::Tensor cosines = regulon::ops::pair_cosines(rows, pairs[0], pairs[1]);
    const at::Tensor penalties = square ? cosines.square() : cosines.abs();
    return (penalties * pairs[2]).sum() / static_cast<double>(rows.size(0));
  }

  std::map<std::string, double> report() const override {
    return uses_lists_ ? lists_.report() : std::map<std::string, double>();
  }

 private:
  std::string pairs_ = "nearest";
  std::string shape_ = "absolute";
  std::string search_ = "auto";
  std::int64_t list_length_ = 16;
  double tolerance_ = 1e-3;
  bool uses_lists_ = false;
  regulon::NeighbourLists lists_;
};

REGULON_LOSS_TERM(Orthogonality, "orthogonality",
                  "Cosines between decoder rows, of all pairs or of nearest neighbours")
