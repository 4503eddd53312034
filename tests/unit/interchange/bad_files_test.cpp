/// What other libraries' folders can hold that is wrong: one clear message each.

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/interchange/torch_archive.h"
#include "tests/unit/interchange/fixtures.h"
#include "tests/unit/support/expect_error.h"

namespace regulon::tests {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class BadFiles : public ::testing::Test {
 protected:
  /// A copy of a fixture, to be spoilt.
  void take(const std::string& name) {
    fs::remove_all(folder_);
    fs::copy(interchange_folder() / "from" / name, folder_);
  }
  template <class Change>
  void change_json(const std::string& file, Change change) {
    json held = json::parse(read_file(folder_ / file));
    change(held);
    write_file(folder_ / file, held.dump());
  }
  template <class Change>
  void change_tensors(const std::string& file, Change change) {
    core::NamedTensors tensors;
    for (const auto& [name, tensor] : core::SafetensorsFile(folder_ / file).tensors()) {
      tensors.emplace_back(name, tensor.clone());
    }
    change(tensors);
    core::write_safetensors(folder_ / file, tensors);
  }
  template <class Change>
  void change_archive(Change change) {
    core::NamedTensors tensors;
    for (const auto& [name, tensor] : core::read_torch_archive(folder_ / "ae.pt")) {
      tensors.emplace_back(name, tensor.clone());
    }
    change(tensors);
    core::write_torch_archive(folder_ / "ae.pt", tensors);
  }
  /// Expects the import to be refused with these words, and nothing to be left of it.
  void expect_refused(const std::vector<std::string>& words, const fs::path& path = {}) {
    expect_error<InputError>(
        [&] { core::import_run(path.empty() ? folder_ : path, scratch_ / "run", host_); }, words);
    EXPECT_FALSE(fs::exists(scratch_ / "run"));
    for (const auto& entry : fs::directory_iterator(scratch_ / "."))
      EXPECT_NE(entry.path().filename().string().rfind("run.partial", 0), 0u) << entry.path();
  }
  static void erase(core::NamedTensors& tensors, const std::string& name) {
    std::erase_if(tensors, [&](const auto& entry) { return entry.first == name; });
  }
  static at::Tensor& named(core::NamedTensors& tensors, const std::string& name) {
    for (auto& entry : tensors) {
      if (entry.first == name) return entry.second;
    }
    throw std::runtime_error("no tensor " + name);
  }

