#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <regulon/codes.h>
#include <torch/csrc/autograd/custom_function.h>

#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "codes_pattern.h"
#include "ops/support.h"

namespace regulon {
namespace {

using ops::detail::carried;
using ops::detail::fail;
using ops::detail::text_of;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using PatternPtr = std::shared_ptr<const Pattern>;

/// Dense codes out of listed values; the gradient reads them back.
struct Scatter final : torch::autograd::Function<Scatter> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& values, const PatternPtr& pattern) {
    context->saved_data["pattern"] = ops::detail::carry(pattern);
    return pattern->scatter(values);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    ops::detail::refuse_double_backward("Codes::to_dense");
    return {carried<PatternPtr>(context->saved_data.at("pattern"))->gather(gradients[0]), at::Tensor()};
  }
};

/// Listed values out of dense codes; the gradient writes them back.
struct Gather final : torch::autograd::Function<Gather> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& dense, const PatternPtr& pattern) {
    context->saved_data["pattern"] = ops::detail::carry(pattern);
    return pattern->gather(dense);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    ops::detail::refuse_double_backward("Codes::values");
    return {carried<PatternPtr>(context->saved_data.at("pattern"))->scatter(gradients[0]), at::Tensor()};
  }
};

void check_sparse(std::int64_t features, const at::Tensor& row_offsets, const at::Tensor& feature_ids,
                  const at::Tensor& values) {
  const std::string where = "Codes::sparse";
  if (features < 0 || features > std::numeric_limits<std::int32_t>::max()) {
    fail(where, "cannot have that many features", "0 to 2147483647", fmt::format("{}", features));
  }
  const auto is_list = [](const at::Tensor& tensor, at::ScalarType type) {
    return tensor.defined() && tensor.dim() == 1 && tensor.scalar_type() == type;
  };
  if (!is_list(row_offsets, at::kLong) || row_offsets.size(0) < 1) {
    fail(where, "cannot use row_offsets", "[B + 1] Long", text_of(row_offsets));
  }
  if (!is_list(feature_ids, at::kInt) || feature_ids.device() != row_offsets.device()) {
    fail(where, "cannot use feature_ids", "[entries] Int on the device of row_offsets", text_of(feature_ids));
  }
  if (!values.defined() || values.dim() != 1 || !values.is_floating_point() ||
      values.size(0) != feature_ids.size(0) || values.device() != row_offsets.device()) {
    fail(where, "cannot use values",
         fmt::format("[{}] floating on the device of row_offsets", feature_ids.size(0)), text_of(values));
  }
  if (!row_offsets.device().is_cpu()) return;
  const std::int64_t last = row_offsets[row_offsets.size(0) - 1].item<std::int64_t>();
  if (last != feature_ids.size(0)) {
    fail(where, "row_offsets do not end at the number of entries", fmt::format("{}", feature_ids.size(0)),
         fmt::format("{}", last));
  }
}

}  // namespace

struct Codes::Held {
  std::int64_t features = 0;
  bool sparse = true;
  std::map<std::string, at::Tensor> channels;

  // Made on first use, whoever asks; the lock keeps two threads from making one twice.
  std::mutex making;
  PatternPtr pattern;
  at::Tensor values;
  at::Tensor dense;

  /// The sparse form. Its graph is built even where the first who asks wants no gradient: the next may.
  void need_sparse() {
    const std::scoped_lock lock(making);
    if (values.defined()) return;
    const c10::AutoGradMode with_gradient(true);
    if (pattern == nullptr) pattern = Pattern::of(dense.detach());
    values = Gather::apply(dense, pattern);
  }

  void need_dense() {
    const std::scoped_lock lock(making);
    if (dense.defined()) return;
    const c10::AutoGradMode with_gradient(true);
    dense = Scatter::apply(values, pattern);
  }
};

