/// The command line: exit codes and messages as a person meets them.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/io/safetensors.h"
#include "tests/unit/support/expect_words.h"
#include "tests/unit/support/program.h"

namespace regulon::tests {
namespace {

namespace fs = std::filesystem;

constexpr char kConfig[] = R"(
[run]
steps = 20
report_every = 10
[data]
source = "toy.pairs"
batch = 64
[model]
features = 16
[encoder]
plugin = "linear"
[[loss]]
plugin = "mse"
)";

class CommandLine : public ::testing::Test {
 protected:
  void SetUp() override { write_file(config_, kConfig); }
  Ended train(const fs::path& out, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"train", config_.string(), "--out", out.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments);
  }
  ScratchFolder scratch_;
  fs::path config_ = scratch_ / "small.toml";
};

TEST_F(CommandLine, UnknownVerbGetsASuggestion) {
  const Ended ended = run_program({"trian"});
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {"trian", "did you mean 'train'?"});
}

TEST_F(CommandLine, UnknownOptionGetsASuggestion) {
  const Ended ended = run_program({"train", config_.string(), "--resum"});
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {"--resum", "did you mean '--resume'?"});
}

TEST_F(CommandLine, CountsAreWholeNumbersInTheirRange) {
  for (const std::string count : {"1e3", "0", "-1", "many", "7.5", "1073741825", "99999999999999999999",
                                  "010", "0x10", "+5", " 5", ""}) {
    const Ended ended = run_program({"bench", "step", "--batch", count});
    EXPECT_EQ(ended.exit_code, 2);
    expect_words(ended.err, {"--batch", "a whole number from 1 to 1073741824, found '" + count + "'"});
    expect_words(ended.err, {"`regulon bench step --help`"});
  }
  const Ended of_gap = run_program({"eval", "run", "--gap", "--k", "2.5"});
  EXPECT_EQ(of_gap.exit_code, 2);
  expect_words(of_gap.err, {"--k", "a whole number from 0", "found '2.5'"});
}

TEST_F(CommandLine, SharesAreNumbersInTheirRange) {
  for (const std::string share : {"nan", "0.95", "-0.1", "half"}) {
    const Ended ended = run_program({"bench", "step", "--dead", share});
    EXPECT_EQ(ended.exit_code, 2);
    expect_words(ended.err, {"--dead", "a share from 0 to 0.9, found '" + share + "'"});
  }
}

TEST_F(CommandLine, AnOptionOfAVerbBelowAnotherGetsASuggestion) {
  const Ended ended = run_program({"bench", "step", "--batc", "5"});
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {"--batc", "did you mean '--batch'?"});
}

TEST_F(CommandLine, AConfigThatOptionsMakeIsCalledWhatItIs) {
  const Ended ended = run_program({"bench", "step", "--features", "8", "--k", "9"});
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {"what bench step's options make", "at most 8", "found 9"});
}

TEST_F(CommandLine, APluginThatIsNotBuiltYetIsToBeBuilt) {
  const fs::path folder = scratch_ / "build";
  const Ended missing = train(scratch_ / "run", {"--plugin-path", folder.string()});
  EXPECT_EQ(missing.exit_code, 2);
  expect_words(missing.err, {folder.string(), "Build what is to be there"});
  fs::create_directories(folder);
  const Ended empty =
      train(scratch_ / "run", {"--plugin-path", folder.string(), "--set", "encoder.plugin=mine"});
  EXPECT_EQ(empty.exit_code, 2);
  expect_words(empty.err, {"unknown encoder 'mine'", "build it, and name the folder of its .so"});
}

TEST_F(CommandLine, EveryVerbHasHelp) {
  for (const std::string verb :
       {"quickstart", "train", "study", "bench", "report", "data", "eval", "compare", "combine", "encode",
        "refit", "export", "import", "plugins", "new-plugin", "check-plugin"}) {
    const Ended ended = run_program({verb, "--help"});
    EXPECT_EQ(ended.exit_code, 0) << verb;
    EXPECT_NE(ended.out.find(verb), std::string::npos) << ended.out;
  }
  EXPECT_EQ(run_program({}).exit_code, 2);
}

