#include "core/plugin/manifest.h"
#include <ATen/Version.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/plugin.h>
#include "core/plugin/elf_section.h"

#include <algorithm>
#include <map>

namespace regulon::core {
namespace {

constexpr std::string_view kFirstLine = "regulon-manifest";
constexpr std::size_t kLongestManifest = 4096;
constexpr std::size_t kLongestName = 64;
constexpr const char* kWriteIt =
    "End its source with REGULON_LOSS_TERM, REGULON_ENCODER or REGULON_FEATURE_COST and rebuild it, or take "
    "the file "
    "out of the plugin folder";

bool word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.';
}

bool printable(char c) { return c >= ' ' && c <= '~'; }

/// `text` with everything that is not printable shown as '?', and cut to a length fit for a message.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, kLongestName));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return !printable(c); }, '?');
  return out;
}

ManifestRead malformed(std::string expected, std::string found) {
  return {{}, {{}, "its manifest cannot be read", std::move(expected), std::move(found), kWriteIt}};
}

/// The lines of the manifest by key; the first problem, if any, in `problem`.
std::map<std::string, std::string> key_values(std::string_view text, ManifestRead& problem) {
  std::map<std::string, std::string> found;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos || !std::all_of(line.begin(), line.end(), printable)) {
      problem = malformed("lines of the form key=value", fmt::format("'{}'", shown(line)));
      return {};
    }
    const auto [at, fresh] = found.emplace(line.substr(0, equals), line.substr(equals + 1));
    if (!fresh) {
      problem = malformed("every key once", fmt::format("'{}' twice", shown(at->first)));
      return {};
    }
  }
  return found;
}

std::string loaded_torch_version() {
  const std::string facts = at::show_config();
  constexpr std::string_view key = "TORCH_VERSION=";
  const std::size_t at = facts.find(key);
  if (at == std::string::npos) return {};
  const std::size_t begin = at + key.size();
  return facts.substr(begin, facts.find_first_of(", \n", begin) - begin);
}

/// Collects the differences, so that all are told at once.
class Differences {
 public:
  void compare(std::string_view label, const std::string& expected, const std::string& found,
               std::string advice) {
    if (expected == found) return;
    expected_.push_back(fmt::format("{} {}", label, expected));
    found_.push_back(fmt::format("{} {}", label, shown(found)));
    advice_.push_back(std::move(advice));
  }
  bool any() const { return !expected_.empty(); }
  Problem problem() const {
    return {
        {},
        "it was not built for this program",
        fmt::format("{}", fmt::join(expected_, ", ")),
        fmt::format("{}", fmt::join(found_, ", ")),
        fmt::format("Rebuild the plugin: {}; begin with an empty build folder, since CMake keeps old paths",
                    fmt::join(advice_, ", "))};
  }

 private:
  std::vector<std::string> expected_;
  std::vector<std::string> found_;
  std::vector<std::string> advice_;
};

}  // namespace

ManifestRead parse_manifest(std::string_view text) {
  if (text.size() > kLongestManifest) {
    return malformed(fmt::format("at most {} bytes", kLongestManifest), fmt::format("{} bytes", text.size()));
  }
  while (!text.empty() && text.back() == '\0')
    text.remove_suffix(1);  // the literal's end, and the linker's padding
  const std::string_view first = text.substr(0, text.find('\n'));
  if (first != kFirstLine) {
    return malformed(fmt::format("a first line '{}'", kFirstLine), fmt::format("'{}'", shown(first)));
  }
  text.remove_prefix(std::min(text.size(), first.size() + 1));
  ManifestRead read;
  std::map<std::string, std::string> values = key_values(text, read);
  if (!read.problem.what.empty()) return read;
  for (const auto& [key, slot] : {std::pair{"sdk", &Manifest::sdk},
                                  {"interface", &Manifest::interface_id},
                                  {"name", &Manifest::name},
                                  {"torch", &Manifest::torch},
                                  {"compiler", &Manifest::compiler}}) {
    auto node = values.extract(key);
    if (node.empty() || node.mapped().empty()) {
      return malformed(fmt::format("a line '{}=…'", key), "none");
    }
    read.manifest.*slot = std::move(node.mapped());
  }
  if (!values.empty()) {
    return malformed("the keys sdk, interface, name, torch and compiler",
                     fmt::format("'{}' too", shown(values.begin()->first)));
  }
  const std::string& name = read.manifest.name;
  if (name.size() > kLongestName || !std::all_of(name.begin(), name.end(), word_character)) {
    return malformed(fmt::format("a name of at most {} letters, digits, '_', '-' and '.'", kLongestName),
                     fmt::format("'{}'", shown(name)));
  }
  return read;
}

ManifestRead read_manifest(std::string_view library) {
  const ElfSection section = find_elf_section(library, REGULON_MANIFEST_SECTION);
  if (!section.problem.empty()) {
    return {{},
            {{},
             "it cannot be used as a plugin",
             "a shared library for this machine",
             section.problem,
             "Rebuild or copy it anew, or take it out of the plugin folder"}};
  }
  if (!section.content) {
    return {{},
            {{},
             "it has no plugin manifest",
             "a section " REGULON_MANIFEST_SECTION,
             "a library without one",
             kWriteIt}};
  }
  return parse_manifest(*section.content);
}

BuildFacts this_program() {
  return {REGULON_TEXT(REGULON_SDK_REVISION), REGULON_TORCH_VERSION, loaded_torch_version(),
          REGULON_COMPILER};
}

const std::vector<std::string>& plugin_interfaces() {
  static const std::vector<std::string> kIds{"loss_term/1", "encoder/1", "feature_cost/1"};
  return kIds;
}

Problem misfit(const Manifest& manifest, const BuildFacts& facts) {
  const std::vector<std::string>& known = plugin_interfaces();
  const bool interface_known = std::find(known.begin(), known.end(), manifest.interface_id) != known.end();
  Differences differences;
  differences.compare("SDK revision", facts.sdk, manifest.sdk,
                      "point regulon_DIR at this program's SDK (the folder with regulonConfig.cmake)");
  if (!interface_known) {
    differences.compare("interface", fmt::format("{}", fmt::join(known, " or ")), manifest.interface_id,
                        "declare it with a macro of this program's SDK");
  }
  differences.compare("torch", facts.torch, manifest.torch,
                      fmt::format("set REGULON_TORCH_DIR to the folder of torch {}", facts.torch));
  differences.compare("compiler", facts.compiler, manifest.compiler,
                      fmt::format("set CMAKE_CXX_COMPILER to {}", facts.compiler));
  Problem problem;
  if (differences.any()) problem = differences.problem();
  if (!facts.torch_loaded.empty() && facts.torch_loaded != facts.torch) {
    const std::string mixed = fmt::format(
        "this program was built with torch {} but runs on the libraries of torch {}: "
        "rebuild the program",
        facts.torch, facts.torch_loaded);
    if (problem.what.empty()) problem.what = "no plugin can be loaded";
    problem.hint += (problem.hint.empty() ? "" : ". Also, ") + mixed;
  }
  return problem;
}

}  // namespace regulon::core
