#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/plugin.h>

#include <algorithm>

namespace regulon {
namespace {

/// Bytes of guard before and after a state. Also the alignment of its data: allocations start on 64 bytes.
constexpr std::int64_t kGuardBytes = 64;
constexpr std::uint8_t kGuardPattern = 0xA5;

void refuse(const std::string& what, const std::string& expected, const std::string& found) {
  throw RunError(Problem{"", what, expected, found, "change the plugin's prepare()"});
}

bool has_name(const std::vector<Preparation::Registered>& registered, const std::string& name) {
  return std::any_of(registered.begin(), registered.end(),
                     [&](const Preparation::Registered& other) { return other.name == name; });
}

/// States and parameters share their names: both end in the same files.
void check_new_name(const Preparation& preparation, const std::string& kind, const std::string& name) {
  if (name.empty()) refuse("a " + kind + " without a name was registered", "a name", "an empty one");
  for (const auto* earlier : {"state", "parameter"}) {
    const auto& list = earlier == std::string("state") ? preparation.states() : preparation.parameters();
    if (!has_name(list, name)) continue;
    refuse(kind == earlier
               ? fmt::format("{} '{}' was registered twice", kind, name)
               : fmt::format("{} '{}' was registered, and {} '{}' too", earlier, name, kind, name),
           "each name once", "");
  }
}

std::string shape_text(const at::Tensor& tensor) {
  return fmt::format("[{}]", fmt::join(tensor.sizes(), ", "));
}

bool guard_whole(const at::Tensor& zone) { return zone.eq(kGuardPattern).all().item<bool>(); }

}  // namespace

void Preparation::state(const std::string& name, at::Tensor& slot, std::vector<std::int64_t> shape,
                        at::ScalarType dtype) {
  check_new_name(*this, "state", name);
  std::int64_t elements = 1;
  for (const std::int64_t size : shape) {
    if (size < 0)
      refuse("state '" + name + "' has a negative size", "sizes of at least 0", std::to_string(size));
    elements *= size;
  }
  const std::int64_t bytes = elements * static_cast<std::int64_t>(c10::elementSize(dtype));
  const at::Device device = dictionary_weight.defined() ? dictionary_weight.device() : at::Device(at::kCPU);
  const at::Tensor fence =
      at::empty({kGuardBytes + bytes + kGuardBytes}, at::TensorOptions().dtype(at::kByte).device(device));
  fence.fill_(kGuardPattern);
  const at::Tensor data = fence.narrow(0, kGuardBytes, bytes).zero_().view(dtype);
  slot = data.view(shape);
  // The core keeps a view of its own: what a plugin does to the slot's shape does not show in it.
  states_.push_back({name, data.view(shape), fence, &slot});
}

void Preparation::parameter(const std::string& name, at::Tensor& slot, const at::Tensor& initial) {
  check_new_name(*this, "parameter", name);
  if (!initial.defined()) refuse("parameter '" + name + "' was given no initial value", "a tensor", "none");
  if (!initial.is_floating_point()) {
    refuse("parameter '" + name + "' cannot be learnt", "a floating dtype",
           std::string(c10::toString(initial.scalar_type())));
  }
  slot = initial.detach().clone(at::MemoryFormat::Contiguous).requires_grad_(true);
  parameters_.push_back({name, slot, at::Tensor(), &slot});
}

std::string fence_violation(const Preparation::Registered& registered) {
  const at::Tensor& slot = *registered.slot;
  const at::Tensor& kept = registered.tensor;
  const std::string name = "'" + registered.name + "'";
  if (!slot.defined()) return "it reset the registered tensor " + name;
  if (!slot.sizes().equals(kept.sizes())) {
    return fmt::format("it resized the registered tensor {} from {} to {}", name, shape_text(kept),
                       shape_text(slot));
  }
  const bool same = registered.fence.defined()
                        ? slot.is_alias_of(kept) && slot.data_ptr() == kept.data_ptr() &&
                              slot.scalar_type() == kept.scalar_type() && slot.is_contiguous()
                        : slot.is_same(kept);
  if (!same) return "it replaced the registered tensor " + name + " instead of writing to it in place";
  if (!registered.fence.defined()) return "";
  const std::int64_t end = registered.fence.numel() - kGuardBytes;
  if (!guard_whole(registered.fence.narrow(0, 0, kGuardBytes))) {
    return "it wrote before the start of its state " + name + " of shape " + shape_text(kept);
  }
  if (!guard_whole(registered.fence.narrow(0, end, kGuardBytes))) {
    return "it wrote past the end of its state " + name + " of shape " + shape_text(kept);
  }
  return "";
}

Plugin::~Plugin() = default;
std::vector<std::string> Plugin::needs() const { return {}; }
std::vector<std::string> Plugin::provides() const { return {}; }
void Plugin::prepare(Preparation&) {}
std::map<std::string, double> Plugin::report() const { return {}; }

}  // namespace regulon
