#pragma once
/// Errors as a person reads them.

#include <gtest/gtest.h>
#include <regulon/error.h>

#include <string>
#include <vector>

namespace regulon::tests {

/// Expects `act` to throw the error class `Raised` and its text to hold each of `parts`.
template <class Raised, class Act>
void expect_error(Act act, const std::vector<std::string>& parts) {
  try {
    act();
  } catch (const Raised& error) {
    for (const std::string& part : parts) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
          << "'" << part << "' is missing from: " << error.what();
    }
    return;
  } catch (const std::exception& error) {
    FAIL() << "another error came: " << error.what();
  }
  FAIL() << "no error came; expected one about: " << (parts.empty() ? "" : parts.front());
}

}  // namespace regulon::tests