Codes Codes::sparse(std::int64_t features, at::Tensor row_offsets, at::Tensor feature_ids,
                    at::Tensor values) {
  check_sparse(features, row_offsets, feature_ids, values);
  auto held = std::make_shared<Held>();
  held->features = features;
  held->pattern = std::make_shared<Pattern>(features, row_offsets.contiguous(), feature_ids.contiguous());
  held->values = values.contiguous();
  return Codes(std::move(held));
}

Codes Codes::dense(at::Tensor values) {
  if (!values.defined() || values.dim() != 2 || !values.is_floating_point()) {
    fail("Codes::dense", "cannot use values", "[B, n] floating", text_of(values));
  }
  auto held = std::make_shared<Held>();
  held->features = values.size(1);
  held->sparse = false;
  held->dense = values.contiguous();
  return Codes(std::move(held));
}

std::int64_t Codes::rows() const {
  return held_->sparse ? held_->pattern->row_offsets().size(0) - 1 : held_->dense.size(0);
}

std::int64_t Codes::features() const { return held_->features; }

std::int64_t Codes::entries() const { return values().size(0); }

bool Codes::is_sparse() const { return held_->sparse; }

const at::Tensor& Codes::row_offsets() const {
  held_->need_sparse();
  return held_->pattern->row_offsets();
}

const at::Tensor& Codes::feature_ids() const {
  held_->need_sparse();
  return held_->pattern->feature_ids();
}

const at::Tensor& Codes::values() const {
  held_->need_sparse();
  return held_->values;
}

const at::Tensor& Codes::to_dense() const {
  held_->need_dense();
  return held_->dense;
}

const FeatureOrder& Codes::by_feature() const {
  held_->need_sparse();
  return held_->pattern->by_feature();
}

const at::Tensor& Codes::entry_rows() const {
  held_->need_sparse();
  return held_->pattern->entry_rows();
}

Codes Codes::with_values(at::Tensor values) const {
  const std::int64_t count = entries();
  if (!values.defined() || values.dim() != 1 || values.size(0) != count || !values.is_floating_point()) {
    fail("Codes::with_values", "cannot use values", fmt::format("[{}] floating", count), text_of(values));
  }
  auto held = std::make_shared<Held>();
  held->features = held_->features;
  held->pattern = held_->pattern;
  held->values = values.contiguous();
  return Codes(std::move(held));
}

Codes Codes::detach() const {
  auto held = std::make_shared<Held>();
  const std::scoped_lock lock(held_->making);
  held->features = held_->features;
  held->sparse = held_->sparse;
  held->pattern = held_->pattern;
  if (held_->values.defined()) held->values = held_->values.detach();
  if (held_->dense.defined()) held->dense = held_->dense.detach();
  for (const auto& [name, channel] : held_->channels) held->channels[name] = channel.detach();
  return Codes(std::move(held));
}

bool Codes::has_channel(const std::string& name) const { return held_->channels.count(name) != 0; }

const at::Tensor& Codes::channel(const std::string& name) const {
  const auto found = held_->channels.find(name);
  if (found != held_->channels.end()) return found->second;
  std::string names;
  for (const auto& [known, unused] : held_->channels) names += (names.empty() ? "" : ", ") + known;
  fail("Codes::channel", fmt::format("these codes have no channel '{}'", name),
       names.empty() ? "codes with that channel" : "one of: " + names, name,
       fmt::format("declare the need \"codes.{}\", so that a config without it is refused beforehand", name));
}

Codes Codes::with_channel(const std::string& name, at::Tensor per_entry) const {
  const std::int64_t count = entries();
  if (!per_entry.defined() || per_entry.dim() != 1 || per_entry.size(0) != count) {
    fail("Codes::with_channel", fmt::format("cannot use channel '{}'", name), fmt::format("[{}]", count),
         text_of(per_entry));
  }
  auto held = std::make_shared<Held>();
  const std::scoped_lock lock(held_->making);
  held->features = held_->features;
  held->sparse = held_->sparse;
  held->pattern = held_->pattern;
  held->values = held_->values;
  held->dense = held_->dense;
  held->channels = held_->channels;
  held->channels[name] = per_entry.contiguous();
  return Codes(std::move(held));
}

}  // namespace regulon
