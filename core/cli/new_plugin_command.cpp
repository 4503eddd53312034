#include <fmt/format.h>
#include <regulon/error.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/cli/commands.h"
#include "core/cli/options.h"
#include "core/io/atomic_file.h"
#include "core/io/mapped_file.h"
#include "core/plugin/host.h"

namespace regulon::cli {
namespace {

namespace fs = std::filesystem;

struct NewPluginArguments {
  std::string kind;  ///< a folder of sdk/template: loss, encoder, cost
  std::string name;
  fs::path out;  ///< empty: the name, here
  std::vector<fs::path> plugin_path;
};

constexpr std::size_t kLongestName = 40;

/// The kinds, and the interface of each.
const std::map<std::string, std::string>& kinds() {
  static const std::map<std::string, std::string> all = {
      {"cost", "feature_cost/1"}, {"encoder", "encoder/1"}, {"loss", "loss_term/1"}};
  return all;
}

/// "group_lasso" as a class is called: "GroupLasso".
std::string class_name(const std::string& name) {
  std::string text;
  bool begins = true;
  for (const char letter : name) {
    if (letter != '_')
      text += begins ? static_cast<char>(std::toupper(static_cast<unsigned char>(letter))) : letter;
    begins = letter == '_';
  }
  return text;
}

void check_name(const std::string& name) {
  const auto fits = [](unsigned char c) { return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '_'; };
  if (!name.empty() && name.size() <= kLongestName &&
      std::islower(static_cast<unsigned char>(name[0])) != 0 && std::all_of(name.begin(), name.end(), fits)) {
    return;
  }
  throw InputError({"regulon new-plugin", "a plugin cannot be called that",
                    fmt::format("1 to {} of a-z, 0-9 and _, a letter first", kLongestName), "'" + name + "'",
                    ""});
}

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

/// One file of the template, under the plugin's name in its path and its text.
void copy_renamed(const fs::path& from, const fs::path& folder, const std::string& kind,
                  const std::string& name) {
  const core::MappedFile written(from);
  std::string text(reinterpret_cast<const char*>(written.data()), written.size());
  std::string file = from.filename().string();
  for (std::string* part : {&file, &text}) {
    replace_all(*part, "my_" + kind, name);
    replace_all(*part, class_name("my_" + kind), class_name(name));
  }
  core::write_atomically(folder / file, text);
}

/// Copies the template under the plugin's own name, and says what to do with it.
int new_plugin_command(const NewPluginArguments& arguments) {
  const std::string& kind = arguments.kind;
  const std::string& name = arguments.name;
  check_name(name);
  core::PluginHost host(arguments.plugin_path);
  const std::vector<std::string> taken = host.names(kinds().at(kind));
  if (std::find(taken.begin(), taken.end(), name) != taken.end()) {
    throw InputError({"regulon new-plugin", "there is a plugin of that name already", "another name", name,
                      fmt::format("`regulon plugins {}` tells about it", name)});
  }
  const fs::path folder = arguments.out.empty() ? fs::path(name) : arguments.out;
  if (fs::exists(folder)) {
    throw InputError(
        {folder.string(), "exists already", "a folder to be made", "", "choose another with --out"});
  }
  fs::create_directories(folder);
  for (const auto& entry : fs::directory_iterator(fs::path(REGULON_TEMPLATE_DIR) / kind))
    copy_renamed(entry.path(), folder, kind, name);
  fmt::print(
      "{0}/{1}.cpp is yours to fill in. As it is, it builds, is checked, and trains:\n"
      "  cmake -S '{0}' -B '{0}/build' -G Ninja -Dregulon_DIR='{2}' && ninja -C '{0}/build'\n"
      "  ./regulon check-plugin '{0}/build/plugins/{1}.so'\n"
      "  ./regulon train '{0}/{1}.toml'\n",
      folder.string(), name, REGULON_PACKAGE_DIR);
  return 0;
}

}  // namespace

void add_new_plugin(CLI::App& app, std::function<int()>& run) {
  const auto arguments = std::make_shared<NewPluginArguments>();
  auto* verb = app.add_subcommand("new-plugin", "Begin a plugin of your own: a folder that builds as it is");
  std::vector<std::string> words;
  for (const auto& [word, interface_id] : kinds()) words.push_back(word);
  verb->add_option("KIND", arguments->kind, "loss, encoder or cost")->required()->check(CLI::IsMember(words));
  verb->add_option("NAME", arguments->name, "As configs will call it: group_lasso")->required();
  verb->add_option("--out", arguments->out, "Folder to make (NAME)");
  add_plugin_path(*verb, arguments->plugin_path);
  verb->callback([arguments, &run] { run = [arguments] { return new_plugin_command(*arguments); }; });
}

}  // namespace regulon::cli