TEST_F(CommandLine, TrainWritesTheRunsFolder) {
  const fs::path run = scratch_ / "run";
  const Ended ended = train(run);
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  expect_words(ended.out, {"FVU", "L0", "true features found"});
  for (const std::string file : {"manifest.json", "metrics.jsonl", "weights.safetensors", "summary.json"}) {
    EXPECT_TRUE(fs::exists(run / file)) << file;
  }
  const auto manifest = nlohmann::json::parse(read_file(run / "manifest.json"));
  for (const std::string key : {"config", "plugins", "data", "seed", "versions"})
    EXPECT_TRUE(manifest.contains(key));
  std::istringstream metrics(read_file(run / "metrics.jsonl"));
  std::string line;
  ASSERT_TRUE(std::getline(metrics, line));
  const auto first = nlohmann::json::parse(line);
  EXPECT_EQ(first["step"], 10);
  EXPECT_TRUE(first["terms"]["mse"].contains("weighted"));
  const core::SafetensorsFile weights(run / "weights.safetensors");
  EXPECT_EQ(weights.tensor("decoder.weight").sizes(), at::IntArrayRef({16, 16}));
  EXPECT_EQ(weights.tensor("encoder.weight").sizes(), at::IntArrayRef({16, 16}));
  EXPECT_EQ(weights.tensor("encoder.bias").sizes(), at::IntArrayRef({16}));
}

TEST_F(CommandLine, EvalRepeatsWhatTrainSaid) {
  const fs::path run = scratch_ / "run";
  ASSERT_EQ(train(run).exit_code, 0);
  const Ended ended = run_program({"eval", run.string(), "--json"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  const auto summary = nlohmann::json::parse(read_file(run / "summary.json"));
  const auto figures = nlohmann::json::parse(ended.out);
  EXPECT_EQ(figures["fvu"], summary["held_out"]["fvu"]);
  EXPECT_EQ(figures["known_features"], summary["known_features"]);
}

TEST_F(CommandLine, EvalMeasuresScheduledParametersWhereTrainingEnded) {
  std::string text = kConfig;
  text.replace(text.find("plugin = \"linear\""), 17,
               "plugin = \"linear\"\nactivation = \"topk\"\nk = { from = 8, to = 2, over = 10 }");
  write_file(config_, text);
  const fs::path run = scratch_ / "run";
  ASSERT_EQ(train(run).exit_code, 0);
  const auto summary = nlohmann::json::parse(read_file(run / "summary.json"));
  const Ended ended = run_program({"eval", run.string(), "--json"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(nlohmann::json::parse(ended.out)["fvu"], summary["held_out"]["fvu"]);
  EXPECT_LE(summary["held_out"]["l0"], 2.0);
}

TEST_F(CommandLine, RefusedDataLeavesNoFolderBehind) {
  at::Tensor rows = at::rand({200, 16});
  rows[6][0] = std::numeric_limits<float>::infinity();
  core::write_safetensors(scratch_ / "rows.safetensors", {{"activations", rows}});
  std::string text = kConfig;
  text.replace(text.find("toy.pairs"), 9, "files\"\nfiles = [\"rows.safetensors\"]\nheld_out = 0.0 # \"");
  write_file(config_, text);
  ASSERT_EQ(train(scratch_ / "run").exit_code, 2);
  EXPECT_FALSE(fs::exists(scratch_ / "run"));
}

TEST_F(CommandLine, BadHeldOutRowsAreToldBeforeAnythingIsTrained) {
  at::Tensor rows = at::rand({200, 16});
  rows[199][0] = std::numeric_limits<float>::quiet_NaN();
  core::write_safetensors(scratch_ / "rows.safetensors", {{"activations", rows}});
  std::string text = kConfig;
  text.replace(text.find("toy.pairs"), 9, "files\"\nfiles = [\"rows.safetensors\"]\nheld_out = 0.1 # \"");
  write_file(config_, text);
  const Ended ended = train(scratch_ / "run");
  EXPECT_EQ(ended.exit_code, 2) << ended.err;
  expect_words(ended.err, {"rows.safetensors", "199"});
  EXPECT_FALSE(fs::exists(scratch_ / "run"));
}

TEST_F(CommandLine, DivergenceIsToldAndNotKept) {
  const Ended ended = train(scratch_ / "run", {"--set", "optimiser.learning_rate=1e38", "--set",
                                               "model.unit_norm=false", "--set", "run.checkpoint_every=1"});
  EXPECT_EQ(ended.exit_code, 1) << ended.err;
  expect_words(ended.err, {"finite", "learning_rate"});
  EXPECT_TRUE(fs::is_empty(scratch_ / "run" / "checkpoints"));
}

TEST_F(CommandLine, ResumeDoesNotTakeOverAFolderOfOthers) {
  write_file(scratch_ / "theirs" / "metrics.jsonl", "precious\n");
  const Ended ended = train(scratch_ / "theirs", {"--resume"});
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {"holds no run to resume", "--out"});
  EXPECT_EQ(read_file(scratch_ / "theirs" / "metrics.jsonl"), "precious\n");
}

TEST_F(CommandLine, AnotherRunTakesTheFolderOfOneThatNeverTrained) {
  // What a run leaves behind that failed in its first step.
  write_file(scratch_ / "run" / "manifest.json", R"({"config": {"run": {"steps": 7}}, "versions": {}})");
  write_file(scratch_ / "run" / "metrics.jsonl", "");
  EXPECT_EQ(train(scratch_ / "run", {"--resume"}).exit_code, 2);  // it is another run
  const Ended ended = train(scratch_ / "run");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  const auto manifest = nlohmann::json::parse(read_file(scratch_ / "run" / "manifest.json"));
  EXPECT_EQ(manifest["config"]["run"]["steps"], 20);
}

TEST_F(CommandLine, AManifestOfAnotherProgramIsLeftAlone) {
  write_file(scratch_ / "theirs" / "manifest.json", R"({"name": "an extension"})");
  const Ended ended = train(scratch_ / "theirs");
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {"exists already"});
  EXPECT_EQ(read_file(scratch_ / "theirs" / "manifest.json"), R"({"name": "an extension"})");
}

TEST_F(CommandLine, DataWritesTheRowsThatARunTrainsOn) {
  const fs::path out = scratch_ / "toy";
  const std::vector<std::string> command = {"data", config_.string(), "--rows", "150", "--out", out.string()};
  ASSERT_EQ(run_program(command).exit_code, 0);
  const at::Tensor rows = core::SafetensorsFile(out / "train-00000.safetensors").tensor("activations");
  const at::Tensor features = core::SafetensorsFile(out / "features.safetensors").tensor("features");
  EXPECT_EQ(rows.sizes(), at::IntArrayRef({150, 16}));
  // Every row of toy.pairs is a sum of true features, which are orthonormal: projecting onto them loses
  // nothing.
  EXPECT_TRUE(rows.mm(features.t()).mm(features).allclose(rows, 1e-4, 1e-5));
  const Ended again = run_program(command);
  EXPECT_EQ(again.exit_code, 2);
  expect_words(again.err, {"toy", "exists already"});
}

TEST_F(CommandLine, EvalTakesOtherDataAndTruth) {
  const fs::path run = scratch_ / "run";
  ASSERT_EQ(train(run).exit_code, 0);
  core::write_safetensors(scratch_ / "rows.safetensors", {{"activations", at::rand({100, 16})}});
  core::write_safetensors(scratch_ / "truth.safetensors", {{"features", at::eye(16)}});
  const Ended ended =
      run_program({"eval", run.string(), "--json", "--data", (scratch_ / "rows.safetensors").string(),
                   "--truth", (scratch_ / "truth.safetensors").string()});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  const auto figures = nlohmann::json::parse(ended.out);
  EXPECT_EQ(figures["rows"], 100);
  EXPECT_EQ(figures["known_features"]["found"].size() + figures["known_features"]["missed"].size(), 16U);
}

TEST_F(CommandLine, EvalRefusesRowsOfAnotherWidth) {
  const fs::path run = scratch_ / "run";
  ASSERT_EQ(train(run).exit_code, 0);
  core::write_safetensors(scratch_ / "rows.safetensors", {{"activations", at::rand({10, 7})}});
  const Ended ended = run_program({"eval", run.string(), "--data", (scratch_ / "rows.safetensors").string()});
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {"width 16", "width 7"});
}

TEST_F(CommandLine, EvalRefusesWhatIsNoRun) {
  const Ended ended = run_program({"eval", scratch_.path().string()});
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {"is not a run", "manifest.json"});
}

