#include "core/train/kept_arrays.h"

#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace regulon::core {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

/// The store is the process's: each test begins with nothing kept.
class KeptArraysTest : public ::testing::Test {
 protected:
  void SetUp() override { arrays_.give_back(); }
  void TearDown() override { arrays_.give_back(); }

  KeptArrays arrays_;
};

TEST_F(KeptArraysTest, AFreedArrayIsTheNextOne) {
  c10::DataPtr first = arrays_.allocate(24 * kMiB);
  std::memset(first.get(), 7, 24 * kMiB);
  const void* const address = first.get();
  EXPECT_EQ(arrays_.kept(), 0U);
  first.clear();
  EXPECT_EQ(arrays_.kept(), 24 * kMiB);
  {
    const c10::DataPtr again = arrays_.allocate(24 * kMiB);
    EXPECT_EQ(again.get(), address);
    EXPECT_EQ(arrays_.kept(), 0U);
  }
  const c10::DataPtr smaller = arrays_.allocate(8 * kMiB);
  EXPECT_EQ(smaller.get(), address);
  EXPECT_EQ(static_cast<const char*>(smaller.get())[0], 7);  // and was not made anew in between
}

TEST_F(KeptArraysTest, TakesTheSmallestThatFits) {
  c10::DataPtr large = arrays_.allocate(40 * kMiB);
  c10::DataPtr middle = arrays_.allocate(32 * kMiB);
  large.clear();
  middle.clear();
  const c10::DataPtr taken = arrays_.allocate(30 * kMiB);
  EXPECT_EQ(arrays_.kept(), 40 * kMiB);
}

TEST_F(KeptArraysTest, IsNeverLargerThanWhatWasInUseAtOnce) {
  // More than any other test has, as the most is the process's.
  { const c10::DataPtr most = arrays_.allocate(300 * kMiB); }
  EXPECT_EQ(arrays_.kept(), 300 * kMiB);
  const c10::DataPtr small = arrays_.allocate(20 * kMiB);  // too small for that one, which goes
  EXPECT_EQ(arrays_.kept(), 0U);
  { const c10::DataPtr other = arrays_.allocate(100 * kMiB); }
  { const c10::DataPtr larger = arrays_.allocate(180 * kMiB); }  // 20 + 100 + 180 are just as many
  EXPECT_EQ(arrays_.kept(), 280 * kMiB);
  { const c10::DataPtr largest = arrays_.allocate(190 * kMiB); }  // drops the smallest first, then the other
  EXPECT_EQ(arrays_.kept(), 190 * kMiB);
}

TEST_F(KeptArraysTest, AStepLikeTheLastMakesNothing) {
  const auto step = [&] {
    { const c10::DataPtr halves = arrays_.allocate(16 * kMiB); }
    const c10::DataPtr gradient = arrays_.allocate(32 * kMiB);
    const c10::DataPtr another = arrays_.allocate(32 * kMiB);
    return std::set<const void*>{gradient.get(), another.get()};
  };
  step();
  const std::size_t kept = arrays_.kept();
  const auto second = step();
  EXPECT_EQ(arrays_.kept(), kept);
  EXPECT_EQ(step(), second);
}

TEST_F(KeptArraysTest, SmallArraysAreNotKept) {
  arrays_.allocate(KeptArrays::kLarge - 1).clear();
  EXPECT_EQ(arrays_.kept(), 0U);
  EXPECT_NO_THROW(arrays_.allocate(0));
}

/// As oneDNN does, by way of LibTorch.
TEST_F(KeptArraysTest, RawMemoryOfAnySizeIsFreedByItsAddressAlone) {
  void* const small = arrays_.raw_allocate(100);
  void* const large = arrays_.raw_allocate(16 * kMiB);
  std::memset(small, 1, 100);
  std::memset(large, 1, 16 * kMiB);
  arrays_.raw_deallocate(small);
  arrays_.raw_deallocate(large);
  EXPECT_EQ(arrays_.kept(), 16 * kMiB);
}

TEST_F(KeptArraysTest, SaysAsLibTorchThatThereIsNotEnoughMemory) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer ends the process where LibTorch would throw";
#endif
  arrays_.allocate(16 * kMiB).clear();
  try {
    arrays_.allocate(std::size_t{1} << 60);
    FAIL() << "there is no such memory";
  } catch (const c10::Error& error) {
    EXPECT_NE(std::string(error.what()).find("DefaultCPUAllocator"), std::string::npos);
  }
  EXPECT_EQ(arrays_.kept(), 0U);  // it was given back in vain
}

TEST_F(KeptArraysTest, ThreadsDoNotShareAnArray) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread] {
      for (int round = 0; round < 50; ++round) {
        const c10::DataPtr array = arrays_.allocate(KeptArrays::kLarge);
        auto* const numbers = static_cast<volatile int*>(array.get());
        numbers[0] = thread;
        std::this_thread::yield();
        ASSERT_EQ(numbers[0], thread);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(arrays_.kept(), 4 * KeptArrays::kLarge);
}

/// In a process of its own, whose tensors all come from there.
TEST(KeptMemoryDeathTest, TensorsOfAllSizesAndOneDnnWork) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        keep_memory();
        const at::Tensor left = at::ones({512, 512}, at::kBFloat16);
        const bool small = at::matmul(left, left).eq(512).all().item<bool>();
        const at::Tensor wide = at::ones({512, 16384}, at::kBFloat16);
        const bool large = at::matmul(left, wide).eq(512).all().item<bool>();
        const bool kept = KeptArrays().kept() > 0;  // the comparison's [512, 16384] of booleans
        std::exit(small && large && kept ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace regulon::core
