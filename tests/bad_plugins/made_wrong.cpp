/// Plugins that go wrong while they are described or made.
#include <regulon/feature_cost.h>
#include <regulon/loss_term.h>

#include <stdexcept>

#if defined(ANOTHER_CLASS)
/// A cost, declared as a loss term below.
class MadeWrong final : public regulon::FeatureCost {
 public:
  at::Tensor cost(const regulon::FeatureStats&, const regulon::Dictionary&) override { return {}; }
};
#else
class MadeWrong final : public regulon::LossTerm {
 public:
#if defined(THROWS_IN_DECLARE)
  static void declare(regulon::Declaration<MadeWrong>&) { throw std::runtime_error("no luck in declare"); }
#elif defined(THROWS_IN_CONSTRUCTOR)
  /// The first object is the one that `describe_plugin` reads the defaults from.
  MadeWrong() {
    if (++made > 1) throw 7;
  }
  static inline int made = 0;
#endif
  at::Tensor value(const regulon::StepView&) override { return {}; }
};
#endif

#if defined(THROWS_IN_DECLARE)
REGULON_LOSS_TERM(MadeWrong, "throws_in_declare", "Throws while it declares its parameters")
#elif defined(THROWS_IN_CONSTRUCTOR)
REGULON_LOSS_TERM(MadeWrong, "throws_in_constructor", "Throws from the second object on")
#else
REGULON_LOSS_TERM(MadeWrong, "another_class", "Is a feature cost")
#endif
