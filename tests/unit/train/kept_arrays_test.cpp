#include "core/train/kept_arrays.h"

#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace regulon::core {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

TEST(KeptArraysTest, AFreedArrayIsTheNextOne) {
  KeptArrays arrays;
  c10::DataPtr first = arrays.allocate(24 * kMiB);
  std::memset(first.get(), 7, 24 * kMiB);
  const void* const address = first.get();
  EXPECT_EQ(arrays.kept(), 0U);
  first.clear();
  EXPECT_EQ(arrays.kept(), 24 * kMiB);
  EXPECT_EQ(arrays.allocate(24 * kMiB).get(), address);
  EXPECT_EQ(arrays.allocate(12 * kMiB).get(), address);
  EXPECT_EQ(arrays.kept(), 24 * kMiB);
}

TEST(KeptArraysTest, TakesTheSmallestThatFits) {
  KeptArrays arrays;
  c10::DataPtr large = arrays.allocate(40 * kMiB);
  c10::DataPtr middle = arrays.allocate(32 * kMiB);
  const void* const address = middle.get();
  large.clear();
  middle.clear();
  EXPECT_EQ(arrays.allocate(30 * kMiB).get(), address);
}

TEST(KeptArraysTest, DoesNotWasteALargeOneOnASmallOne) {
  KeptArrays arrays;
  arrays.allocate(64 * kMiB).clear();
  const c10::DataPtr small = arrays.allocate(9 * kMiB);
  EXPECT_EQ(arrays.kept(), 64 * kMiB);
}

TEST(KeptArraysTest, GivesBackWhatIsTooSmallBeforeItTakesMore) {
  KeptArrays arrays;
  {
    const c10::DataPtr first = arrays.allocate(16 * kMiB);
    const c10::DataPtr second = arrays.allocate(16 * kMiB);
    const c10::DataPtr third = arrays.allocate(90 * kMiB);
  }
  EXPECT_EQ(arrays.kept(), 122 * kMiB);
  const c10::DataPtr larger = arrays.allocate(32 * kMiB);
  EXPECT_EQ(arrays.kept(), 90 * kMiB);
}

TEST(KeptArraysTest, ArraysMayOverlapInTimeAndOutliveTheAllocator) {
  auto arrays = std::make_unique<KeptArrays>();
  const c10::DataPtr first = arrays->allocate(16 * kMiB);
  const c10::DataPtr second = arrays->allocate(16 * kMiB);
  arrays.reset();
  std::memset(first.get(), 1, 16 * kMiB);
  std::memset(second.get(), 2, 16 * kMiB);
  EXPECT_EQ(static_cast<const char*>(first.get())[16 * kMiB - 1], 1);
}

TEST(KeptArraysTest, SmallArraysAreNotKept) {
  KeptArrays arrays;
  arrays.allocate(KeptArrays::kLarge - 1).clear();
  EXPECT_EQ(arrays.kept(), 0U);
  EXPECT_NO_THROW(arrays.allocate(0));
}

TEST(KeptArraysTest, SaysAsLibTorchThatThereIsNotEnoughMemory) {
  KeptArrays arrays;
  arrays.allocate(16 * kMiB).clear();
  EXPECT_THROW(arrays.allocate(std::size_t{1} << 60), c10::Error);
  EXPECT_EQ(arrays.kept(), 0U);  // all of it was given back in vain
}

TEST(KeptArraysTest, ThreadsDoNotShareAnArray) {
  KeptArrays arrays;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&arrays, thread] {
      for (int round = 0; round < 50; ++round) {
        const c10::DataPtr array = arrays.allocate(KeptArrays::kLarge);
        auto* const numbers = static_cast<volatile int*>(array.get());
        numbers[0] = thread;
        std::this_thread::yield();
        ASSERT_EQ(numbers[0], thread);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(arrays.kept(), 4 * KeptArrays::kLarge);
}

}  // namespace
}  // namespace regulon::core
