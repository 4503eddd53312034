#include <gtest/gtest.h>
#include <regulon/error.h>

namespace regulon {
namespace {

TEST(Describe, PutsEveryPartInItsPlace) {
  EXPECT_EQ(describe({"a.toml:3", "bad weight", "a number of at least 0", "-3", "remove the minus"}),
            "a.toml:3: bad weight: expected a number of at least 0, found -3. remove the minus");
}

TEST(Describe, LeavesOutEmptyParts) {
  EXPECT_EQ(describe({"", "it broke", "", "", ""}), "it broke");
  EXPECT_EQ(describe({"x", "", "", "4", ""}), "x: found 4");
  EXPECT_EQ(describe({"", "it broke", "glue", "", "fix it"}), "it broke: expected glue. fix it");
  EXPECT_EQ(describe({}), "");
}

TEST(Errors, SayAllProblemsOneALine) {
  const InputError error(std::vector<Problem>{{"a", "one", "", "", ""}, {"b", "two", "", "", ""}});
  EXPECT_STREQ(error.what(), "a: one\nb: two");
  ASSERT_EQ(error.problems().size(), 2U);
  EXPECT_EQ(error.problems()[1].what, "two");
}

TEST(Errors, AreCaughtByTheirKind) {
  EXPECT_THROW(throw RunError(Problem{"", "x", "", "", ""}), RunError);
  EXPECT_THROW(throw InputError(Problem{"", "x", "", "", ""}), Error);
  EXPECT_THROW(
      {
        try {
          throw RunError(Problem{"", "x", "", "", ""});
        } catch (const InputError&) {
        }
      },
      RunError);
}

TEST(DidYouMean, FindsTypingMistakes) {
  const std::vector<std::string> words = {"weight", "width", "name", "every"};
  EXPECT_EQ(did_you_mean("wieght", words), "did you mean 'weight'?");
  EXPECT_EQ(did_you_mean("weigth", words), "did you mean 'weight'?");
  EXPECT_EQ(did_you_mean("Weight", words), "did you mean 'weight'?");
  EXPECT_EQ(did_you_mean("nam", words), "did you mean 'name'?");
  EXPECT_EQ(did_you_mean("names", words), "did you mean 'name'?");
}

TEST(DidYouMean, ASwapCountsAsOneEdit) {
  // Two plain edits from either would tie, and the first would win; as a swap the second is nearer.
  EXPECT_EQ(did_you_mean("abdcef", {"abdxyf", "abcdef"}), "did you mean 'abcdef'?");
}

TEST(DidYouMean, ListsTheWordsWhenNoneIsNear) {
  EXPECT_EQ(did_you_mean("banana", {"mse", "l1"}), "one of: mse, l1");
  EXPECT_EQ(did_you_mean("x", {"k"}), "one of: k");
  EXPECT_EQ(did_you_mean("", {"k", "mse"}), "one of: k, mse");
}

TEST(DidYouMean, IsEmptyWithoutCandidates) { EXPECT_EQ(did_you_mean("x", {}), ""); }

}  // namespace
}  // namespace regulon
