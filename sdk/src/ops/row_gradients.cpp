#include "ops/row_gradients.h"

#include <c10/core/GradMode.h>
#include <regulon/shared_gradient.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/graph_task.h>

#include <utility>
#include <vector>

#include "ops/gather.h"
#include "ops/support.h"

namespace regulon::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr const char* kShareGradient = "share_gradient";

/// What waits for a backward to come to its end.
struct Meeting final : torch::CustomClassHolder {
  std::vector<detail::RowSums> waiting;
  torch::autograd::Node* node = nullptr;  ///< the one that sums it up, and owns this
};

Meeting& meeting_in(const at::IValue& packed) {
  return *c10::static_intrusive_pointer_cast<Meeting>(packed.toCapsule());
}

/// The identity. Autograd runs its backward when all that used the result have run theirs.
struct ShareGradient final : torch::autograd::Function<ShareGradient> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& rows) {
    context->set_materialize_grads(false);
    context->saved_data["meeting"] = at::IValue::make_capsule(c10::make_intrusive<Meeting>());
    return rows.detach();
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    detail::refuse_double_backward(kShareGradient);
    const std::vector<detail::RowSums> parts =
        std::exchange(meeting_in(context->saved_data.at("meeting")).waiting, {});
    if (parts.empty()) return {gradients[0]};
    return {detail::sum_rows(parts, gradients[0].defined() ? gradients[0].contiguous() : gradients[0])};
  }
};

using ShareNode = torch::autograd::CppNode<ShareGradient>;

/// Whether this backward runs `node`, and nobody looks at what comes to it before: who asks for the gradient
/// of the shared rows themselves, or hooks into it, gets it from each operation as usual.
bool will_sum(torch::autograd::Node& node) {
  if (!node.tensor_pre_hooks().empty() || !node.retains_grad_hooks().empty()) return false;
  const auto* const asked = torch::autograd::get_current_graph_task_exec_info();
  if (asked == nullptr || asked->empty()) return true;
  const auto found = asked->find(&node);
  return found != asked->end() && found->second.needed_ && found->second.captures_ == nullptr;
}

}  // namespace

at::Tensor share_gradient(const at::Tensor& rows) {
  detail::check_floating(kShareGradient, "rows", rows, 2);
  return rows.requires_grad() && at::GradMode::is_enabled() ? ShareGradient::apply(rows) : rows;
}

namespace detail {

RowSums gradient_by_feature(const Codes& codes, const at::Tensor& weights, const at::Tensor& matrix) {
  const FeatureOrder& order = codes.by_feature();
  return {order.offsets, order.rows, permuted(weights, order.entries), matrix};
}

at::IValue meeting_of(const at::Tensor& rows) {
  auto* const node = dynamic_cast<ShareNode*>(rows.grad_fn().get());
  if (node == nullptr) return {};
  at::IValue meeting = node->ctx_.saved_data.at("meeting");
  meeting_in(meeting).node = node;
  return meeting;
}

at::Tensor hand_in(const at::IValue& meeting, RowSums gradient) {
  if (meeting.isNone() || !will_sum(*meeting_in(meeting).node)) return sum_rows({std::move(gradient)});
  // The matrix may be the shared rows themselves, which hold the node that owns the meeting.
  gradient.matrix = gradient.matrix.detach();
  meeting_in(meeting).waiting.push_back(std::move(gradient));
  return {};
}

}  // namespace detail
}  // namespace regulon::ops
