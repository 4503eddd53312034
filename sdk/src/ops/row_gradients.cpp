#include "ops/row_gradients.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/autograd/variable.h>

#include <memory>
#include <utility>
#include <vector>

#include "ops/gather.h"

namespace regulon::ops::detail {
namespace {

using torch::autograd::variable_list;

/// What waits for a backward to come to its end.
struct Meeting final : torch::CustomClassHolder {
  std::vector<RowSums> waiting;
  int backward = -1;  ///< the one that they are of: what a backward that threw has left is not of the next
  torch::autograd::Node* node = nullptr;  ///< the one that takes the leaf's gradient, and owns this
};

/// Autograd asks it, before the leaf takes its gradient, when all that used the leaf have run theirs.
struct SumUp final : torch::autograd::FunctionPreHook {
  variable_list operator()(const variable_list& gradients) override {
    const std::vector<RowSums> parts = std::exchange(meeting->waiting, {});
    if (parts.empty() || meeting->backward != torch::autograd::get_current_graph_task_id()) return gradients;
    return {sum_rows(parts, gradients[0].defined() ? gradients[0].contiguous() : gradients[0])};
  }

  c10::intrusive_ptr<Meeting> meeting = c10::make_intrusive<Meeting>();
};

/// Whether this backward runs `node`, and nobody looks at what comes to it before: who asks for the gradient
/// of a leaf instead of having it kept, or hooks into it, gets it from each operation as usual.
bool will_sum(torch::autograd::Node& node) {
  if (!node.tensor_pre_hooks().empty() || node.pre_hooks().size() != 1) return false;
  const auto* const asked = torch::autograd::get_current_graph_task_exec_info();
  if (asked == nullptr || asked->empty()) return true;
  const auto found = asked->find(&node);
  return found != asked->end() && found->second.needed_ && found->second.captures_ == nullptr;
}

}  // namespace

RowSums gradient_by_feature(const Codes& codes, const at::Tensor& weights, const at::Tensor& matrix) {
  const FeatureOrder& order = codes.by_feature();
  return {order.offsets, order.rows, permuted(weights, order.entries), matrix};
}

at::IValue meeting_of(const at::Tensor& rows) {
  if (!rows.is_leaf() || !rows.requires_grad()) return {};
  const auto node = torch::autograd::impl::grad_accumulator(rows);
  for (const auto& hook : node->pre_hooks()) {
    if (const auto* const sum_up = dynamic_cast<const SumUp*>(hook.get())) {
      return at::IValue::make_capsule(sum_up->meeting);
    }
  }
  auto sum_up = std::make_unique<SumUp>();
  const auto meeting = sum_up->meeting;
  meeting->node = node.get();
  node->add_pre_hook(std::move(sum_up));
  return at::IValue::make_capsule(meeting);
}

at::Tensor hand_in(const at::IValue& meeting, RowSums gradient) {
  if (meeting.isNone()) return sum_rows({std::move(gradient)});
  auto& found = *c10::static_intrusive_pointer_cast<Meeting>(meeting.toCapsule());
  if (!will_sum(*found.node)) return sum_rows({std::move(gradient)});
  const int backward = torch::autograd::get_current_graph_task_id();
  if (found.backward != backward) found.waiting.clear();
  found.backward = backward;
  // The matrix may be the leaf itself, which the node holds that holds what waits.
  gradient.matrix = gradient.matrix.detach();
  found.waiting.push_back(std::move(gradient));
  return {};
}

}  // namespace regulon::ops::detail