  ScratchFolder scratch_;
  fs::path folder_ = scratch_ / "saved";
  core::PluginHost host_ = built_plugins();
};

constexpr char kSaelens[] = "sae_weights.safetensors";

TEST_F(BadFiles, FoldersOfNoLibrary) {
  expect_refused({"does not exist", "check the path"});
  fs::create_directories(folder_);
  expect_refused(
      {"no dictionary of a library known here", "cfg.json and sae_weights.safetensors (saelens)", "ae.pt"});
  write_file(folder_ / "layers.3" / "sae.safetensors", "");
  expect_refused({"there are some below", "layers.3"});
  write_file(folder_ / "weights.bin", "");
  expect_refused({"is not a dictionary", "name the folder"}, folder_ / "weights.bin");
  write_file(folder_ / kSaelens, "");
  expect_refused({"sae_weights.safetensors without its settings", "cfg.json"});
}

TEST_F(BadFiles, HalfFiles) {
  take("saelens_topk_inference");
  const std::string config = read_file(folder_ / "cfg.json");
  write_file(folder_ / "cfg.json", config.substr(0, config.size() / 2));
  expect_refused({"cfg.json", "one whole JSON object", "half a file"});
  write_file(folder_ / "cfg.json", config);
  const std::string weights = read_file(folder_ / kSaelens);
  write_file(folder_ / kSaelens, weights.substr(0, weights.size() / 2));
  expect_refused({kSaelens});
  take("dictionary_learning_AutoEncoder");
  const std::string archive = read_file(folder_ / "ae.pt");
  write_file(folder_ / "ae.pt", archive.substr(0, archive.size() / 2));
  expect_refused({"ae.pt", "half a file"});
}

TEST_F(BadFiles, MissingAndExtraTensors) {
  take("saelens_standard_inference");
  change_tensors(kSaelens, [](auto& tensors) { erase(tensors, "b_enc"); });
  expect_refused({kSaelens, "lacks the tensor 'b_enc'", "[24]", "W_dec, W_enc, b_dec"});
  take("saelens_standard_inference");
  change_tensors(kSaelens, [](auto& tensors) { tensors.emplace_back("threshold", at::ones({24})); });
  expect_refused({"tensors that have no place", "SAELens standard", "threshold F32 [24]"});
  take("sparsify_topk");
  change_tensors("sae.safetensors", [](auto& tensors) {
    tensors.emplace_back("W_skip", at::ones({12, 12}));
  });
  expect_refused({"tensors that have no place", "W_skip F32 [12, 12]"});
  take("dictionary_learning_GatedAutoEncoder");
  change_archive([](auto& tensors) { erase(tensors, "r_mag"); });
  expect_refused({"ae.pt", "lacks the tensor 'r_mag'"});
  take("dictionary_learning_AutoEncoder");
  change_archive([](auto& tensors) { tensors.emplace_back("extra", at::ones({1})); });
  expect_refused({"a AutoEncoder alone", "extra F32 [1]"});
}

TEST_F(BadFiles, SettingsThatDisagreeWithTheTensors) {
  take("saelens_standard_inference");
  change_json("cfg.json", [](json& config) { config["d_sae"] = 48; });
  expect_refused({"'W_enc' does not fit", "[12, 48], as cfg.json says", "F32 [12, 24]"});
  take("sparsify_topk");
  change_json("cfg.json", [](json& config) { config["num_latents"] = 0; });
  expect_refused({"'encoder.weight' does not fit", "[384, 12]", "F32 [24, 12]"});
  take("dictionary_learning_AutoEncoder");
  change_json("config.json", [](json& config) { config["trainer"]["dict_size"] = 48; });
  expect_refused({"'trainer.dict_size'", "24, as 'encoder.weight' has", "48"});
  take("dictionary_learning_AutoEncoderTopK");
  change_json("config.json", [](json& config) { config["trainer"]["k"] = 7; });
  expect_refused({"'trainer.k'", "4, as the weights say", "7"});
  take("dictionary_learning_AutoEncoderTopK");
  change_json("config.json", [](json& config) { config["trainer"]["dict_class"] = "JumpReluAutoEncoder"; });
  expect_refused({"lacks the tensor 'W_enc'"});
  take("saelens_topk_inference");
  change_json("cfg.json", [](json& config) { config["k"] = 25; });
  expect_refused({"'k'", "at most d_sae, 24", "25"});
}

TEST_F(BadFiles, RowsOfAnotherShape) {
  take("saelens_standard_inference");
  change_json("cfg.json", [](json& config) { config["reshape_activations"] = "patches"; });
  expect_refused({"'reshape_activations'", "hook_z", "patches"});
}

TEST_F(BadFiles, WrongShapesAndValues) {
  take("saelens_jumprelu_inference");
  change_tensors(kSaelens, [](auto& tensors) { named(tensors, "threshold") = at::ones({1}); });
  expect_refused({"'threshold' does not fit", "[24]", "F32 [1]"});
  take("saelens_jumprelu_inference");
  change_tensors(kSaelens, [](auto& tensors) { named(tensors, "b_enc")[3] = NAN; });
  expect_refused({"'b_enc' cannot be used", "finite numbers"});
  take("saelens_jumprelu_inference");
  change_tensors(kSaelens, [](auto& tensors) { named(tensors, "b_enc") = at::ones({24}, at::kInt); });
  expect_refused({"'b_enc' does not fit", "floating-point", "I32 [24]"});
  take("dictionary_learning_MatryoshkaBatchTopKSAE");
  change_archive([](auto& tensors) { named(tensors, "group_sizes") = at::ones({3}, at::kLong); });
  expect_refused({"group_sizes", "add up to 24"});
}

TEST_F(BadFiles, OtherVersions) {
  take("saelens_standard_inference");
  change_json("cfg.json", [](json& config) { config["metadata"]["sae_lens_version"] = "7.0.0"; });
  expect_refused({"another version of SAELens", "6.x", "7.0.0"});
  change_json("cfg.json", [](json& config) { config.erase("metadata"); });
  expect_refused({"another version of SAELens", "before 6"});
}

TEST_F(BadFiles, SettingsWithoutACounterpart) {
  take("saelens_standard_inference");
  change_json("cfg.json", [](json& config) { config["normalize_activations"] = "layer_norm"; });
  expect_refused({"'normalize_activations'", "\"none\"", "layer_norm", "no counterpart"});
  change_json("cfg.json", [](json& config) { config["normalize_activations"] = "expected_average_only_in"; });
  expect_refused({"fold_activation_norm_scaling_factor"});
  change_json("cfg.json", [](json& config) { config["architecture"] = "temporal"; });
  expect_refused({"'architecture'", "temporal"});
  take("sparsify_topk");
  change_json("cfg.json", [](json& config) { config["transcode"] = true; });
  expect_refused({"'transcode'", "transcoder"});
  take("sparsify_topk");
  change_json("cfg.json", [](json& config) { config["activation"] = "groupmax"; });
  expect_refused({"'activation'", "groupmax"});
}

TEST_F(BadFiles, MissingKeys) {
  take("saelens_topk_inference");
  change_json("cfg.json", [](json& config) { config.erase("k"); });
  expect_refused({"lacks 'k'"});
  take("saelens_topk_inference");
  change_json("cfg.json", [](json& config) { config["d_in"] = "twelve"; });
  expect_refused({"'d_in' cannot be used", "a whole number", "\"twelve\""});
  take("dictionary_learning_AutoEncoder");
  change_json("config.json", [](json& config) { config.erase("trainer"); });
  expect_refused({"lacks 'trainer'"});
  take("dictionary_learning_AutoEncoder");
  change_json("config.json", [](json& config) { config["trainer"]["dict_class"] = "AutoEncoderTopk"; });
  expect_refused({"'trainer.dict_class'", "did you mean 'AutoEncoderTopK'?"});
  fs::remove(folder_ / "config.json");
  expect_refused({"comes without its settings", "config.json"});
}

}  // namespace
}  // namespace regulon::tests
