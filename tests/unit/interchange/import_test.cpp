/// Dictionaries that other libraries saved, as runs: against those libraries' own codes.

#include <nlohmann/json.hpp>

#include "tests/unit/interchange/fixtures.h"
#include "tests/unit/support/expect_error.h"
#include "tests/unit/support/expect_words.h"

namespace regulon::tests {
namespace {

namespace fs = std::filesystem;

class Import : public ::testing::Test {
 protected:
  static fs::path saved(const std::string& name) { return interchange_folder() / "from" / name; }
  core::Imported read(const fs::path& path) {
    fs::remove_all(scratch_ / "run");
    return core::import_run(path, scratch_ / "run", host_);
  }
  core::Run opened() { return core::Run(scratch_ / "run", host_); }
  nlohmann::json manifest() const {
    return nlohmann::json::parse(read_file(scratch_ / "run" / "manifest.json"));
  }
  ScratchFolder scratch_;
  core::PluginHost host_ = built_plugins();
};

TEST_F(Import, GivesTheCodesAndReconstructionOfTheLibrary) {
  std::size_t compared = 0;
  for (const std::string& name : folders_in(interchange_folder() / "from")) {
    SCOPED_TRACE(name);
    read(saved(name));
    core::Run run = opened();
    const fs::path expected = saved(name) / "expected.safetensors";
    expect_same_codes(run, tensor_in(expected, "codes"), tensor_in(expected, "reconstruction"));
    ++compared;
  }
  EXPECT_GE(compared, 30U);
}

TEST_F(Import, WritesAnOrdinaryRun) {
  const core::Imported imported = read(saved("dictionary_learning_MatryoshkaBatchTopKSAE"));
  EXPECT_EQ(imported.kind, "dictionary_learning MatryoshkaBatchTopKSAE");
  const auto said = manifest();
  EXPECT_EQ(said.at("imported").at("kind"), imported.kind);
  EXPECT_EQ(said.at("imported").at("prefixes"), (std::vector<int>{6, 12, 24}));
  EXPECT_EQ(said.at("imported").at("files").size(), 2U);
  EXPECT_EQ(said.at("config").at("encoder").at("activation"), "batch_topk");
  EXPECT_EQ(said.at("config").at("encoder").at("k"), 4);
  EXPECT_TRUE(said.contains("plugins"));
  EXPECT_TRUE(said.contains("versions"));
  EXPECT_TRUE(fs::exists(scratch_ / "run" / "summary.json"));
}

TEST_F(Import, KeepsABatchThresholdThatWasSavedForInference) {
  read(saved("saelens_batchtopk_inference"));
  EXPECT_EQ(manifest().at("config").at("encoder").at("activation"), "batch_topk");
  EXPECT_EQ(tensor_in(scratch_ / "run" / "weights.safetensors", "activation.threshold").numel(), 1);
  read(saved("saelens_jumprelu_inference"));
  EXPECT_EQ(manifest().at("config").at("encoder").at("activation"), "jumprelu");
}

TEST_F(Import, SaysWhatItDoesNotUse) {
  const fs::path folder = scratch_ / "more";
  fs::copy(saved("saelens_standard_inference"), folder);
  EXPECT_TRUE(read(folder).remarks.empty());
  auto config = nlohmann::json::parse(read_file(folder / "cfg.json"));
  config["l1_coefficient"] = 5;
  config["reshape_activations"] = "hook_z";
  write_file(folder / "cfg.json", config.dump());
  const auto remarks = read(folder).remarks;
  ASSERT_EQ(remarks.size(), 2U);
  expect_words(remarks[0], {"cfg.json", "l1_coefficient"});
  expect_words(remarks[1], {"all heads"});
}

TEST_F(Import, TakesANormThatAllRowsShareIntoTheScaleOfTheData) {
  core::PluginHost host = built_plugins();
  core::Run run(interchange_folder() / "to" / "standard_normalised", host);
  core::export_run(run, "saelens", scratch_ / "out", {});
  const core::Imported imported = read(scratch_ / "out");
  ASSERT_FALSE(imported.sae.notes.empty());
  expect_words(imported.sae.notes.back(), {"norm", "all dictionary rows"});
  core::Run back = opened();
  EXPECT_NEAR(back.normalisation().scale, run.normalisation().scale, 1e-5 * run.normalisation().scale);
  const at::Tensor norms = back.model().dictionary().detach().norms();
  EXPECT_LT((norms - 1).abs().max().item<double>(), 1e-5);
  EXPECT_TRUE(back.config().model.unit_norm);
}

TEST_F(Import, HonoursStrides) {
  // The library saves W_enc [d, n] as the transpose of rows: read by its shape alone it would be scrambled.
  read(saved("dictionary_learning_JumpReluAutoEncoder"));
  const at::Tensor encoder = tensor_in(scratch_ / "run" / "weights.safetensors", "encoder.weight");
  const at::Tensor decoder = tensor_in(scratch_ / "run" / "weights.safetensors", "decoder.weight");
  const at::Tensor cosines = (encoder * decoder).sum(1) / (encoder.norm(2, {1}) * decoder.norm(2, {1}));
  EXPECT_GT(cosines.min().item<double>(), 0.9);
}

TEST_F(Import, TakesAWeightsFileWithItsSettingsOneFolderUp) {
  const fs::path folder = scratch_ / "trainer_0";
  fs::create_directories(folder / "checkpoints");
  const fs::path from = saved("dictionary_learning_AutoEncoderTopK");
  fs::copy_file(from / "ae.pt", folder / "checkpoints" / "ae_200.pt");
  fs::copy_file(from / "config.json", folder / "config.json");
  EXPECT_EQ(read(folder / "checkpoints" / "ae_200.pt").kind, "dictionary_learning AutoEncoderTopK");
}

TEST_F(Import, HasNoDataOfItsOwn) {
  read(saved("sparsify_topk"));
  core::Run run = opened();
  expect_error<InputError>([&] { run.source(); }, {"was imported", "eval RUN --data"});
}

TEST_F(Import, IsNotTrainedFromItsManifest) {
  read(saved("sparsify_topk"));
  const Ended ended = run_program(
      {"train", (scratch_ / "run" / "manifest.json").string(), "--out", (scratch_ / "again").string()});
  EXPECT_EQ(ended.exit_code, 2);
  expect_words(ended.err, {"no loss term"});
}

TEST_F(Import, RefusesAFolderThatIsThere) {
  expect_error<InputError>([&] { core::import_run(saved("sparsify_topk"), scratch_.path(), host_); },
                           {"exists already"});
}

/// Weights of a run that are not the run's own bookkeeping.
std::vector<std::string> learnt_names(const fs::path& weights) {
  std::vector<std::string> names;
  const core::SafetensorsFile file(weights);
  for (const auto& entry : file.entries()) {
    if (entry.name != "feature_costs") names.push_back(entry.name);
  }
  return names;
}

TEST_F(Import, OfAnExportGivesTheSameBitsWhereNothingIsFolded) {
  const std::vector<std::pair<std::string, std::string>> cases = {{"standard", "saelens"},
                                                                  {"standard", "dictionary_learning"},
                                                                  {"topk_plain", "saelens"},
                                                                  {"topk_plain", "sparsify"},
                                                                  {"topk_plain", "dictionary_learning"},
                                                                  {"matryoshka", "saelens"},
                                                                  {"matryoshka", "dictionary_learning"}};
  for (const auto& [name, library] : cases) {
    SCOPED_TRACE(name + " by way of " + library);
    const fs::path origin = interchange_folder() / "to" / name;
    core::Run run(origin, host_);
    fs::remove_all(scratch_ / "out");
    core::export_run(run, library, scratch_ / "out", {});
    read(scratch_ / "out");
    const fs::path back = scratch_ / "run" / "weights.safetensors";
    for (const std::string& tensor : learnt_names(origin / "weights.safetensors")) {
      EXPECT_TRUE(tensor_in(back, tensor).equal(tensor_in(origin / "weights.safetensors", tensor))) << tensor;
    }
  }
}

TEST_F(Import, OfAnExportGivesTheSameCodesWhereSomethingIsFolded) {
  for (const std::string name : {"standard_normalised", "tied", "uncentred", "topk", "batch_topk", "jumprelu",
                                 "batch_topk_free_norms", "gated", "gated_uncentred"}) {
    core::Run run(interchange_folder() / "to" / name, host_);
    const Codes encoded = run.encode(fixture_rows());
    for (const std::string library : {"saelens", "dictionary_learning"}) {
      SCOPED_TRACE(name + " by way of " + library);
      fs::remove_all(scratch_ / "out");
      core::export_run(run, library, scratch_ / "out", {});
      read(scratch_ / "out");
      core::Run back = opened();
      expect_same_codes(back, encoded.to_dense(), run.decode(encoded));
    }
  }
}

}  // namespace
}  // namespace regulon::tests
