#include "core/train/evaluate_model.h"

#include <c10/core/GradMode.h>
#include <regulon/ops.h>

#include <algorithm>
#include <optional>

namespace regulon::core {
namespace {

/// Goes through held-out rows batch by batch.
class RowsEvaluation {
 public:
  /// `truth`: true features that somebody gave, in place of those that the source knows.
  RowsEvaluation(const EvaluationSubject& subject, Source& source, const at::Tensor& truth)
      : subject_(subject),
        source_(source),
        truth_(truth.defined() ? truth : source.true_features()),
        knows_active_(!truth.defined() && source.held_out_truth(0, 0).has_value()),
        dictionary_(subject.model.dictionary().detach()),
        evaluator_(subject.model.features(), subject.model.width(), subject.normalisation) {
    subject.model.update_schedules(subject.last_step);
    if (truth_.defined()) directions_ = known_directions(dictionary_.weight(), truth_);
    if (knows_active_) firing_.emplace(directions_.matched, truth_.size(0));
  }

  void add(std::int64_t first, std::int64_t count, const RowListener& listener) {
    const at::Tensor batch = subject_.normalisation.apply(source_.held_out(first, count));
    EncodeRequest request;
    request.costs = subject_.costs;
    const Codes codes = subject_.model.encode(batch, dictionary_, request);
    const at::Tensor rebuilt = ops::decode(codes, dictionary_);
    evaluator_.add(batch, codes, rebuilt);
    const at::Tensor losses = row_losses(batch, rebuilt, subject_.normalisation.scale);
    losses_.add(losses);
    if (firing_) firing_->add(codes, *source_.held_out_truth(first, count));
    if (listener) listener(losses);
  }

  RunEvaluation result() const {
    RunEvaluation evaluation;
    evaluation.held_out = evaluator_.result();
    evaluation.losses = losses_.result(evaluation.held_out.variance);
    if (truth_.defined()) evaluation.known = compare_with_known(directions_, evaluation.held_out.frequency);
    if (firing_) evaluation.firing = firing_->result();
    return evaluation;
  }

 private:
  const EvaluationSubject& subject_;
  Source& source_;
  at::Tensor truth_;
  bool knows_active_;
  Dictionary dictionary_;
  KnownDirections directions_;  ///< empty where no true features are known
  Evaluator evaluator_;
  LossCollector losses_;
  std::optional<FiringCollector> firing_;
};

}  // namespace

RunEvaluation evaluate_model(const EvaluationSubject& subject, Source& source, std::int64_t rows,
                             const at::Tensor& truth, const RowListener& listener) {
  const at::NoGradGuard no_grad;
  RowsEvaluation evaluation(subject, source, truth);
  const std::int64_t wanted = std::min(rows, source.held_out_rows());
  for (std::int64_t first = 0; first < wanted; first += kEvaluationBatch)
    evaluation.add(first, std::min(kEvaluationBatch, wanted - first), listener);
  return evaluation.result();
}

}  // namespace regulon::core
