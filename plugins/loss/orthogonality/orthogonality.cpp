#include <ATen/TensorOperators.h>
#include <regulon/loss_term.h>
#include <regulon/ops.h>

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
  }

  at::Tensor value(const regulon::StepView& step) override {
    const at::Tensor& rows = step.dictionary().unit_rows();
    const bool square = shape_ == "square";
    if (pairs_ == "all") {
      const auto shape = square ? regulon::ops::PairShape::square : regulon::ops::PairShape::absolute;
      return regulon::ops::all_pairs(rows, shape);
    }
    // Row, other and share of each pair, for every term that asks in this step.
    const auto& pairs = step.once("nearest_neighbours(decoder)", [&] {
      const regulon::ops::Neighbours found = regulon::ops::nearest_neighbours(rows);
      return std::vector<at::Tensor>{found.row, found.other, found.share};
    });
    const at::Tensor cosines = regulon::ops::pair_cosines(rows, pairs[0], pairs[1]);
    const at::Tensor penalties = square ? cosines.square() : cosines.abs();
    return (penalties * pairs[2]).sum() / static_cast<double>(rows.size(0));
  }

 private:
  std::string pairs_ = "nearest";
  std::string shape_ = "absolute";
};

REGULON_LOSS_TERM(Orthogonality, "orthogonality",
                  "Cosines between decoder rows, of all pairs or of nearest neighbours")
