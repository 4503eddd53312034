/// The arrows between the rooms: plugins -> sdk, core -> sdk, cli -> core, and none the other way.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace regulon::core::testing {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = REGULON_SOURCE_DIR;

/// Words on a line that chooses or looks for a plugin.
constexpr std::array<std::string_view, 10> kPluginWords{
    "plugin", "Plugin", "descriptor", "interface", "find(", "encoder", "loss", "term", "cost", "name =="};

/// A source file: its path from the repository's root, with slashes, and its text.
struct SourceFile {
  std::string path;
  std::string text;
};

std::vector<SourceFile> source_files(const std::string& room) {
  static const std::set<std::string> kKinds{".h", ".cpp", ".cu", ".cuh"};
  std::vector<SourceFile> all;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kRoot / room)) {
    if (!entry.is_regular_file() || kKinds.count(entry.path().extension().string()) == 0) continue;
    std::ifstream file(entry.path());
    all.push_back({fs::relative(entry.path(), kRoot).generic_string(),
                   {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()}});
  }
  return all;
}

bool begins(const std::string& text, const std::string& start) { return text.rfind(start, 0) == 0; }

/// The place of a file: "sdk", "plugins/loss/mse", "core/cli", "core", "tests".
std::string place_of(const std::string& path) {
  std::vector<std::string> parts;
  for (const fs::path& part : fs::path(path)) parts.push_back(part.generic_string());
  if (parts.size() > 3 && parts[0] == "plugins") return parts[0] + "/" + parts[1] + "/" + parts[2];
  if (begins(path, "core/cli/")) return "core/cli";
  return parts.empty() ? "" : parts[0];
}

/// The file that an include means, from the root; empty if it is none of ours.
std::string target_of(const std::string& included, const std::string& from) {
  if (begins(included, "regulon/")) return "sdk/include/" + included;
  for (const char* room : {"sdk/", "core/", "plugins/", "tests/"}) {
    if (begins(included, room)) return included;
  }
  const fs::path beside = (fs::path(from).parent_path() / included).lexically_normal();
  if (fs::exists(kRoot / beside)) return beside.generic_string();
  return fs::exists(kRoot / "sdk/src" / included) && begins(from, "sdk/") ? "sdk/src/" + included : "";
}

/// What is left of `line` after blanks and then `word`; empty if it begins with another word.
std::string_view after(std::string_view line, std::string_view word) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return line.starts_with(word) ? line.substr(word.size()) : std::string_view();
}

std::vector<std::string> includes_of(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::string_view rest = after(after(line, "#"), "include");
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
    if (rest.empty() || (rest[0] != '<' && rest[0] != '"')) continue;
    all.emplace_back(rest.substr(1, rest.find_first_of(">\"", 1) - 1));
  }
  return all;
}

/// Whether a file may include one of ours.
bool allowed(const std::string& from, const std::string& target) {
  const std::string here = place_of(from);
  const std::string there = place_of(target);
  if (here == "tests" || here == there)
    return there != "core/cli" || here == there || begins(from, "tests/unit/cli/");
  const bool public_sdk = begins(target, "sdk/include/");
  if (here == "core/cli") return there == "core" || public_sdk;
  return (here == "core" || begins(here, "plugins/")) && public_sdk;
}

std::vector<std::string> wrong_arrows(const SourceFile& file) {
  std::vector<std::string> wrong;
  for (const std::string& included : includes_of(file.text)) {
    const std::string target = target_of(included, file.path);
    if (!target.empty() && !allowed(file.path, target)) wrong.push_back(file.path + " includes " + target);
  }
  return wrong;
}

/// One past the end of the quoted text that begins at `at`, or the end of the line or file.
std::size_t quoted_end(const std::string& text, std::size_t at) {
  const char quote = text[at];
  for (std::size_t i = at + 1; i < text.size() && text[i] != '\n'; ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      return i + 1;
    }
  }
  return std::min(text.find('\n', at), text.size());
}

