/// Runs written for other libraries: against what those libraries loaded, and what they made of it.

#include <nlohmann/json.hpp>

#include "core/interchange/torch_archive.h"
#include "tests/unit/interchange/fixtures.h"
#include "tests/unit/support/expect_error.h"

namespace regulon::tests {
namespace {

namespace fs = std::filesystem;

class Export : public ::testing::Test {
 protected:
  static fs::path run_folder(const std::string& name) { return interchange_folder() / "to" / name; }
  core::Exported write(const std::string& name, const std::string& library) {
    core::PluginHost host = built_plugins();
    core::Run run(run_folder(name), host);
    fs::remove_all(scratch_ / "out");
    return core::export_run(run, library, scratch_ / "out", {"gpt2", "blocks.0"});
  }
  nlohmann::json settings(const std::string& file) const {
    return nlohmann::json::parse(read_file(scratch_ / "out" / file));
  }
  ScratchFolder scratch_;
};

TEST_F(Export, GivesTheCodesAndReconstructionThatTheLibrariesComputed) {
  std::size_t compared = 0;
  for (const std::string& name : folders_in(interchange_folder() / "to")) {
    if (name.find("topk_free_norms") == 0) continue;  // codes are in other units there: the next test
    core::PluginHost host = built_plugins();
    core::Run run(run_folder(name), host);
    for (const std::string& library : core::export_formats()) {
      const fs::path theirs = run_folder(name) / (library + ".safetensors");
      if (!fs::exists(theirs)) continue;
      SCOPED_TRACE(name + " in " + library);
      expect_same_codes(run, tensor_in(theirs, "codes"), tensor_in(theirs, "reconstruction"));
      ++compared;
    }
  }
  EXPECT_GE(compared, 25U);
}

TEST_F(Export, CodesRankedByContributionBecomeContributions) {
  core::PluginHost host = built_plugins();
  core::Run run(run_folder("topk_free_norms"), host);
  const at::Tensor norms = run.model().dictionary().detach().norms();
  const at::Tensor mine = run.encode(fixture_rows()).to_dense() * norms;
  for (const std::string& library : core::export_formats()) {
    const at::Tensor codes = tensor_in(run_folder("topk_free_norms") / (library + ".safetensors"), "codes");
    EXPECT_TRUE(mine.gt(0).equal(codes.gt(0))) << library;
    EXPECT_LE((mine - codes).abs().max().item<double>(), kCodeTolerance * codes.max().item<double>())
        << library;
  }
}

TEST_F(Export, WritesTheFilesThatTheLibrariesLoaded) {
  std::size_t compared = 0;
  for (const std::string& name : folders_in(interchange_folder() / "to")) {
    for (const std::string& library : folders_in(run_folder(name))) {
      SCOPED_TRACE(name + " for " + library);
      write(name, library);
      const fs::path loaded = run_folder(name) / library;
      if (library == "dictionary_learning") {
        const auto here = core::read_torch_archive(scratch_ / "out" / "ae.pt");
        const auto there = core::read_torch_archive(loaded / "ae.pt");
        ASSERT_EQ(here.size(), there.size());
        for (const auto& [key, tensor] : there)
          EXPECT_TRUE(core::find_tensor(here, key).equal(tensor)) << key;
      } else {
        const std::string file = library == "saelens" ? "sae_weights.safetensors" : "sae.safetensors";
        expect_same_tensors(scratch_ / "out" / file, loaded / file);
      }
      ++compared;
    }
  }
  EXPECT_GE(compared, 25U);
}

TEST_F(Export, NamesTheClassThatComputesAlike) {
  EXPECT_EQ(write("standard", "saelens").kind, "SAELens standard");
  EXPECT_EQ(write("standard", "dictionary_learning").kind, "dictionary_learning AutoEncoder");
  EXPECT_EQ(write("standard_normalised", "dictionary_learning").kind, "dictionary_learning AutoEncoderNew");
  EXPECT_EQ(write("batch_topk", "saelens").kind, "SAELens jumprelu");
  EXPECT_EQ(write("batch_topk", "dictionary_learning").kind, "dictionary_learning BatchTopKSAE");
  // Its threshold is on the contribution: one on each pre-activation.
  EXPECT_EQ(write("batch_topk_free_norms", "dictionary_learning").kind,
            "dictionary_learning JumpReluAutoEncoder");
  EXPECT_EQ(write("matryoshka", "dictionary_learning").kind, "dictionary_learning MatryoshkaBatchTopKSAE");
  EXPECT_EQ(write("gated", "saelens").kind, "SAELens gated");
  EXPECT_EQ(write("topk", "sparsify").kind, "sparsify topk");
}

TEST_F(Export, TellsWhatWasFolded) {
  EXPECT_TRUE(write("standard", "saelens").notes.empty());
  const auto notes = write("uncentred", "saelens").notes;
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_NE(notes.front().find("normalisation"), std::string::npos);
}

TEST_F(Export, WritesSettingsThatSaelensAsksFor) {
  write("topk", "saelens");
  const auto config = settings("cfg.json");
  EXPECT_EQ(config.at("architecture"), "topk");
  EXPECT_EQ(config.at("k"), 4);
  EXPECT_EQ(config.at("d_in"), 12);
  EXPECT_EQ(config.at("d_sae"), 24);
  EXPECT_EQ(config.at("normalize_activations"), "none");
  EXPECT_EQ(config.at("metadata").at("model_name"), "gpt2");
  EXPECT_EQ(config.at("metadata").at("hook_name"), "blocks.0");
}

TEST_F(Export, RefusesWhatAFormatCannotSayWithTheNearest) {
  expect_error<InputError>([&] { write("standard", "sparsify"); },
                           {"sparsify", "k largest", "nearest", "saelens"});
  expect_error<InputError>([&] { write("gated", "sparsify"); }, {"no gated encoder", "nearest"});
  expect_error<InputError>([&] { write("topk", "sparsfy"); }, {"did you mean 'sparsify'?"});
  EXPECT_FALSE(fs::exists(scratch_ / "out"));
}

/// A fixture whose manifest and weights are changed: what a run with another encoder or selection would be.
class ExportOfAnother : public Export {
 protected:
  template <class Change>
  void expect_refused(const std::string& name, Change change, const std::vector<std::string>& words) {
    const fs::path run = scratch_ / "run";
    fs::remove_all(run);
    fs::copy(run_folder(name), run);
    auto manifest = nlohmann::json::parse(read_file(run / "manifest.json"));
    core::NamedTensors weights;
    for (const auto& [key, tensor] : core::SafetensorsFile(run / "weights.safetensors").tensors()) {
      weights.emplace_back(key, tensor.clone());
    }
    change(manifest["config"], weights);
    write_file(run / "manifest.json", manifest.dump());
    core::write_safetensors(run / "weights.safetensors", weights);
    core::PluginHost host({fs::path(REGULON_BUILD_DIR) / "plugins",
                           fs::path(REGULON_BUILD_DIR) / "tests" / "bad_plugins" / "misbehaves"});
    core::Run opened(run, host);
    for (const std::string& library : core::export_formats()) {
      expect_error<InputError>([&] { core::export_run(opened, library, scratch_ / "out", {}); }, words);
    }
    EXPECT_FALSE(fs::exists(scratch_ / "out"));
  }
};

TEST_F(ExportOfAnother, EncoderThatIsNoProductIsRefused) {
  expect_refused("standard",
                 [](auto& config, auto& weights) {
                   config["encoder"] = {{"plugin", "misbehaves"}};
                   for (auto& [key, tensor] : weights) {
                     if (key == "encoder.weight") tensor = at::ones({2});
                   }
                 },
                 {"'misbehaves' has no form in other libraries", "encoder.product", "nearest", "init_part"});
}

TEST_F(ExportOfAnother, RankingByCostIsRefused) {
  expect_refused("topk",
                 [](auto& config, auto&) {
                   config["encoder"]["cost_in_selection"] = "subtract";
                   config["cost"] = {{"plugin", "log_rarity"}};
                 },
                 {"'topk' chooses codes by what other libraries do not know", "feature costs", "nearest"});
}

TEST_F(ExportOfAnother, GateThatIsRankedIsRefused) {
  expect_refused("gated",
                 [](auto& config, auto&) {
                   config["encoder"]["activation"] = "topk";
                   config["encoder"]["k"] = 3;
                 },
                 {"its gate is chosen by rank", "nearest"});
}

TEST_F(Export, RefusesAFolderThatIsThere) {
  core::PluginHost host = built_plugins();
  core::Run run(run_folder("topk"), host);
  expect_error<InputError>([&] { core::export_run(run, "saelens", scratch_.path(), {}); },
                           {"exists already"});
}

}  // namespace
}  // namespace regulon::tests
