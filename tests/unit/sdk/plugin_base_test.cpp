#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <regulon/loss_term.h>
#include <regulon/plugin.h>

#include <cstdint>
#include <cstring>

namespace regulon {
namespace {

class Scaled final : public Plugin {
 public:
  static void declare(Declaration<Scaled>& d) { d.param("scale", &Scaled::scale); }
  double scale = 2.0;
};

TEST(DescribePlugin, MakesAndSets) {
  const PluginDescriptor descriptor = describe_plugin<Scaled>("loss_term/1", "scaled", "a test");
  EXPECT_EQ(descriptor.interface_id, "loss_term/1");
  EXPECT_EQ(descriptor.name, "scaled");
  ASSERT_EQ(descriptor.params.size(), 1U);
  const std::unique_ptr<Plugin> one = descriptor.make();
  const std::unique_ptr<Plugin> other = descriptor.make();
  descriptor.set(*one, 0, 3.5);
  EXPECT_EQ(static_cast<Scaled&>(*one).scale, 3.5);
  EXPECT_EQ(static_cast<Scaled&>(*other).scale, 2.0);
  EXPECT_THROW(descriptor.set(*one, 1, 3.5), std::out_of_range);
}

TEST(Plugin, NeedsNothingUnlessItSaysSo) {
  Scaled plugin;
  Preparation preparation;
  plugin.prepare(preparation);
  EXPECT_TRUE(plugin.needs().empty());
  EXPECT_TRUE(plugin.provides().empty());
  EXPECT_TRUE(plugin.report().empty());
  EXPECT_TRUE(preparation.states().empty());
  EXPECT_TRUE(preparation.parameters().empty());
}

TEST(Preparation, StateIsZeroAlignedAndShared) {
  for (const at::ScalarType dtype :
       {at::kFloat, at::kDouble, at::kLong, at::kInt, at::kBool, at::kBFloat16}) {
    Preparation preparation;
    at::Tensor slot;
    preparation.state("seen", slot, {3, 5}, dtype);
    EXPECT_EQ(slot.scalar_type(), dtype);
    EXPECT_EQ(slot.sizes(), at::IntArrayRef({3, 5}));
    EXPECT_EQ(slot.ne(0).sum().item<std::int64_t>(), 0);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(slot.data_ptr()) % 64, 0U);
    ASSERT_EQ(preparation.states().size(), 1U);
    slot.fill_(1);
    EXPECT_EQ(preparation.states()[0].tensor.ne(0).sum().item<std::int64_t>(), 15);
    EXPECT_EQ(fence_violation(preparation.states()[0]), "");
  }
}

TEST(Preparation, StateMayBeAScalarOrEmpty) {
  Preparation preparation;
  at::Tensor scalar;
  at::Tensor empty;
  preparation.state("scalar", scalar, {}, at::kDouble);
  preparation.state("empty", empty, {0, 4}, at::kFloat);
  EXPECT_EQ(scalar.dim(), 0);
  EXPECT_EQ(empty.sizes(), at::IntArrayRef({0, 4}));
  scalar.fill_(4.5);
  for (const auto& registered : preparation.states()) EXPECT_EQ(fence_violation(registered), "");
  EXPECT_EQ(preparation.states()[0].tensor.item<double>(), 4.5);
}

/// A preparation with one float state of three elements, and the member it was registered for.
struct OneState {
  OneState() { preparation.state("seen", slot, {3}, at::kFloat); }
  std::string violation() const { return fence_violation(preparation.states().at(0)); }
  Preparation preparation;
  at::Tensor slot;
};

TEST(FenceViolation, NoticesWritesOnEitherSide) {
  OneState past;
  auto* data = static_cast<unsigned char*>(past.slot.data_ptr());
  data[3 * sizeof(float)] = 0;
  EXPECT_EQ(past.violation(), "it wrote past the end of its state 'seen' of shape [3]");
  OneState before;
  static_cast<unsigned char*>(before.slot.data_ptr())[-1] = 0;
  EXPECT_EQ(before.violation(), "it wrote before the start of its state 'seen' of shape [3]");
}

TEST(FenceViolation, LeavesTheDataAlone) {
  OneState state;
  std::memset(state.slot.data_ptr(), 0x5A, 3 * sizeof(float));
  EXPECT_EQ(state.violation(), "");
}

TEST(FenceViolation, NoticesReplacingAndResizing) {
  OneState replaced;
  replaced.slot = at::zeros({3});
  EXPECT_EQ(replaced.violation(),
            "it replaced the registered tensor 'seen' instead of writing to it in place");
  OneState retyped;
  retyped.slot = retyped.slot.to(at::kDouble);
  EXPECT_NE(retyped.violation(), "");
  OneState resized;
  resized.slot.resize_({2});
  EXPECT_EQ(resized.violation(), "it resized the registered tensor 'seen' from [3] to [2]");
  OneState reshaped;
  reshaped.slot.unsqueeze_(0);
  EXPECT_EQ(reshaped.violation(), "it resized the registered tensor 'seen' from [3] to [1, 3]");
  OneState reset;
  reset.slot = at::Tensor();
  EXPECT_EQ(reset.violation(), "it reset the registered tensor 'seen'");
}

TEST(Preparation, ParameterIsALeafOfItsOwn) {
  Preparation preparation;
  const at::Tensor initial = at::arange(6, at::kFloat).view({2, 3}).t();
  at::Tensor slot;
  preparation.parameter("weight", slot, initial);
  EXPECT_TRUE(slot.is_leaf());
  EXPECT_TRUE(slot.requires_grad());
  EXPECT_TRUE(slot.is_contiguous());
  EXPECT_TRUE(at::equal(slot.detach(), initial));
  slot.detach().fill_(9);
  EXPECT_EQ(initial[0][0].item<float>(), 0.0F);
  ASSERT_EQ(preparation.parameters().size(), 1U);
  EXPECT_EQ(preparation.parameters()[0].slot, &slot);
  EXPECT_EQ(fence_violation(preparation.parameters()[0]), "");
  slot = slot * 2;
  EXPECT_EQ(fence_violation(preparation.parameters()[0]),
            "it replaced the registered tensor 'weight' instead of writing to it in place");
}

/// The first problem's complaint that `call` is refused with.
template <class Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const RunError& error) {
    return error.problems().at(0).what;
  }
  return "";
}