/// A text literal, and the whole line on which it begins.
struct Literal {
  std::string text;
  std::string line;
};

std::string line_at(const std::string& text, std::size_t at) {
  const std::size_t before = at == 0 ? std::string::npos : text.rfind('\n', at - 1);
  const std::size_t begin = before == std::string::npos ? 0 : before + 1;
  return text.substr(begin, std::min(text.find('\n', at), text.size()) - begin);
}

/// The text literals of a source, without those in comments.
std::vector<Literal> literals_of(const std::string& text) {
  std::vector<Literal> all;
  std::size_t i = 0;
  while (i < text.size()) {
    const std::string_view rest = std::string_view(text).substr(i);
    if (rest.starts_with("//")) {
      i = std::min(text.find('\n', i), text.size());
    } else if (rest.starts_with("/*")) {
      i = std::min(text.find("*/", i + 2), text.size() - 2) + 2;
    } else if (rest.starts_with("R\"(")) {
      const std::size_t end = std::min(text.find(")\"", i + 3), text.size() - 2);
      all.push_back({text.substr(i + 3, end - i - 3), line_at(text, i)});
      i = end + 2;
    } else if (text[i] == '"') {
      const std::size_t end = quoted_end(text, i);
      all.push_back({text.substr(i + 1, end - i - 2), line_at(text, i)});
      i = end;
    } else if (text[i] == '\'' && (i == 0 || std::isalnum(static_cast<unsigned char>(text[i - 1])) == 0)) {
      i = quoted_end(text, i);
    } else {
      ++i;
    }
  }
  return all;
}

std::set<std::string> plugin_names() {
  std::set<std::string> names;
  for (const fs::directory_entry& kind : fs::directory_iterator(kRoot / "plugins")) {
    if (!kind.is_directory()) continue;
    for (const fs::directory_entry& plugin : fs::directory_iterator(kind)) {
      if (plugin.is_directory()) names.insert(plugin.path().filename().string());
    }
  }
  return names;
}

TEST(Arrows, PointTheRightWay) {
  std::size_t files = 0;
  for (const char* room : {"sdk", "core", "plugins", "tests"}) {
    for (const SourceFile& file : source_files(room)) {
      ++files;
      for (const std::string& wrong : wrong_arrows(file)) ADD_FAILURE() << wrong;
    }
  }
  EXPECT_GT(files, 50U);
}

TEST(Arrows, WrongOnesAreNoticed) {
  const auto wrong = [](const std::string& from, const std::string& line) {
    return !wrong_arrows({from, "#pragma once\n" + line + "\nint x;\n"}).empty();
  };
  EXPECT_TRUE(wrong("sdk/src/a.cpp", "#include \"core/data/source.h\""));
  EXPECT_TRUE(wrong("sdk/src/a.cpp", "  #  include <plugins/loss/a/a.h>"));
  EXPECT_TRUE(wrong("sdk/include/regulon/a.h", "#include \"tests/unit/plugin/bad_plugins.h\""));
  EXPECT_TRUE(wrong("core/train/a.cpp", "#include \"plugins/loss/mse/mse.h\""));
  EXPECT_TRUE(wrong("core/train/a.cpp", "#include \"core/cli/print.h\""));
  EXPECT_TRUE(wrong("core/train/a.cpp", "#include \"sdk/src/ops/a.h\""));
  EXPECT_TRUE(wrong("core/train/a.cpp", "#include \"../../sdk/CMakeLists.txt\""));
  EXPECT_TRUE(wrong("plugins/loss/a/a.cpp", "#include \"core/plugin/host.h\""));
  EXPECT_TRUE(wrong("plugins/loss/a/a.cpp", "#include \"plugins/loss/b/b.h\""));
  EXPECT_TRUE(wrong("plugins/loss/a/a.cpp", "#include \"../../../core/plugin/host.h\""));
  EXPECT_TRUE(wrong("tests/unit/train/a.cpp", "#include \"core/cli/print.h\""));
  EXPECT_FALSE(wrong("core/cli/a.cpp", "#include \"core/plugin/host.h\""));
  EXPECT_FALSE(wrong("core/train/a.cpp", "#include <regulon/step.h>"));
  EXPECT_FALSE(wrong("plugins/loss/a/a.cpp", "#include \"plugins/loss/a/b.h\""));
  EXPECT_FALSE(wrong("plugins/loss/a/a.cpp", "#include <vector>"));
}

