/// What each section of a config may hold: types and defaults come from the members' initial values.

#include "core/config/config.h"

namespace regulon::core {
namespace {

constexpr double kMostSteps = 1e12;
/// Feature ids are 32-bit integers.
constexpr double kMostFeatures = 2147483647;
constexpr double kMostRows = 16777216;

}  // namespace

void RunSection::declare(Declaration<RunSection>& d) {
  d.param("name", &RunSection::name).doc("what the run's folder and its reports are called");
  d.param("seed", &RunSection::seed).at_least(0).doc("of everything drawn at random");
  d.param("steps", &RunSection::steps).at_least(1).at_most(kMostSteps).unit("steps").doc("how long to train");
  d.param("device", &RunSection::device)
      .choices({"cpu", "cuda", "auto"})
      .doc("auto: cuda where there is one");
  d.param("threads", &RunSection::threads)
      .at_least(0)
      .at_most(4096)
      .doc("CPU threads; 0: one a core, fewer where OMP_NUM_THREADS says so, one for small steps");
  d.param("precision", &RunSection::precision)
      .choices({"auto", "float32", "bfloat16"})
      .doc(
          "of the product that finds the codes' candidates; the codes are the same bits. auto: the quickest");
  d.param("report_every", &RunSection::report_every)
      .at_least(1)
      .at_most(kMostSteps)
      .unit("steps")
      .doc("between two lines of metrics");
  d.param("checkpoint_every", &RunSection::checkpoint_every)
      .at_least(1)
      .at_most(kMostSteps)
      .unit("steps")
      .doc("between two checkpoints; one is always written at the end");
  d.param("dead_after", &RunSection::dead_after)
      .at_least(1)
      .unit("rows")
      .doc("without activity after which a feature counts as dead in the reports");
}

void DataSection::declare(Declaration<DataSection>& d) {
  d.param("source", &DataSection::source).required().doc("where rows come from: \"files\", \"toy.pairs\", …");
  d.param("batch", &DataSection::batch).at_least(1).at_most(kMostRows).unit("rows").doc("rows of a step");
  d.param("normalise", &DataSection::normalise)
      .choices({"none", "scale", "center"})
      .doc("scale: mean row norm sqrt(d); center: subtract the mean row, then scale");
}

void ModelSection::declare(Declaration<ModelSection>& d) {
  d.param("features", &ModelSection::features)
      .required()
      .at_least(1)
      .at_most(kMostFeatures)
      .doc("n, the number of dictionary rows");
  d.param("unit_norm", &ModelSection::unit_norm).doc("keep dictionary rows at norm one");
  d.param("remove_parallel_gradient", &ModelSection::remove_parallel_gradient)
      .doc("drop the gradient's part along each unit row before the optimiser sees it");
  d.param("learn_bias", &ModelSection::learn_bias).doc("the decoder bias learns");
  d.param("bias_init", &ModelSection::bias_init)
      .choices({"zero", "mean", "geometric_median"})
      .doc("the decoder bias at first; mean and geometric_median: of a sample of the data");
  d.param("init", &ModelSection::init)
      .doc(
          "folder of a finished or imported run whose weights to start from, relative to the config's "
          "folder");
  d.param("init_part", &ModelSection::init_part)
      .choices({"both", "decoder", "encoder"})
      .doc("what of `init` to take: the decoder with its bias, the encoder with its thresholds, or both");
  d.param("freeze", &ModelSection::freeze)
      .choices({"nothing", "init", "decoder"})
      .doc(
          "what stays as it is: the features of `init`, which come first and beside which new ones learn (a "
          "stage; under topk and batch_topk old and new compete for the k places); or all decoder rows (a "
          "control: a random dictionary unless `init` gives one)");
  d.param("prune_above", &ModelSection::prune_above)
      .doc(
          "at inference, keep a code only if it explains more than this of what the row's others leave, "
          "(x - xhat) . d + a |d|^2 (leave-one-out); below zero: keep all");
}

void OptimiserSection::declare(Declaration<OptimiserSection>& d) {
  d.param("learning_rate", &OptimiserSection::learning_rate).above(0).doc("Adam's step size");
  d.param("beta1", &OptimiserSection::beta1)
      .at_least(0)
      .below(1)
      .unit("per step")
      .doc("memory of the gradient");
  d.param("beta2", &OptimiserSection::beta2)
      .at_least(0)
      .below(1)
      .unit("per step")
      .doc("memory of the squared gradient");
  d.param("epsilon", &OptimiserSection::epsilon).above(0).doc("added to the root of the squared gradient");
  d.param("warm_up", &OptimiserSection::warm_up)
      .at_least(0)
      .at_most(kMostSteps)
      .unit("steps")
      .doc("over which the rate rises linearly from zero");
  d.param("decay", &OptimiserSection::decay)
      .at_least(0)
      .at_most(1)
      .unit("share of the steps")
      .doc("at the end, over which the rate falls linearly to zero");
  d.param("clip", &OptimiserSection::clip)
      .at_least(0)
      .doc("largest gradient norm over all parameters; 0: no clipping");
}

void PluginsSection::declare(Declaration<PluginsSection>& d) {
  d.param("path", &PluginsSection::path)
      .doc("more folders to look for plugins in, relative to the config's folder");
}

void EncoderSection::declare(Declaration<EncoderSection>& d) {
  d.param("plugin", &EncoderSection::plugin).required().doc("makes pre-activations: \"linear\", …");
  d.param("activation", &EncoderSection::activation).doc("chooses codes among them: \"relu\", \"topk\", …");
}

void LossSection::declare(Declaration<LossSection>& d) {
  d.param("plugin", &LossSection::plugin).required().doc("the loss term: \"mse\", \"l1\", …");
  d.param("name", &LossSection::name).doc("of this term; the plugin's name if absent");
  d.param("weight", &LossSection::weight).schedulable().doc("may be negative");
  d.param("every", &LossSection::every)
      .at_least(1)
      .at_most(kMostSteps)
      .unit("steps")
      .doc("runs at steps divisible by it");
  d.param("rescale", &LossSection::rescale)
      .doc("multiply the weight by `every`, so that the mean pull is the same");
  d.param("target_l0", &LossSection::target_l0)
      .at_least(0)
      .unit("active features a row")
      .doc("steers the weight, from `weight` on, so that the codes' L0 nears this; 0: does not");
}

void CostSection::declare(Declaration<CostSection>& d) {
  d.param("plugin", &CostSection::plugin).doc("the feature cost; left out, every feature costs one");
  d.param("mean_one", &CostSection::mean_one).doc("scale costs to mean one");
  d.param("averaging", &CostSection::averaging)
      .at_least(0)
      .below(1)
      .unit("per step")
      .doc("share of the old value that a step keeps in the running frequency");
  d.param("warm_up", &CostSection::warm_up)
      .at_least(0)
      .at_most(kMostSteps)
      .unit("steps")
      .doc("over which costs go from one to what the plugin says");
  d.param("least", &CostSection::least).at_least(0).doc("smallest cost after scaling");
  d.param("cap", &CostSection::cap).at_least(0).doc("largest cost after scaling; 0: none");
}

}  // namespace regulon::core
