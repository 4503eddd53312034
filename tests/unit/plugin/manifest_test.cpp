#include "core/plugin/manifest.h"

#include <regulon/plugin.h>

#include "tests/unit/plugin/bad_plugins.h"

namespace regulon::core::testing {
namespace {

const std::string kGood =
    "regulon-manifest\nsdk=1\ninterface=loss_term/1\nname=hoyer\ntorch=2.11.0\ncompiler=gcc 12\n";

const BuildFacts kFacts{"1", "2.11.0", "2.11.0", "gcc 12"};

std::string complaint(const std::string& text) { return describe(parse_manifest(text).problem); }

TEST(Manifest, IsTakenApart) {
  const ManifestRead read = parse_manifest(kGood + std::string(3, '\0'));
  EXPECT_EQ(describe(read.problem), "");
  EXPECT_EQ(read.manifest.sdk, "1");
  EXPECT_EQ(read.manifest.interface_id, "loss_term/1");
  EXPECT_EQ(read.manifest.name, "hoyer");
  EXPECT_EQ(read.manifest.torch, "2.11.0");
  EXPECT_EQ(read.manifest.compiler, "gcc 12");
}

TEST(Manifest, MacroWritesWhatTheReaderReads) {
  const ManifestRead read = parse_manifest(REGULON_MANIFEST_TEXT("encoder/1", "mine"));
  EXPECT_EQ(describe(read.problem), "");
  EXPECT_EQ(read.manifest.name, "mine");
  EXPECT_EQ(misfit(read.manifest, this_program()).what, "");
}

TEST(Manifest, MalformedTextIsRefused) {
  expect_words(complaint(""), {"first line 'regulon-manifest'"});
  expect_words(complaint("regulon-manifesto\n" + kGood.substr(17)), {"regulon-manifesto"});
  expect_words(complaint(kGood + "name=again\n"), {"every key once", "'name' twice"});
  expect_words(complaint(kGood + "colour=red\n"), {"'colour' too"});
  expect_words(complaint(kGood + "no equals sign\n"), {"key=value", "no equals sign"});
  expect_words(complaint(kGood + "colour=\x01\n"), {"key=value", "colour=?"});
  expect_words(complaint("regulon-manifest\nsdk=1\n"), {"interface=", "found none"});
  expect_words(
      complaint("regulon-manifest\nsdk=1\ninterface=loss_term/1\nname=a b\ntorch=2\ncompiler=gcc 12\n"),
      {"letters, digits", "'a b'"});
  expect_words(complaint("regulon-manifest\n" + std::string(5000, 'x')), {"at most 4096 bytes"});
}

TEST(Manifest, TellsAllMisfitsAtOnce) {
  const Manifest manifest{"9", "loss_term/7", "hoyer", "1.13.1", "gcc 4"};
  const std::string message = describe(misfit(manifest, kFacts));
  expect_words(message, {"SDK revision 1", "SDK revision 9", "loss_term/1", "loss_term/7", "torch 2.11.0",
                         "torch 1.13.1", "gcc 12", "gcc 4", "Rebuild", "regulon_DIR", "REGULON_TORCH_DIR",
                         "CMAKE_CXX_COMPILER"});
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

TEST(Manifest, TellsOnlyWhatDiffers) {
  const std::string message = describe(misfit({"1", "encoder/1", "hoyer", "1.13.1", "gcc 12"}, kFacts));
  expect_words(message, {"torch 2.11.0", "torch 1.13.1", "REGULON_TORCH_DIR"});
  EXPECT_EQ(message.find("gcc"), std::string::npos) << message;
  EXPECT_EQ(message.find("SDK revision"), std::string::npos) << message;
}

TEST(Manifest, NoticesAProgramOnAnotherTorch) {
  const Manifest fits{"1", "encoder/1", "hoyer", "2.11.0", "gcc 12"};
  EXPECT_EQ(misfit(fits, kFacts).what, "");
  BuildFacts mixed = kFacts;
  mixed.torch_loaded = "2.12.0";
  expect_words(describe(misfit(fits, mixed)), {"2.11.0", "2.12.0", "rebuild the program"});
}

TEST(Manifest, LoadedTorchTellsItsVersion) { EXPECT_EQ(this_program().torch_loaded, REGULON_TORCH_VERSION); }

}  // namespace
}  // namespace regulon::core::testing