TEST(Arrows, PluginsAndSdkDoNotLinkTheCore) {
  for (const char* room : {"plugins", "sdk"}) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kRoot / room)) {
      const std::string extension = entry.path().extension().string();
      if (entry.path().filename() != "CMakeLists.txt" && extension != ".cmake") continue;
      std::ifstream file(entry.path());
      const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
      EXPECT_EQ(text.find("regulon_core"), std::string::npos) << entry.path();
    }
  }
}

TEST(Arrows, SdkHeadersTakeNothingHeavyFromTorch) {
  const std::set<std::string> light{"ATen/core/Tensor.h", "ATen/core/Generator.h"};
  for (const SourceFile& file : source_files("sdk/include")) {
    for (const std::string& included : includes_of(file.text)) {
      const bool ours_or_standard = begins(included, "regulon/") || included.find('/') == std::string::npos;
      EXPECT_TRUE(ours_or_standard || light.count(included) == 1) << file.path << " includes " << included;
    }
  }
}

bool speaks_of_plugins(const std::string& line) {
  return std::any_of(kPluginWords.begin(), kPluginWords.end(),
                     [&](std::string_view word) { return line.find(word) != std::string::npos; });
}

/// Literals that name a plugin where plugins are spoken of. Some plugins' names are common words ("linear",
/// "uniform"), which may stand for other things elsewhere: the shape of a schedule, a distribution, a
/// measure.
std::vector<std::string> plugins_named(const SourceFile& file, const std::set<std::string>& names) {
  std::vector<std::string> found;
  for (const Literal& literal : literals_of(file.text)) {
    if (names.count(literal.text) == 0 || !speaks_of_plugins(literal.line)) continue;
    found.push_back(file.path + " names the plugin '" + literal.text + "': " + literal.line);
  }
  return found;
}

TEST(Arrows, CoreMentionsNoPluginByName) {
  const std::set<std::string> names = plugin_names();
  EXPECT_FALSE(names.empty());
  for (const SourceFile& file : source_files("core")) {
    for (const std::string& found : plugins_named(file, names)) ADD_FAILURE() << found;
  }
}

TEST(Arrows, NamesOfPluginsAreNoticed) {
  const auto count = [](const std::string& text) {
    return plugins_named({"core/a.cpp", text}, {"mse", "linear"}).size();
  };
  EXPECT_EQ(count("int x;\nif (choice.plugin == \"mse\") return;"), 1U);
  EXPECT_EQ(count("catalogue.find(kind, \"linear\")"), 1U);
  EXPECT_EQ(count("if (name == \"mse\") f(\"loss_term/1\", \"mse\");"), 2U);
  EXPECT_EQ(count("shape = \"linear\";  \nplugin = \"another\";"), 0U);
  EXPECT_EQ(count("// plugin \"mse\"\nplugin = \"mse_but_longer\";"), 0U);
}

TEST(Arrows, LiteralsAreReadApartFromComments) {
  std::vector<std::string> found;
  for (const Literal& literal :
       literals_of("// \"no\"\nf(\"yes\", '\"', \"a\\\"b\"); /* \"no\" * */ g(\"\"); // it's\n"
                   "n = 1'000; h(\"last\", R\"(raw \"x\")\");")) {
    found.push_back(literal.text);
  }
  EXPECT_EQ(found, (std::vector<std::string>{"yes", "a\\\"b", "", "last", "raw \"x\""}));
}

}  // namespace
}  // namespace regulon::core::testing
