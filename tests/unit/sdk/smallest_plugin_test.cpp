#include <gtest/gtest.h>
#include <regulon/loss_term.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/unit/support/load_plugin.h"

namespace regulon {
namespace {

constexpr int kMostLines = 25;
constexpr std::size_t kMostColumns = 110;

TEST(SmallestPlugin, IsAtMost25LinesWithItsBuildFile) {
  const std::filesystem::path folder =
      std::filesystem::path(REGULON_SOURCE_DIR) / "plugins" / "loss" / "hoyer_square";
  int lines = 0;
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    ++files;
    std::ifstream stream(entry.path());
    for (std::string line; std::getline(stream, line); ++lines) {
      EXPECT_LE(line.size(), kMostColumns) << "fewer lines by longer ones do not count";
    }
  }
  EXPECT_EQ(files, 2) << "one source and one build file";
  EXPECT_GT(lines, 10) << "too short to be a plugin: was the folder read?";
  EXPECT_LE(lines, kMostLines);
}

TEST(SmallestPlugin, IsBuilt) {
  const PluginDescriptor descriptor = tests::load_plugin("hoyer_square");
  EXPECT_EQ(descriptor.interface_id, "loss_term/1");
  EXPECT_EQ(descriptor.name, "hoyer_square");
  EXPECT_NE(dynamic_cast<LossTerm*>(descriptor.make().get()), nullptr);
}

}  // namespace
}  // namespace regulon
