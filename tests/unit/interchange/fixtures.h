#pragma once
/// The fixtures of tests/golden/interchange, made with the libraries themselves (tests/package/interchange).

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "core/interchange/interchange.h"
#include "core/io/safetensors.h"
#include "core/plugin/host.h"
#include "core/train/run.h"
#include "tests/unit/support/program.h"

namespace regulon::tests {

/// Both sides compute in float32 from weights that were rounded once more.
constexpr double kCodeTolerance = 1e-5;

inline std::filesystem::path interchange_folder() {
  return std::filesystem::path(REGULON_SOURCE_DIR) / "tests" / "golden" / "interchange";
}

inline core::PluginHost built_plugins() {
  return core::PluginHost({std::filesystem::path(REGULON_BUILD_DIR) / "plugins"});
}

/// Subfolders of `folder`, by name.
inline std::vector<std::string> folders_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

inline at::Tensor tensor_in(const std::filesystem::path& file, const std::string& name) {
  return core::SafetensorsFile(file).tensor(name).clone();
}

inline at::Tensor fixture_rows() {
  return tensor_in(interchange_folder() / "rows.safetensors", "activations");
}

/// Expects the same entries to be active, and values to agree to `kCodeTolerance` of the largest; likewise
/// the reconstruction.
inline void expect_same_codes(core::Run& run, const at::Tensor& codes, const at::Tensor& reconstruction) {
  const Codes encoded = run.encode(fixture_rows());
  const at::Tensor found = encoded.to_dense();
  ASSERT_EQ(found.sizes(), codes.sizes());
  EXPECT_GT(codes.gt(0).sum().item<std::int64_t>(), 2 * codes.size(0)) << "hardly anything is compared";
  EXPECT_TRUE(found.gt(0).equal(codes.gt(0))) << "other features are active";
  EXPECT_LE((found - codes).abs().max().item<double>(), kCodeTolerance * codes.max().item<double>());
  EXPECT_LE((run.decode(encoded) - reconstruction).abs().max().item<double>(),
            kCodeTolerance * reconstruction.abs().max().item<double>());
}

/// Expects every tensor of the safetensors file `expected` in `found`, with the same bits, and no other.
inline void expect_same_tensors(const std::filesystem::path& found, const std::filesystem::path& expected) {
  const core::SafetensorsFile here(found);
  const core::SafetensorsFile there(expected);
  EXPECT_EQ(here.entries().size(), there.entries().size());
  for (const auto& entry : there.entries()) {
    ASSERT_NE(here.find(entry.name), nullptr) << entry.name;
    EXPECT_TRUE(here.tensor(entry.name).equal(there.tensor(entry.name))) << entry.name;
  }
}

}  // namespace regulon::tests
