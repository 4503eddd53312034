#pragma once
/// What the tests of the plugin host share: the fixtures of tests/bad_plugins, and small inputs for their
/// calls.

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/plugin/guard.h"
#include "core/plugin/host.h"

namespace regulon::core::testing {

inline std::filesystem::path bad_folder(const std::string& name) {
  return std::filesystem::path(REGULON_BUILD_DIR) / "tests" / "bad_plugins" / name;
}

/// The whole of a file.
std::string read_bytes(const std::filesystem::path& path);
void write_bytes(const std::filesystem::path& path, const std::string& bytes);

/// A folder of its own for one test, removed with everything in it.
class ScratchFolder {
 public:
  ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// What an error of type `Raised` says when `action` throws it; a failed test and "" if it does not.
template <class Raised>
std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Raised& error) {
    EXPECT_EQ(error.problems().size(), 1U) << error.what();
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another error than expected: " << error.what();
    return {};
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

/// Expects every one of `words` in `message`.
void expect_words(const std::string& message, const std::vector<std::string>& words);

/// One of the plugins "misbehaves", guarded, told `how`; `name` is the instance's.
GuardedPlugin misbehaving(PluginHost& host, const std::string& interface_id, const std::string& how,
                          const std::string& name = "test_subject");

/// Small tensors for all calls: B = 3, d = 2, n = 4, values that require grad.
struct SmallStep {
  SmallStep();
  at::Tensor batch, weight, bias, values, offsets, ids, costs, encoder_weight;
  FeatureStats stats;

  Dictionary dictionary() const { return Dictionary(weight, bias); }
  StepView view() const;
  EncodeView encode_view() const;
  UpdateView update_view() const;
  Preparation outline() const;
};

}  // namespace regulon::core::testing
