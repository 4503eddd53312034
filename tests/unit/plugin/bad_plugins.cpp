#include "tests/unit/plugin/bad_plugins.h"

#include <ATen/ATen.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

namespace regulon::core::testing {

namespace fs = std::filesystem;

std::string read_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_bytes(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

ScratchFolder::ScratchFolder() {
  std::string pattern = (fs::temp_directory_path() / "regulon-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no scratch folder at " + pattern);
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void expect_words(const std::string& message, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    EXPECT_NE(message.find(word), std::string::npos) << "'" << word << "' is missing in: " << message;
  }
}

GuardedPlugin misbehaving(PluginHost& host, const std::string& interface_id, const std::string& how,
                          const std::string& name) {
  const PluginDescriptor* descriptor = host.find(interface_id, "misbehaves");
  if (descriptor == nullptr) throw std::runtime_error("the plugin misbehaves was not built");
  std::unique_ptr<Plugin> object = descriptor->make();
  descriptor->set(*object, 0, how);
  return GuardedPlugin(std::move(object), name, host.origin(*descriptor));
}

SmallStep::SmallStep()
    : batch(at::arange(6, at::kFloat).view({3, 2})),
      weight(at::eye(4, 2).add(0.5).requires_grad_(true)),
      bias(at::zeros({2}).requires_grad_(true)),
      values(at::ones({4}).requires_grad_(true)),
      offsets(at::tensor({0, 2, 2, 4}, at::kLong)),
      ids(at::tensor({0, 3, 1, 2}, at::kInt)),
      costs(at::ones({4})),
      encoder_weight(at::ones({2}).requires_grad_(true)) {
  stats.frequency = at::full({4}, 0.25);
  stats.mean_value = at::full({4}, 0.5);
  stats.silent_rows = at::zeros({4}, at::kLong);
  stats.rows_seen = 12;
  stats.width = 2;
}

StepView SmallStep::view() const {
  return StepView(StepInputs{5,
                             11,
                             batch,
                             Codes::sparse(4, offsets, ids, values),
                             dictionary(),
                             costs,
                             stats,
                             at::Tensor(),
                             {{"weight", encoder_weight}},
                             nullptr});
}

EncodeView SmallStep::encode_view() const {
  EncodeView view{batch, dictionary(), {}, costs, 5, true, named_generator(1, "encoder")};
  view.selection.thresholds = at::zeros({4});
  return view;
}

UpdateView SmallStep::update_view() const {
  UpdateView update;
  update.step = 5;
  update.dictionary_weight = weight.detach();
  update.dictionary_bias = bias.detach();
  update.frozen_rows = 1;
  update.encoder_parameters = {{"weight", encoder_weight.detach()}};
  update.batch = batch;
  update.row_errors = at::ones({3});
  update.stats = stats;
  return update;
}

Preparation SmallStep::outline() const {
  Preparation outline;
  outline.features = 4;
  outline.width = 2;
  outline.batch_rows = 3;
  outline.dictionary_weight = weight.detach();
  outline.dictionary_bias = bias.detach();
  outline.sample = batch;
  outline.generator = named_generator(1, "test_subject");
  return outline;
}

}  // namespace regulon::core::testing
