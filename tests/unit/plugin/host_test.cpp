#include "core/plugin/host.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <ostream>

#include "tests/unit/plugin/bad_plugins.h"

namespace regulon::core::testing {
namespace {

namespace fs = std::filesystem;

const PluginFile* file_named(const PluginHost& host, const std::string& file_name) {
  const auto& files = host.files();
  const auto at = std::find_if(files.begin(), files.end(),
                               [&](const PluginFile& file) { return file.path.filename() == file_name; });
  return at == files.end() ? nullptr : &*at;
}

/// REGULON_PLUGIN_PATH while a test runs.
class PluginPathVariable {
 public:
  explicit PluginPathVariable(const std::string& value) { setenv("REGULON_PLUGIN_PATH", value.c_str(), 1); }
  PluginPathVariable(const PluginPathVariable&) = delete;
  PluginPathVariable& operator=(const PluginPathVariable&) = delete;
  ~PluginPathVariable() { unsetenv("REGULON_PLUGIN_PATH"); }
};

TEST(PluginHost, LoadsNothingUntilItIsAskedTo) {
  ScratchFolder scratch;
  const fs::path copy = scratch.path() / "copy.so";
  fs::copy_file(bad_folder("misbehaves") / "misbehaves_cost.so", copy);
  PluginHost host({scratch.path()});
  ASSERT_NE(file_named(host, "copy.so"), nullptr);
  EXPECT_EQ(host.names("feature_cost/1").size(), PluginHost({}).names("feature_cost/1").size() + 1);
  const std::string real = fs::canonical(copy).string();
  EXPECT_EQ(dlopen(real.c_str(), RTLD_LAZY | RTLD_NOLOAD), nullptr);
  EXPECT_NE(host.find("feature_cost/1", "misbehaves"), nullptr);
  EXPECT_NE(dlopen(real.c_str(), RTLD_LAZY | RTLD_NOLOAD), nullptr);
}

TEST(PluginHost, DescriptorKnowsItsFile) {
  PluginHost host({bad_folder("misbehaves")});
  const PluginDescriptor* descriptor = host.find("loss_term/1", "misbehaves");
  ASSERT_NE(descriptor, nullptr);
  EXPECT_EQ(descriptor, host.find("loss_term/1", "misbehaves"));
  EXPECT_EQ(descriptor->summary, "Does one thing wrong");
  ASSERT_EQ(descriptor->params.size(), 1U);
  EXPECT_EQ(descriptor->params[0].name, "how");
  const fs::path path = fs::canonical(bad_folder("misbehaves") / "misbehaves_loss.so");
  EXPECT_EQ(host.origin(*descriptor), path.string());
  const PluginDescriptor* encoder = host.find("encoder/1", "misbehaves");
  ASSERT_NE(encoder, nullptr);
  EXPECT_EQ(host.hash(*descriptor).size(), 32U);
  EXPECT_NE(host.hash(*descriptor), host.hash(*encoder));
  EXPECT_EQ(host.find("loss_term/1", "no_such_plugin"), nullptr);
}

TEST(PluginHost, HashFollowsTheContent) {
  ScratchFolder scratch;
  const std::string bytes = read_bytes(bad_folder("no_entry") / "no_entry.so");
  write_bytes(scratch.path() / "padded.so", bytes + "x");
  const PluginHost original({bad_folder("no_entry")});
  const PluginHost padded({scratch.path()});
  ASSERT_NE(file_named(original, "no_entry.so"), nullptr);
  ASSERT_NE(file_named(padded, "padded.so"), nullptr);
  EXPECT_NE(file_named(original, "no_entry.so")->hash, file_named(padded, "padded.so")->hash);
}

TEST(PluginHost, BuiltInsAreListedBesideThePlugins) {
  PluginHost host({bad_folder("misbehaves")});
  const std::vector<std::string> activations = host.names("activation/1");
  EXPECT_TRUE(std::is_sorted(activations.begin(), activations.end()));
  EXPECT_NE(std::find(activations.begin(), activations.end(), "topk"), activations.end());
  const PluginDescriptor* topk = host.find("activation/1", "topk");
  ASSERT_NE(topk, nullptr);
  EXPECT_EQ(host.origin(*topk), "built in");
  EXPECT_EQ(host.hash(*topk), "sdk 1");
  const PluginDescriptor* pairs = host.find("source/1", "toy.pairs");
  ASSERT_NE(pairs, nullptr);
  EXPECT_EQ(pairs->interface_id, "source/1");
  EXPECT_EQ(host.find("activation/1", "misbehaves"), nullptr);
  const std::vector<std::string> terms = host.names("loss_term/1");
  EXPECT_NE(std::find(terms.begin(), terms.end(), "misbehaves"), terms.end());
}

TEST(PluginHost, SearchesTheVariableAndGivenFoldersOnce) {
  const std::string folder = bad_folder("misbehaves").string();
  const PluginPathVariable variable(":" + folder + ":" + folder + "/../misbehaves/:");
  PluginHost host({});
  EXPECT_NE(host.find("loss_term/1", "misbehaves"), nullptr);
  EXPECT_NO_THROW(PluginHost({folder, folder}));
}

TEST(PluginHost, MissingFolderNamesWhoAskedForIt) {
  expect_words(message_of<InputError>([] { PluginHost({"/no/such/folder"}); }),
               {"/no/such/folder", "--plugin-path", "No such file"});
  const PluginPathVariable variable("/nor/this/one");
  expect_words(message_of<InputError>([] { PluginHost({}); }), {"/nor/this/one", "REGULON_PLUGIN_PATH"});
}

TEST(PluginHost, DuplicateNamesBothFiles) {
  expect_words(message_of<InputError>([] { PluginHost({bad_folder("duplicate_id")}); }),
               {"one_of_two", "first_of_two.so", "second_of_two.so", "loss_term/1", "Remove or rename"});
}

TEST(PluginHost, OneBadFileDoesNotHideTheOthers) {
  ScratchFolder scratch;
  fs::copy_file(bad_folder("misbehaves") / "misbehaves_loss.so", scratch.path() / "good.so");
  write_bytes(scratch.path() / "text.so", "a text");
  fs::create_directory(scratch.path() / "folder.so");
  fs::create_symlink("/no/such/file", scratch.path() / "broken_link.so");
  write_bytes(scratch.path() / "ignored.txt", "not looked at");
  PluginHost host({scratch.path()});
  EXPECT_NE(host.find("loss_term/1", "misbehaves"), nullptr);
  for (const char* name : {"text.so", "folder.so", "broken_link.so"}) {
    ASSERT_NE(file_named(host, name), nullptr) << name;
    EXPECT_NE(file_named(host, name)->problem, "") << name;
  }
  EXPECT_EQ(file_named(host, "ignored.txt"), nullptr);
}

/// A library that cannot be used: where it lies, what it is asked for as, and what the message has to say.
struct Unusable {
  std::string folder;
  std::string name;
  std::vector<std::string> words;
};

std::ostream& operator<<(std::ostream& out, const Unusable& unusable) { return out << unusable.folder; }

class UnusableLibrary : public ::testing::TestWithParam<Unusable> {};

TEST_P(UnusableLibrary, GivesOneMessageAndTheProcessGoesOn) {
  const Unusable& unusable = GetParam();
  PluginHost host({bad_folder(unusable.folder), bad_folder("misbehaves")});
  const std::string message = message_of<InputError>([&] { host.find("loss_term/1", unusable.name); });
  expect_words(message, {"plugin " + unusable.name, unusable.folder + "/", "expected", "found"});
  expect_words(message, unusable.words);
  EXPECT_NE(host.find("loss_term/1", "misbehaves"), nullptr);
}

INSTANTIATE_TEST_SUITE_P(
    All, UnusableLibrary,
    ::testing::Values(
        Unusable{"not_a_library", "not_a_library", {"does not begin like an ELF file", "take it out"}},
        Unusable{"empty_file", "empty_file", {"the file is empty", "Rebuild"}},
        Unusable{"truncated", "truncated", {"cut off", "3000 bytes", "Rebuild"}},
        Unusable{"no_manifest", "no_manifest", {"no plugin manifest", ".regulon", "REGULON_LOSS_TERM"}},
        Unusable{"malformed_manifest", "malformed_manifest", {"cannot be read", "'name' twice"}},
        Unusable{"wrong_sdk", "wrong_sdk", {"SDK revision 1", "SDK revision 99", "Rebuild", "regulon_DIR"}},
        Unusable{"wrong_torch",
                 "wrong_torch",
                 {"torch " REGULON_TORCH_VERSION, "torch 1.13.1", "REGULON_TORCH_DIR"}},
        Unusable{"wrong_compiler",
                 "wrong_compiler",
                 {"compiler " REGULON_COMPILER, "gcc 4", "CMAKE_CXX_COMPILER"}},
        Unusable{"wrong_in_all",
                 "wrong_in_all",
                 {"SDK revision 99", "torch 1.13.1", "gcc 4", "loss_term/7", "Rebuild"}},
        Unusable{"undefined_symbol",
                 "undefined_symbol",
                 {"undefined symbol regulon::gone_from_the_sdk(int)", "link the library"}},
        Unusable{"no_entry", "no_entry", {"no entry", "regulon_plugin", "REGULON_LOSS_TERM"}},
        Unusable{"disagrees", "disagrees", {"not what its manifest says", "loss_term/1 'disagrees'"}},
        Unusable{"throws_in_declare",
                 "throws_in_declare",
                 {"in declare", "std::runtime_error: no luck in declare", "Mend"}}),
    [](const auto& info) { return info.param.name; });

TEST(PluginHost, InterfaceOfAnotherKindIsReportedToWhoAsksForIt) {
  PluginHost host({bad_folder("unknown_interface")});
  const PluginFile* file = file_named(host, "unknown_interface.so");
  ASSERT_NE(file, nullptr);
  expect_words(file->problem, {"optimiser/1", "loss_term/1", "encoder/1", "feature_cost/1"});
  expect_words(message_of<InputError>([&] { host.find("loss_term/1", "unknown_interface"); }),
               {"plugin unknown_interface", "optimiser/1"});
}

TEST(PluginHost, ThrowInConstructorNamesThePlugin) {
  PluginHost host({bad_folder("throws_in_constructor")});
  const PluginDescriptor* descriptor = host.find("loss_term/1", "throws_in_constructor");
  ASSERT_NE(descriptor, nullptr);
  for (int again = 0; again < 2; ++again) {
    expect_words(
        message_of<RunError>([&] { descriptor->make(); }),
        {"plugin throws_in_constructor", "throws_in_constructor.so", "constructor", "type int", "Mend"});
  }
}

TEST(PluginHost, ObjectOfAnotherInterfaceIsRefused) {
  PluginHost host({bad_folder("another_class")});
  const PluginDescriptor* descriptor = host.find("loss_term/1", "another_class");
  ASSERT_NE(descriptor, nullptr);
  expect_words(message_of<RunError>([&] { descriptor->make(); }),
               {"plugin another_class", "an object of loss_term/1", "another class", "Derive"});
}

TEST(PluginHost, UnreadableFileIsReported) {
  ScratchFolder scratch;
  const fs::path file = scratch.path() / "secret.so";
  write_bytes(file, "x");
  fs::permissions(file, fs::perms::none);
  if (!read_bytes(file).empty()) GTEST_SKIP() << "this user may read every file";
  const PluginHost host({scratch.path()});
  ASSERT_NE(file_named(host, "secret.so"), nullptr);
  expect_words(file_named(host, "secret.so")->problem, {"cannot be read", "Permission denied"});
}

}  // namespace
}  // namespace regulon::core::testing
