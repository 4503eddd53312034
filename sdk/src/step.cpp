#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/error.h>
#include <regulon/ops.h>
#include <regulon/step.h>

#include <utility>

namespace regulon {
namespace {

void check_dictionary(const at::Tensor& weight, const at::Tensor& bias, std::int64_t frozen_rows) {
  if (!weight.defined() || weight.dim() != 2 || !weight.is_floating_point()) {
    throw RunError(Problem{"dictionary", "the weight does not fit", "a floating tensor [n, d]",
                           weight.defined() ? fmt::format("[{}]", fmt::join(weight.sizes(), ", ")) : "none",
                           ""});
  }
  if (!bias.defined() || bias.dim() != 1 || bias.size(0) != weight.size(1)) {
    throw RunError(Problem{"dictionary", "the bias does not fit", fmt::format("[{}]", weight.size(1)),
                           bias.defined() ? fmt::format("[{}]", fmt::join(bias.sizes(), ", ")) : "none", ""});
  }
  if (frozen_rows < 0 || frozen_rows > weight.size(0)) {
    throw RunError(Problem{"dictionary", "the number of frozen rows does not fit",
                           fmt::format("0 to {}", weight.size(0)), std::to_string(frozen_rows), ""});
  }
}

/// 64-bit FNV-1a: the same on every machine, unlike std::hash.
std::uint64_t stable_hash(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  return hash;
}

}  // namespace

struct Dictionary::Held {
  at::Tensor weight;
  at::Tensor bias;
  std::int64_t frozen_rows = 0;
  bool unit_norm = true;
  at::Tensor norms;
  at::Tensor unit_rows;
};

Dictionary::Dictionary(at::Tensor weight, at::Tensor bias, std::int64_t frozen_rows, bool unit_norm)
    : held_(std::make_shared<Held>()) {
  check_dictionary(weight, bias, frozen_rows);
  held_->weight = std::move(weight);
  held_->bias = std::move(bias);
  held_->frozen_rows = frozen_rows;
  held_->unit_norm = unit_norm;
}

const at::Tensor& Dictionary::weight() const { return held_->weight; }
const at::Tensor& Dictionary::bias() const { return held_->bias; }
std::int64_t Dictionary::features() const { return held_->weight.size(0); }
std::int64_t Dictionary::width() const { return held_->weight.size(1); }
std::int64_t Dictionary::frozen_rows() const { return held_->frozen_rows; }
bool Dictionary::unit_norm() const { return held_->unit_norm; }

const at::Tensor& Dictionary::norms() const {
  if (!held_->norms.defined()) {
    // Shared by all who ask later, so it carries gradient even if the first to ask wants none.
    const c10::AutoGradMode with_gradient(true);
    held_->norms = at::linalg_vector_norm(held_->weight, 2, 1);
  }
  return held_->norms;
}

const at::Tensor& Dictionary::unit_rows() const {
  if (!held_->unit_rows.defined()) {
    const c10::AutoGradMode with_gradient(true);
    // Dividing by one where the norm is zero keeps the gradient free of 0 * infinity; the outer choice then
    // makes both the row and its gradient zero.
    const at::Tensor positive = norms().detach().gt(0);
    const at::Tensor divisor = at::where(positive, norms(), at::ones_like(norms()));
    const at::Tensor inverse = at::where(positive, divisor.reciprocal(), at::zeros_like(divisor));
    held_->unit_rows = held_->weight * inverse.unsqueeze(1);
  }
  return held_->unit_rows;
}

Dictionary Dictionary::detach() const {
  Dictionary plain(held_->weight.detach(), held_->bias.detach(), held_->frozen_rows, held_->unit_norm);
  if (held_->norms.defined()) plain.held_->norms = held_->norms.detach();
  if (held_->unit_rows.defined()) plain.held_->unit_rows = held_->unit_rows.detach();
  return plain;
}

struct StepView::Held {
  explicit Held(StepInputs given) : inputs(std::move(given)) {}
  StepInputs inputs;
  at::Tensor reconstruction;
  std::map<std::string, std::vector<at::Tensor>> once;
};

StepView::StepView(StepInputs inputs) : held_(std::make_shared<Held>(std::move(inputs))) {}

std::int64_t StepView::step() const { return held_->inputs.step; }
const at::Tensor& StepView::batch() const { return held_->inputs.batch; }
const Codes& StepView::codes() const { return held_->inputs.codes; }
const Dictionary& StepView::dictionary() const { return held_->inputs.dictionary; }
const at::Tensor& StepView::costs() const { return held_->inputs.costs; }
const FeatureStats& StepView::stats() const { return held_->inputs.stats; }

const at::Tensor& StepView::reconstruction() const {
  if (!held_->reconstruction.defined()) {
    const c10::AutoGradMode with_gradient(true);
    held_->reconstruction = ops::decode(held_->inputs.codes, held_->inputs.dictionary);
  }
  return held_->reconstruction;
}

const at::Tensor& StepView::encoder_directions() const {
  if (!held_->inputs.encoder_directions.defined()) {
    throw RunError(Problem{"", "the encoder has no directions",
                           "an encoder that provides \"encoder.directions\"", "one without",
                           "declare the need \"encoder.directions\", or use another encoder"});
  }
  return held_->inputs.encoder_directions;
}

const std::map<std::string, at::Tensor>& StepView::encoder_parameters() const {
  return held_->inputs.encoder_parameters;
}

Codes StepView::encode(const Selection& selection) const {
  if (!held_->inputs.encode) {
    throw RunError(Problem{"", "this step cannot encode its batch again", "a step with an encoder",
                           "one without", "call encode only where an encoder runs"});
  }
  return held_->inputs.encode(selection);
}

at::Generator StepView::generator() const { return named_generator(held_->inputs.seed, term_); }

const std::vector<at::Tensor>& StepView::once(const std::string& key,
                                              const std::function<std::vector<at::Tensor>()>& make) const {
  const auto found = held_->once.find(key);
  if (found != held_->once.end()) return found->second;
  // Made before it is stored: `make` may itself ask for another key, or throw.
  std::vector<at::Tensor> made = make();
  return held_->once.emplace(key, std::move(made)).first->second;
}

StepView StepView::for_term(const std::string& name) const {
  StepView view = *this;
  view.term_ = name;
  return view;
}

at::Generator named_generator(std::uint64_t seed, const std::string& name) {
  return at::detail::createCPUGenerator(mix_seed(seed, stable_hash(name)));
}

std::uint64_t mix_seed(std::uint64_t seed, std::uint64_t salt) {
  // Finalised twice, so that seed and salt do not commute; for either held fixed, the other maps one to one.
  const auto finalise = [](std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  };
  constexpr std::uint64_t kGamma = 0x9e3779b97f4a7c15ULL;
  return finalise(finalise(seed + kGamma) + kGamma * (salt + 1));
}

}  // namespace regulon
