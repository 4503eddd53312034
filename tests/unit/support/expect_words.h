#pragma once
/// What a program printed, as a person looks through it.

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace regulon::tests {

/// Expects each of `words` to occur in `text`.
inline void expect_words(const std::string& text, const std::vector<std::string>& words) {
  for (const auto& word : words)
    EXPECT_NE(text.find(word), std::string::npos) << "no '" << word << "' in:\n" << text;
}

}  // namespace regulon::tests
