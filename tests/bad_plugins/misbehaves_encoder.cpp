/// An encoder that does one thing wrong, chosen by its parameter `how`; "good" does nothing wrong.
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>
#include <regulon/encoder.h>

#include <cmath>
#include <stdexcept>

namespace {

/// Every row lights features 0 and 2, with values that it learns.
class Misbehaves final : public regulon::Encoder {
 public:
  static void declare(regulon::Declaration<Misbehaves>& d) {
    d.param("how", &Misbehaves::how_).doc("what to do wrong");
  }

  void prepare(regulon::Preparation& preparation) override {
    preparation.parameter("weight", weight_, preparation.dictionary_weight.new_ones({2}));
  }

  regulon::Codes encode(const regulon::EncodeView& view) override {
    if (how_ == "throws") throw std::runtime_error("no luck in encode");
    if (how_ == "throws_int") throw 7;
    misuse_inputs(view);
    if (how_.starts_with("dense")) return dense_codes(view);
    const std::int64_t rows = view.batch.size(0) + (how_ == "rows" ? 1 : 0);
    at::Tensor offsets = at::arange(0, 2 * rows + 1, 2, at::kLong);
    at::Tensor ids = at::tensor({0, 2}, at::kInt).repeat({rows});
    misnumber(offsets, ids, rows);
    return regulon::Codes::sparse(features(view), offsets, ids, values(rows));
  }

  at::Tensor directions(const regulon::Dictionary& dictionary) const override {
    if (how_ == "directions.throws") throw std::runtime_error("no luck in directions");
    if (how_ == "directions.shape") return dictionary.weight().narrow(0, 0, 1);
    return dictionary.weight();
  }

 private:
  regulon::Codes dense_codes(const regulon::EncodeView& view) const {
    const at::Tensor good = view.batch.new_ones({view.batch.size(0), features(view)});
    return regulon::Codes::dense(how_ == "dense_meta"  ? good.to(at::kMeta)
                                 : how_ == "dense_nan" ? good.mul(NAN)
                                                       : good);
  }

  std::int64_t features(const regulon::EncodeView& view) const {
    return view.dictionary.features() + (how_ == "features" ? 1 : 0);
  }

  void misuse_inputs(const regulon::EncodeView& view) {
    const c10::NoGradGuard no_grad;
    if (how_ == "in_place") view.batch.mul_(2);
    if (how_ == "in_place_own") weight_.mul_(2);
    if (how_ == "in_place_selection") view.selection.thresholds.add_(1);
    if (how_ == "raw_pointer") static_cast<float*>(view.batch.data_ptr())[0] += 1;
  }

  void misnumber(at::Tensor& offsets, at::Tensor& ids, std::int64_t rows) const {
    if (how_ == "id_high") ids[ids.size(0) - 1] = 1 << 20;
    if (how_ == "id_negative") ids[0] = -1;
    if (how_ == "not_ascending") ids.copy_(at::tensor({2, 0}, at::kInt).repeat({rows}));
    if (how_ == "repeated") ids.zero_();
    if (how_ == "offsets_first") offsets[0] = 1;
    if (how_ == "offsets_fall") offsets[1] = 5;
    if (how_ == "offsets_end") offsets[rows] = 2 * rows - 1;
    if (how_ == "offsets_beyond") offsets[1] = std::int64_t{1} << 40;
  }

  at::Tensor values(std::int64_t rows) const {
    at::Tensor good = weight_.repeat({rows});
    if (how_ == "nan") return good.mul(NAN);
    if (how_ == "dtype") return good.to(at::kDouble);
    if (how_ == "meta") return good.to(at::kMeta);
    return good;
  }

  std::string how_ = "good";
  at::Tensor weight_;
};

}  // namespace

REGULON_ENCODER(Misbehaves, "misbehaves", "Does one thing wrong")
