#include "core/plugin/input_watch.h"
#include <fmt/format.h>
#include "core/io/hash.h"

namespace regulon::core {
namespace {

constexpr const char* kChannels[] = {"open", "gate"};

/// Tensors made in inference mode have no version.
std::int64_t version_of(const at::Tensor& tensor) { return tensor.is_inference() ? 0 : tensor._version(); }

const void* data_of(const at::Tensor& tensor) {
  return tensor.has_storage() ? tensor.const_data_ptr() : nullptr;
}

std::string contents_of(const at::Tensor& tensor) {
  if (tensor.is_meta()) return {};
  const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
  return hash_text({static_cast<const char*>(plain.const_data_ptr()), plain.nbytes()});
}

}  // namespace

void InputWatch::add(const std::string& name, const at::Tensor& tensor) {
  if (!tensor.defined()) return;
  watched_.push_back({name, tensor, tensor.sizes().vec(), tensor.scalar_type(), data_of(tensor),
                      tensor.requires_grad(), version_of(tensor),
                      contents_ ? contents_of(tensor) : std::string()});
}

void InputWatch::add(const Codes& codes) {
  if (!codes.is_sparse()) {
    add("codes.to_dense()", codes.to_dense());
    return;
  }
  add("codes.row_offsets()", codes.row_offsets());
  add("codes.feature_ids()", codes.feature_ids());
  add("codes.values()", codes.values());
  for (const char* channel : kChannels) {
    if (codes.has_channel(channel))
      add(fmt::format("codes.channel(\"{}\")", channel), codes.channel(channel));
  }
}

void InputWatch::add(const Dictionary& dictionary) {
  add("dictionary.weight()", dictionary.weight());
  add("dictionary.bias()", dictionary.bias());
}

void InputWatch::add(const FeatureStats& stats) {
  add("stats.frequency", stats.frequency);
  add("stats.mean_value", stats.mean_value);
  add("stats.silent_rows", stats.silent_rows);
}

void InputWatch::add(const Selection& selection) {
  add("selection.thresholds", selection.thresholds);
  add("selection.score_shift", selection.score_shift);
  add("selection.score_scale", selection.score_scale);
  add("selection.prices", selection.prices);
  add("selection.only", selection.only);
}

void InputWatch::add(const std::string& prefix, const std::map<std::string, at::Tensor>& tensors) {
  for (const auto& [name, tensor] : tensors) add(prefix + name, tensor);
}

void InputWatch::add(const std::string& prefix, const std::vector<Preparation::Registered>& tensors) {
  for (const Preparation::Registered& registered : tensors) add(prefix + registered.name, registered.tensor);
}

std::string InputWatch::change_of(const Watched& watched) const {
  const at::Tensor& now = watched.tensor;
  if (!now.sizes().equals(watched.sizes)) return "it has another shape";
  if (now.scalar_type() != watched.dtype || data_of(now) != watched.data) return "it has other memory";
  if (now.requires_grad() != watched.requires_grad) return "requires_grad was switched";
  if (version_of(now) != watched.version) {
    return fmt::format("its version went from {} to {}", watched.version, version_of(now));
  }
  if (contents_ && contents_of(now) != watched.contents) return "its contents differ";
  return {};
}

std::string InputWatch::change() const {
  for (const Watched& watched : watched_) {
    const std::string change = change_of(watched);
    if (!change.empty()) return fmt::format("{} was changed in place ({})", watched.name, change);
  }
  return {};
}

}  // namespace regulon::core