TEST_F(CommandLine, ExistingFolderIsRefusedUnlessResumed) {
  const fs::path run = scratch_ / "run";
  ASSERT_EQ(train(run).exit_code, 0);
  const Ended ended = train(run);
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {run.string(), "exists already", "--resume", "--out"});
}

TEST_F(CommandLine, AllConfigErrorsAtOnceWithLines) {
  write_file(config_, "[run]\nstpes = 5\n[data]\nsource = \"toy.pears\"\n[model]\nfeatures = -1\n");
  const Ended ended = train(scratch_ / "run");
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err,
               {"small.toml:2", "did you mean 'steps'?", "small.toml:4", "toy.pairs", "small.toml:6"});
  EXPECT_FALSE(fs::exists(scratch_ / "run"));
}

TEST_F(CommandLine, MissingConfigIsNamed) {
  const Ended ended = run_program({"train", (scratch_ / "nowhere.toml").string()});
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {"nowhere.toml"});
}

TEST_F(CommandLine, UnwritableOutputFolderIsBadInput) {
  write_file(scratch_ / "file", "");
  const Ended ended = train(scratch_ / "file" / "run");
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {"file"});
}

TEST_F(CommandLine, ReadOnlyOutputFolderIsBadInput) {
  // Permissions do not bind root: run as nobody where that is possible.
  if (geteuid() == 0 && std::system("setpriv --reuid=65534 true 2>/dev/null") != 0) {
    GTEST_SKIP() << "needs another user than root, or setpriv";
  }
  const fs::path folder = scratch_ / "locked";
  fs::create_directory(folder);
  fs::permissions(folder, fs::perms::owner_read | fs::perms::owner_exec | fs::perms::others_exec);
  fs::permissions(scratch_.path(), fs::perms::all);
  const std::vector<std::string> wrapper =
      geteuid() == 0 ? std::vector<std::string>{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}
                     : std::vector<std::string>{};
  if (run_program({"--version"}, wrapper).exit_code != 0)
    GTEST_SKIP() << "the build is not readable for other users";
  const Ended ended = run_program({"train", config_.string(), "--out", (folder / "run").string()}, wrapper);
  EXPECT_EQ(ended.exit_code, 2) << ended.err;
  expect_words(ended.err, {"locked", "ermission"});
}

