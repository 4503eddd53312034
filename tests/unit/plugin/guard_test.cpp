#include "core/plugin/guard.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <ostream>

#include "tests/unit/plugin/bad_plugins.h"

namespace regulon::core::testing {
namespace {

/// One fault of a plugin "misbehaves", and what the message has to say beside the plugin's name and path.
struct Fault {
  std::string how;
  std::string call;
  std::vector<std::string> words;
};

std::ostream& operator<<(std::ostream& out, const Fault& fault) { return out << fault.how; }

std::string test_name(const ::testing::TestParamInfo<Fault>& info) {
  std::string name = info.param.how;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

/// Makes every call of a loss term, in the order of a run.
void run_loss(GuardedPlugin& plugin) {
  const SmallStep small;
  plugin.needs();
  plugin.prepare(small.outline());
  if (!plugin.value(small.view(), true).defined()) return;
  UpdateView update = small.update_view();
  if (plugin.acts_after_step()) plugin.after_step(update);
  plugin.report();
}

void run_encoder(GuardedPlugin& plugin) {
  const SmallStep small;
  plugin.prepare(small.outline());
  plugin.encode(small.encode_view(), true);
  plugin.directions(small.dictionary());
}

void run_cost(GuardedPlugin& plugin) {
  const SmallStep small;
  plugin.prepare(small.outline());
  plugin.cost(small.stats, small.dictionary(), true);
}

void expect_message(const std::string& interface_id, const Fault& fault, void (*run)(GuardedPlugin&)) {
  PluginHost host({bad_folder("misbehaves")});
  GuardedPlugin plugin = misbehaving(host, interface_id, fault.how);
  const std::string message = message_of<RunError>([&] { run(plugin); });
  expect_words(message,
               {"plugin test_subject (", ".so) in " + fault.call + ": ", "expected ", "found ", ". "});
  expect_words(message, fault.words);
  EXPECT_TRUE(at::GradMode::is_enabled());
  GuardedPlugin good = misbehaving(host, interface_id, "good");
  EXPECT_NO_THROW(run(good));
}

class LossFault : public ::testing::TestWithParam<Fault> {};
TEST_P(LossFault, GivesOneMessageAndTheProcessGoesOn) { expect_message("loss_term/1", GetParam(), run_loss); }

INSTANTIATE_TEST_SUITE_P(
    All, LossFault,
    ::testing::Values(
        Fault{"needs.throws", "needs", {"std::runtime_error: no luck in needs", "Mend"}},
        Fault{"needs.throws_int", "needs", {"type int"}},
        Fault{"prepare.throws", "prepare", {"std::runtime_error: no luck in prepare"}},
        Fault{"prepare.throws_int", "prepare", {"type int"}},
        Fault{"prepare.dtype", "prepare", {"'wide'", "dtype Float", "dtype Double", "options()"}},
        Fault{"prepare.in_place", "prepare", {"sample was changed in place", "version"}},
        Fault{"prepare.replaces_state", "prepare", {"'calls'", "replaced"}},
        Fault{"prepare.twice", "prepare", {"'calls'", "twice"}},
        Fault{"prepare.nan", "prepare", {"'scale'", "finite initial values", "NaN"}},
        Fault{"value.throws", "value", {"std::runtime_error: no luck in value"}},
        Fault{"value.throws_int", "value", {"type int"}},
        Fault{"value.throws_torch",
              "value",
              {"c10::Error", "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)"}},
        Fault{"value.nan", "value", {"a finite number", "nan", "learning rate"}},
        Fault{"value.infinity", "value", {"a finite number", "inf"}},
        Fault{"value.shape", "value", {"wrong shape", "expected []", "found [2, 3]", "mean()"}},
        Fault{"value.dtype", "value", {"wrong dtype", "a floating dtype", "Long"}},
        Fault{"value.meta", "value", {"wrong device", "expected cpu", "found meta", "options()"}},
        Fault{"value.no_grad", "value", {"a scalar that requires grad", "detach()", "undefined tensor"}},
        Fault{"value.in_place", "value", {"batch() was changed in place", "version", "clone()"}},
        Fault{"value.in_place_codes", "value", {"codes.values() was changed in place", "version"}},
        Fault{"value.in_place_stats", "value", {"stats.frequency was changed in place", "version"}},
        Fault{"value.in_place_costs", "value", {"costs() was changed in place", "version"}},
        Fault{"value.in_place_encoder",
              "value",
              {"encoder_parameters()/weight was changed in place", "version"}},
        Fault{"value.in_place_own", "value", {"its own parameter scale was changed in place", "version"}},
        Fault{"value.resizes_input", "value", {"batch() was changed in place", "another shape"}},
        Fault{"value.raw_pointer", "value", {"dictionary.weight() was changed in place", "contents differ"}},
        Fault{"value.past_state", "value", {"past the end of its state 'calls'", "[4]", "prepare()"}},
        Fault{"value.before_state", "value", {"before the start of its state 'calls'"}},
        Fault{"value.replaces_state", "value", {"replaced", "'calls'"}},
        Fault{"value.resizes_state", "value", {"resized", "'calls'", "[3]"}},
        Fault{"acts_after_step.throws", "acts_after_step", {"no luck in acts_after_step"}},
        Fault{"after_step.throws", "after_step", {"no luck in after_step"}},
        Fault{"after_step.throws_int", "after_step", {"type int"}},
        Fault{"after_step.in_place", "after_step", {"row_errors was changed in place"}},
        Fault{"after_step.replaces", "after_step", {"dictionary_weight was replaced", "copy_()"}},
        Fault{"after_step.drops", "after_step", {"dictionary_weight was replaced"}},
        Fault{"after_step.resizes", "after_step", {"dictionary_bias was resized", "[2]", "[1]"}},
        Fault{"after_step.frozen", "after_step", {"frozen", "rows below 1"}},
        Fault{"report.throws", "report", {"no luck in report"}},
        Fault{"report.throws_int", "report", {"type int"}},
        Fault{"report.nan", "report", {"'strange'", "a finite number", "nan"}}),
    test_name);

class EncoderFault : public ::testing::TestWithParam<Fault> {};
TEST_P(EncoderFault, GivesOneMessageAndTheProcessGoesOn) {
  expect_message("encoder/1", GetParam(), run_encoder);
}

INSTANTIATE_TEST_SUITE_P(
    All, EncoderFault,
    ::testing::Values(
        Fault{"throws", "encode", {"std::runtime_error: no luck in encode"}},
        Fault{"throws_int", "encode", {"type int"}},
        Fault{"rows", "encode", {"number of rows", "expected 3", "found 4", "select_product"}},
        Fault{"features", "encode", {"number of features", "expected 4", "found 5"}},
        Fault{"id_high", "encode", {"out of range", "ids from 0 to 3", "1048576"}},
        Fault{"id_negative", "encode", {"out of range", "found -1"}},
        Fault{"not_ascending", "encode", {"do not ascend", "above 2 in row 0", "found 0"}},
        Fault{"repeated", "encode", {"do not ascend", "found 0"}},
        Fault{"offsets_first", "encode", {"row offsets", "0", "found 1"}},
        Fault{"offsets_fall", "encode", {"row offsets fall", "at least 5", "found 4"}},
        Fault{"offsets_end", "encode", {"do not end at the number of entries", "expected 6", "found 5"}},
        Fault{"offsets_beyond", "encode", {"row offsets fall"}},
        Fault{"nan", "encode", {"finite values", "NaN"}},
        Fault{"dense_nan", "encode", {"finite values", "NaN"}},
        Fault{"dtype", "encode", {"wrong dtype", "Float", "Double"}},
        Fault{"meta", "encode", {"values", "device", "meta"}},
        Fault{"dense_meta", "encode", {"wrong device", "expected cpu", "found meta"}},
        Fault{"in_place", "encode", {"batch was changed in place", "version"}},
        Fault{"in_place_own", "encode", {"its own parameter weight was changed in place"}},
        Fault{"in_place_selection", "encode", {"selection.thresholds was changed in place"}},
        Fault{"raw_pointer", "encode", {"batch was changed in place", "contents differ"}},
        Fault{"directions.throws", "directions", {"no luck in directions"}},
        Fault{"directions.shape", "directions", {"wrong shape", "[4, 2]", "[1, 2]"}}),
    test_name);

class CostFault : public ::testing::TestWithParam<Fault> {};
TEST_P(CostFault, GivesOneMessageAndTheProcessGoesOn) {
  expect_message("feature_cost/1", GetParam(), run_cost);
}

INSTANTIATE_TEST_SUITE_P(
    All, CostFault,
    ::testing::Values(
        Fault{"throws", "cost", {"std::runtime_error: no luck in cost"}},
        Fault{"throws_int", "cost", {"type int"}},
        Fault{"negative", "cost", {"at least 0", "-0.5 for feature 1"}},
        Fault{"nan", "cost", {"finite costs", "nan for feature 0"}},
        Fault{"gradient", "cost", {"without gradient", "requires grad", "detach()"}},
        Fault{"shape", "cost", {"wrong shape", "[4]", "[4, 1]"}},
        Fault{"dtype", "cost", {"wrong dtype", "Float", "Long"}},
        Fault{"meta", "cost", {"wrong device", "cpu", "meta"}},
        Fault{"undefined", "cost", {"returned nothing"}},
        Fault{"in_place", "cost", {"stats.frequency was changed in place"}},
        Fault{"raw_pointer", "cost", {"stats.frequency was changed in place", "contents differ"}}),
    test_name);

TEST(GuardedPlugin, LetsGoodPluginsThrough) {
  PluginHost host({bad_folder("misbehaves")});
  const SmallStep small;
  GuardedPlugin term = misbehaving(host, "loss_term/1", "good");
  term.prepare(small.outline());
  const at::Tensor value = term.value(small.view(), true);
  EXPECT_FLOAT_EQ(value.item<float>(), small.weight.detach().square().mean().item<float>());
  GuardedPlugin encoder = misbehaving(host, "encoder/1", "good");
  encoder.prepare(small.outline());
  EXPECT_EQ(encoder.encode(small.encode_view(), true).entries(), 6);
  GuardedPlugin dense = misbehaving(host, "encoder/1", "dense");
  dense.prepare(small.outline());
  EXPECT_FALSE(dense.encode(small.encode_view(), true).is_sparse());
}

TEST(GuardedPlugin, UndefinedValueSitsTheStepOut) {
  PluginHost host({bad_folder("misbehaves")});
  const SmallStep small;
  GuardedPlugin term = misbehaving(host, "loss_term/1", "value.undefined");
  term.prepare(small.outline());
  EXPECT_FALSE(term.value(small.view(), true).defined());
}

TEST(GuardedPlugin, ValueNeedsNoGradientWhereNoneIsRecorded) {
  PluginHost host({bad_folder("misbehaves")});
  const SmallStep small;
  GuardedPlugin term = misbehaving(host, "loss_term/1", "value.no_grad");
  term.prepare(small.outline());
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(term.value(small.view(), true).defined());
}

TEST(GuardedPlugin, GradientRecordingIsRestored) {
  PluginHost host({bad_folder("misbehaves")});
  const SmallStep small;
  GuardedPlugin term = misbehaving(host, "loss_term/1", "value.grad_off");
  term.prepare(small.outline());
  EXPECT_TRUE(term.value(small.view(), true).defined());
  EXPECT_TRUE(at::GradMode::is_enabled());
}

TEST(GuardedPlugin, InPlaceChangesAreNoticedAtLaterCallsToo) {
  PluginHost host({bad_folder("misbehaves")});
  const PluginDescriptor* descriptor = host.find("loss_term/1", "misbehaves");
  ASSERT_NE(descriptor, nullptr);
  GuardedPlugin term = misbehaving(host, "loss_term/1", "good");
  const SmallStep small;
  term.prepare(small.outline());
  term.value(small.view(), false);
  for (const char* how : {"value.in_place", "value.past_state", "value.shape", "value.in_place_encoder"}) {
    descriptor->set(term.object(), 0, std::string(how));
    EXPECT_THROW(term.value(small.view(), false), RunError) << how;
    descriptor->set(term.object(), 0, std::string("value.undefined"));
  }
}

TEST(GuardedPlugin, ValuesAreOnlyLookedAtWhenAskedAfterTheFirstCall) {
  PluginHost host({bad_folder("misbehaves")});
  const PluginDescriptor* descriptor = host.find("loss_term/1", "misbehaves");
  ASSERT_NE(descriptor, nullptr);
  GuardedPlugin term = misbehaving(host, "loss_term/1", "good");
  const SmallStep small;
  term.prepare(small.outline());
  term.value(small.view(), false);
  descriptor->set(term.object(), 0, std::string("value.nan"));
  EXPECT_NO_THROW(term.value(small.view(), false));
  EXPECT_THROW(term.value(small.view(), true), RunError);
}

TEST(GuardedPlugin, CallOfAnotherInterfaceIsRefused) {
  PluginHost host({bad_folder("misbehaves")});
  GuardedPlugin encoder = misbehaving(host, "encoder/1", "good");
  const SmallStep small;
  expect_words(message_of<RunError>([&] { encoder.value(small.view(), true); }),
               {"plugin test_subject", "in value", "no such call"});
}

TEST(GuardedPlugin, TwoInstancesShareNothing) {
  PluginHost host({bad_folder("misbehaves")});
  GuardedPlugin first = misbehaving(host, "loss_term/1", "good", "first");
  GuardedPlugin second = misbehaving(host, "loss_term/1", "value.nan", "second");
  const SmallStep small;
  first.prepare(small.outline());
  second.prepare(small.outline());
  for (int i = 0; i < 3; ++i) first.value(small.view(), true);
  expect_words(message_of<RunError>([&] { second.value(small.view(), true); }), {"plugin second ("});
  EXPECT_EQ(first.report().at("calls"), 3.0);
  EXPECT_EQ(second.report().at("calls"), 1.0);
  ASSERT_EQ(first.preparation().states().size(), 1U);
  const at::Tensor& state = first.preparation().states()[0].tensor;
  EXPECT_FALSE(state.is_alias_of(second.preparation().states()[0].tensor));
  EXPECT_FALSE(
      first.preparation().parameters()[0].tensor.is_same(second.preparation().parameters()[0].tensor));
}

TEST(GuardedPlugin, KeepsNoGraphAlive) {
  PluginHost host({bad_folder("misbehaves")});
  GuardedPlugin term = misbehaving(host, "loss_term/1", "good");
  SmallStep small;
  term.prepare(small.outline());
  small.values = small.values * 2;  // not a leaf: it holds a graph
  const c10::weak_intrusive_ptr<c10::TensorImpl> values(small.values.getIntrusivePtr());
  const at::Tensor value = term.value(small.view(), true);
  small.values.reset();
  EXPECT_TRUE(values.expired());
}

TEST(GuardedPlugin, PreparationLetsGoOfTheSample) {
  PluginHost host({bad_folder("misbehaves")});
  GuardedPlugin term = misbehaving(host, "loss_term/1", "good");
  const SmallStep small;
  const auto before = small.batch.use_count();
  term.prepare(small.outline());
  EXPECT_EQ(small.batch.use_count(), before);
  EXPECT_EQ(term.preparation().features, 4);
}

}  // namespace
}  // namespace regulon::core::testing