TEST(Preparation, RefusesWhatCannotBeKept) {
  Preparation preparation;
  at::Tensor slot;
  preparation.state("a", slot, {1}, at::kFloat);
  EXPECT_EQ(refusal([&] { preparation.state("a", slot, {1}, at::kFloat); }),
            "state 'a' was registered twice");
  preparation.parameter("p", slot, at::zeros({1}));
  EXPECT_EQ(refusal([&] { preparation.parameter("p", slot, at::zeros({1})); }),
            "parameter 'p' was registered twice");
  EXPECT_EQ(refusal([&] { preparation.parameter("a", slot, at::zeros({1})); }),
            "state 'a' was registered, and parameter 'a' too");
  EXPECT_EQ(refusal([&] { preparation.state("", slot, {1}, at::kFloat); }),
            "a state without a name was registered");
  EXPECT_EQ(refusal([&] { preparation.state("b", slot, {-1}, at::kFloat); }),
            "state 'b' has a negative size");
  EXPECT_EQ(refusal([&] { preparation.parameter("b", slot, at::Tensor()); }),
            "parameter 'b' was given no initial value");
  EXPECT_EQ(refusal([&] { preparation.parameter("b", slot, at::zeros({1}, at::kLong)); }),
            "parameter 'b' cannot be learnt");
  EXPECT_EQ(preparation.states().size(), 1U);
}

}  // namespace
}  // namespace regulon
