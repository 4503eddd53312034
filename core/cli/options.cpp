#include "core/cli/options.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <system_error>
#include <utility>

#include "core/config/config.h"

namespace regulon::cli {

namespace fs = std::filesystem;

void add_plugin_path(CLI::App& verb, std::vector<fs::path>& plugin_path) {
  verb.add_option("--plugin-path", plugin_path, "One more folder to look for plugins in")->take_all();
}

void add_vocabulary(CLI::App& verb, fs::path& vocabulary, const std::string& when) {
  verb.add_option("--vocab", vocabulary,
                  when + " text file whose line i, from 0, is token i, to name tokens by");
}

namespace {

/// The number that is written in `text`, all of it; NaN if it is not one.
double number_in(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return end != text.c_str() && *end == '\0' ? value : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

/// CLI11's own check of this ends its message in the largest double, written out.
CLI::Validator not_negative() {
  return {[](const std::string& text) {
            const double value = number_in(text);
            if (value >= 0 && std::isfinite(value)) return std::string();
            return fmt::format("expected a finite number of at least 0, found '{}'", text);
          },
          "NOT NEGATIVE"};
}

/// CLI11's own check of this lets NaN through.
CLI::Validator share_up_to(double most) {
  return {[most](const std::string& text) {
            const double value = number_in(text);
            if (value >= 0 && value <= most) return std::string();
            return fmt::format("expected a share from 0 to {}, found '{}'", most, text);
          },
          fmt::format("0 to {}", most)};
}

/// CLI11's own check of this does not say what is wrong with 1e3.
CLI::Validator whole_number(std::int64_t least, std::int64_t most) {
  return {[least, most](const std::string& text) {
            std::int64_t value = 0;
            const std::errc error = std::from_chars(text.data(), text.data() + text.size(), value).ec;
            // Written otherwise, CLI11 would read it otherwise, too: 010 as 8.
            const bool plain = error == std::errc() && fmt::to_string(value) == text;
            if (plain && value >= least && value <= most) return std::string();
            return fmt::format("expected a whole number from {} to {}, found '{}'", least, most, text);
          },
          fmt::format("{} to {}", least, most)};
}

std::vector<fs::path> plugin_folders(const std::vector<fs::path>& plugin_path, const fs::path& config,
                                     const std::vector<std::string>& overrides) {
  std::vector<fs::path> folders = plugin_path;
  for (auto& folder : core::plugin_path_of(config, overrides)) folders.push_back(std::move(folder));
  return folders;
}

}  // namespace regulon::cli
