/// A loss term that does one thing wrong, chosen by its parameter `how`; "good" does nothing wrong.
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <regulon/loss_term.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>
#include <stdexcept>

namespace {

class Misbehaves final : public regulon::LossTerm {
 public:
  static void declare(regulon::Declaration<Misbehaves>& d) {
    d.param("how", &Misbehaves::how_).doc("what to do wrong: CALL.FAULT");
  }

  std::vector<std::string> needs() const override {
    throw_if("needs");
    return {};
  }

  void prepare(regulon::Preparation& preparation) override {
    throw_if("prepare");
    preparation.state("calls", calls_, {4}, at::kFloat);
    preparation.parameter("scale", scale_,
                          preparation.dictionary_weight.new_full({1}, how_ == "prepare.nan" ? NAN : 1));
    if (how_ == "prepare.dtype") preparation.parameter("wide", wide_, at::zeros({1}, at::kDouble));
    if (how_ == "prepare.in_place") preparation.sample.mul_(2);
    if (how_ == "prepare.replaces_state") calls_ = at::zeros({4});
    if (how_ == "prepare.twice") preparation.state("calls", calls_, {4}, at::kFloat);
  }

  at::Tensor value(const regulon::StepView& step) override {
    throw_if("value");
    calls_.add_(1);
    misuse_state();
    misuse_inputs(step);
    const at::Tensor subtle = subtly_wrong(step);
    return subtle.defined() ? subtle : returned(step.dictionary().weight().square().mean());
  }

  bool acts_after_step() const override {
    throw_if("acts_after_step");
    return true;
  }

  void after_step(regulon::UpdateView& update) override {
    throw_if("after_step");
    if (how_ == "after_step.in_place") update.row_errors.zero_();
    if (how_ == "after_step.replaces") update.dictionary_weight = update.dictionary_weight.clone();
    if (how_ == "after_step.drops") update.dictionary_weight.reset();
    if (how_ == "after_step.resizes") update.dictionary_bias.resize_({1});
    if (how_ == "after_step.frozen") update.dictionary_weight.mul_(2);
    if (how_ == "good") update.dictionary_weight.narrow(0, update.frozen_rows, 1).mul_(2);
  }

  std::map<std::string, double> report() const override {
    throw_if("report");
    if (how_ == "report.nan") return {{"strange", std::numeric_limits<double>::quiet_NaN()}};
    return {{"calls", calls_[0].item<double>()}};
  }

 private:
  void throw_if(const std::string& call) const {
    if (how_ == call + ".throws") throw std::runtime_error("no luck in " + call);
    if (how_ == call + ".throws_int") throw 7;
    if (how_ == call + ".crashes") std::abort();
    if (how_ == call + ".throws_torch") at::ones({2, 3}).mm(at::ones({2, 3}));
  }

  void misuse_state() {
    if (how_ == "value.past_state") calls_.data_ptr<float>()[4] = 1;
    if (how_ == "value.before_state") calls_.data_ptr<float>()[-1] = 1;
    if (how_ == "value.replaces_state") calls_ = at::zeros({4});
    if (how_ == "value.resizes_state") calls_.resize_({3});
  }

  void misuse_inputs(const regulon::StepView& step) {
    const c10::NoGradGuard no_grad;
    if (how_ == "value.in_place") step.batch().detach().mul_(2);
    if (how_ == "value.in_place_codes") step.codes().values().detach().mul_(2);
    if (how_ == "value.in_place_stats") step.stats().frequency.zero_();
    if (how_ == "value.in_place_costs") step.costs().add_(1);
    if (how_ == "value.in_place_encoder") step.encoder_parameters().at("weight").add_(1);
    if (how_ == "value.in_place_own") scale_.add_(1);
    if (how_ == "value.resizes_input") step.batch().resize_({1, 1});
    if (how_ == "value.raw_pointer") static_cast<float*>(step.dictionary().weight().data_ptr())[0] += 1;
  }

  /// What no single call shows: `check-plugin` does.
  at::Tensor subtly_wrong(const regulon::StepView& step) {
    const at::Tensor squares = (step.reconstruction() - step.batch()).square();
    const at::Tensor error = squares.sum(1);
    ++unregistered_;
    if (how_ == "subtle.random") return error.mean() * std::random_device()() * 1e-9;
    if (how_ == "subtle.threads") return error.mean() * at::get_num_threads();
    if (how_ == "subtle.unordered") return squares.sum() / squares.size(0);
    if (how_ == "subtle.unregistered") return error.mean() * unregistered_;
    if (how_ == "subtle.zeros") return error.mean() / step.batch().square().sum();
    if (how_ == "subtle.sum") return error.sum();
    if (how_ == "subtle.pairs") return error.sum() * error.sum();
    if (how_ == "subtle.gradient") return 2 * error.mean() - error.mean().detach();
    return how_ == "subtle.good" ? error.mean() : at::Tensor();
  }

  at::Tensor returned(const at::Tensor& good) const {
    if (how_ == "value.nan") return good.mul(NAN);
    if (how_ == "value.infinity") return good.mul(INFINITY);
    if (how_ == "value.shape") return good.expand({2, 3});
    if (how_ == "value.dtype") return good.detach().to(at::kLong);
    if (how_ == "value.meta")
      return at::empty({}, good.options().requires_grad(false).device(at::kMeta)).requires_grad_(true);
    if (how_ == "value.no_grad") return good.detach();
    if (how_ == "value.undefined") return {};
    if (how_ == "value.grad_off") c10::GradMode::set_enabled(false);
    return good;
  }

  std::string how_ = "good";
  int unregistered_ = 0;
  at::Tensor calls_;
  at::Tensor wide_;
  at::Tensor scale_;
};

}  // namespace

REGULON_LOSS_TERM(Misbehaves, "misbehaves", "Does one thing wrong")
