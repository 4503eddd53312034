#include "core/data/prefetcher.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "tests/unit/data/make_source.h"

namespace regulon::core {
namespace {

using namespace std::chrono_literals;

/// Rows that say their step; steps can be slow, or fail.
class Stepper final : public Source {
 public:
  void open(const SourceSetup&) override {}
  std::int64_t width() const override { return 1; }
  std::int64_t training_rows() const override { return 0; }
  at::Tensor batch(std::int64_t step) override {
    ++calls;
    if (delay > 0ms) std::this_thread::sleep_for(delay);
    if (step == failing) throw std::runtime_error("step " + std::to_string(step));
    return at::full({1, 1}, static_cast<float>(step));
  }
  std::int64_t held_out_rows() const override { return 0; }
  at::Tensor held_out(std::int64_t, std::int64_t) override { return {}; }
  std::string fingerprint() const override { return ""; }

  std::atomic<int> calls = 0;
  std::atomic<std::int64_t> failing = -1;
  std::chrono::milliseconds delay{0};
};

TEST(Prefetcher, HandsOutTheSameRowsAsTheSource) {
  for (const auto making : {Prefetcher::Making::ahead, Prefetcher::Making::when_asked}) {
    const auto plain = tests::open_source("toy.pairs", {}, 2000);
    const auto made = tests::open_source("toy.pairs", {}, 2000);
    Prefetcher prefetcher(*made, 3, making);
    for (std::int64_t step = 3; step < 40; ++step)
      EXPECT_TRUE(prefetcher.next().equal(plain->batch(step))) << step;
  }
}

TEST(Prefetcher, MakesNothingBeforeItIsAskedWhereItIsNotToBeAhead) {
  Stepper source;
  Prefetcher prefetcher(source, 0, Prefetcher::Making::when_asked);
  EXPECT_EQ(source.calls, 0);
  for (int step = 0; step < 5; ++step) {
    EXPECT_EQ(prefetcher.next().item<float>(), static_cast<float>(step));
    EXPECT_EQ(source.calls, step + 1);
  }
}

TEST(Prefetcher, IsOneStepAhead) {
  Stepper source;
  Prefetcher prefetcher(source, 0);
  for (int step = 0; step < 5; ++step) {
    EXPECT_EQ(prefetcher.next().item<float>(), static_cast<float>(step));
    for (int waited = 0; source.calls < step + 2 && waited < 5000; ++waited) std::this_thread::sleep_for(1ms);
    EXPECT_EQ(source.calls, step + 2);
  }
}

TEST(Prefetcher, RethrowsAtTheStepThatAsks) {
  for (const auto making : {Prefetcher::Making::ahead, Prefetcher::Making::when_asked}) {
    Stepper source;
    source.failing = 2;
    Prefetcher prefetcher(source, 0, making);
    EXPECT_EQ(prefetcher.next().item<float>(), 0.0f);
    EXPECT_EQ(prefetcher.next().item<float>(), 1.0f);
    for (int again = 0; again < 2; ++again) {
      try {
        prefetcher.next();
        FAIL() << "step 2 must fail";
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "step 2");
      }
    }
  }
}

TEST(Prefetcher, AFailureNobodyAskedForIsDropped) {
  Stepper source;
  source.failing = 1;
  Prefetcher prefetcher(source, 0);
  EXPECT_EQ(prefetcher.next().item<float>(), 0.0f);
}

TEST(Prefetcher, EndsWhileABatchIsBeingMade) {
  Stepper source;
  source.delay = 5ms;
  for (int i = 0; i < 20; ++i) {
    Prefetcher prefetcher(source, 0);
    if (i % 2 == 0) prefetcher.next();
  }
  const int calls = source.calls;
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(source.calls, calls) << "nothing runs on after the end";
}

}  // namespace
}  // namespace regulon::core