TEST_F(CommandLine, FullDiskStopsWithTheLastCheckpointWhole) {
  const fs::path disk = scratch_ / "disk";
  fs::create_directory(disk);
  if (geteuid() != 0 ||
      std::system(("mount -t tmpfs -o size=96k tmpfs " + disk.string() + " 2>/dev/null").c_str()) != 0) {
    GTEST_SKIP() << "needs the right to mount a small tmpfs";
  }
  const Ended ended = train(disk / "run", {"--set", "run.checkpoint_every=1", "--set", "run.steps=2000",
                                           "--set", "run.report_every=1"});
  EXPECT_EQ(ended.exit_code, 1) << ended.err;
  expect_words(ended.err, {"No space left", "run"});
  EXPECT_FALSE(fs::exists(disk / "run" / "summary.json"));
  int whole = 0;
  for (const auto& entry : fs::directory_iterator(disk / "run" / "checkpoints")) {
    EXPECT_EQ(entry.path().extension(), ".safetensors") << entry.path();
    EXPECT_FALSE(core::SafetensorsFile(entry.path()).entries().empty());
    ++whole;
  }
  EXPECT_GT(whole, 0);
  EXPECT_EQ(std::system(("umount " + disk.string()).c_str()), 0);
}

TEST_F(CommandLine, PluginsListsEverythingAndOne) {
  const Ended all = run_program({"plugins"});
  ASSERT_EQ(all.exit_code, 0) << all.err;
  expect_words(all.out, {"Loss terms", "orthogonality", "Encoders", "linear", "Activations", "topk",
                         "Feature costs", "log_rarity", "Data sources", "toy.pairs", "files"});
  const Ended one = run_program({"plugins", "orthogonality"});
  ASSERT_EQ(one.exit_code, 0) << one.err;
  expect_words(one.out, {"pairs", "nearest", "shape"});
  const Ended wrong = run_program({"plugins", "orthogonalty"});
  EXPECT_EQ(wrong.exit_code, 2);
  expect_words(wrong.err, {"did you mean 'orthogonality'?"});
  expect_words(run_program({"plugins", "model"}).out, {"features", "unit_norm"});
}

TEST_F(CommandLine, NotANumberInTheDataNamesFileAndRow) {
  at::Tensor rows = at::rand({200, 16});
  rows[150][3] = std::numeric_limits<float>::quiet_NaN();
  core::write_safetensors(scratch_ / "rows.safetensors", {{"activations", rows}});
  std::string text = kConfig;
  text.replace(text.find("toy.pairs"), 9, "files\"\nfiles = [\"rows.safetensors\"]\nheld_out = 0.0 # \"");
  write_file(config_, text);
  const Ended ended = train(scratch_ / "run");
  EXPECT_EQ(ended.exit_code, 2) << ended.err;
  expect_words(ended.err, {"rows.safetensors", "150", "3"});
}

TEST_F(CommandLine, AnEncoderWiderThanMemoryIsTold) {
  const Ended ended = train(scratch_ / "run", {"--set", "encoder.plugin=two_layer", "--set",
                                               "encoder.hidden=[16777216, 16777216]"});  // a petabyte
  EXPECT_EQ(ended.exit_code, 1);
  expect_words(ended.err, {"encoder", "in prepare", "memory ran out", "Lower its widths"});
  EXPECT_FALSE(fs::exists(scratch_ / "run"));
}

}  // namespace
}  // namespace regulon::tests
