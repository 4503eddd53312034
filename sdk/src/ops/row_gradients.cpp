#include "ops/row_gradients.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/autograd/variable.h>

#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "ops/gather.h"

namespace regulon::ops::detail {
namespace {

using torch::autograd::variable_list;

/// What waits for the end of each backward. They may be nested (an operation that computes its forward anew
/// in its backward), or run in several threads.
class Meeting final : public torch::CustomClassHolder {
 public:
  /// `node` takes the leaf's gradient, and owns this.
  explicit Meeting(torch::autograd::Node& node) : node_(&node) {}

  torch::autograd::Node& node() const { return *node_; }

  /// Keeps `part` for the end of the current backward.
  void wait(RowSums part) {
    const std::lock_guard guard(mutex_);
    waiting_[torch::autograd::get_current_graph_task_id()].push_back(std::move(part));
  }

  /// What waited for the current one, to be summed; nothing of those that threw before their end.
  std::vector<RowSums> come() {
    const std::lock_guard guard(mutex_);
    auto found = waiting_.extract(torch::autograd::get_current_graph_task_id());
    if (found.empty()) return {};
    if (!keeps_ || is_watched()) return std::move(found.mapped());
    std::move(found.mapped().begin(), found.mapped().end(), std::back_inserter(kept_));
    return {};
  }

  /// From now on, or no more, what has waited is kept for `take`. Whether that is a change.
  bool keep(bool keeps) {
    const std::lock_guard guard(mutex_);
    if (keeps_ == keeps) return false;
    keeps_ = keeps;
    kept_.clear();
    return true;
  }

  std::vector<RowSums> take() {
    const std::lock_guard guard(mutex_);
    return std::exchange(kept_, {});
  }

 private:
  /// Whether somebody looks at the leaf's gradient when it has taken it, as what sums over machines does.
  bool is_watched() const {
    return !node_->post_hooks().empty() || node_->tensor_post_acc_grad_hooks() != nullptr;
  }

  torch::autograd::Node* node_;
  std::mutex mutex_;
  std::map<int, std::vector<RowSums>> waiting_;
  bool keeps_ = false;
  std::vector<RowSums> kept_;
};

Meeting& found_at(const at::IValue& meeting) {
  return *c10::static_intrusive_pointer_cast<Meeting>(meeting.toCapsule());
}

/// Autograd asks it, before the leaf takes its gradient, when all that used the leaf have run theirs.
struct SumUp final : torch::autograd::FunctionPreHook {
  explicit SumUp(c10::intrusive_ptr<Meeting> where) : meeting(std::move(where)) {}

  variable_list operator()(const variable_list& gradients) override {
    const std::vector<RowSums> parts = meeting->come();
    if (parts.empty()) return gradients;
    return {sum_rows(parts, gradients[0].defined() ? gradients[0].contiguous() : gradients[0])};
  }

  c10::intrusive_ptr<Meeting> meeting;
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
  auto meeting = c10::make_intrusive<Meeting>(*node);
  node->add_pre_hook(std::make_unique<SumUp>(meeting));
  return at::IValue::make_capsule(std::move(meeting));
}

at::Tensor hand_in(const at::IValue& meeting, RowSums gradient) {
  if (meeting.isNone()) return sum_rows({std::move(gradient)});
  Meeting& found = found_at(meeting);
  if (!will_sum(found.node())) return sum_rows({std::move(gradient)});
  // A matrix that was made from the leaf has a graph, which would keep the node that keeps this.
  gradient.matrix = gradient.matrix.detach();
  found.wait(std::move(gradient));
  return {};
}

KeptSums::KeptSums(const at::Tensor& leaf) {
  if (leaf.is_leaf() && leaf.requires_grad()) node_ = torch::autograd::impl::grad_accumulator(leaf);
  meeting_ = meeting_of(leaf);
  if (!meeting_.isNone() && !found_at(meeting_).keep(true)) meeting_ = {};
}

KeptSums::~KeptSums() {
  if (!meeting_.isNone()) found_at(meeting_).keep(false);
}

std::vector<RowSums> KeptSums::take() {
  return meeting_.isNone() ? std::vector<RowSums>() : found_at(meeting_).take();
}

}  // namespace regulon::ops::detail
