#pragma once
/// What all plugins have in common: a base class, what is declared about them, the manifest, and the one
/// entry.

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <regulon/error.h>
#include <regulon/params.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

/// Revision of the SDK as a whole. A plugin runs only with the revision it was built against.
#define REGULON_SDK_REVISION 1

namespace regulon {

/// What a plugin is told before the first step, and where it registers the tensors that it keeps.
///
/// Tensors registered here belong to the core: it saves them with every checkpoint and restores them on
/// resume.
class Preparation {
 public:
  std::int64_t features = 0;     ///< n
  std::int64_t width = 0;        ///< d
  std::int64_t batch_rows = 0;   ///< B of a training step
  at::Tensor dictionary_weight;  ///< [n, d]: initial rows (detached); also tells dtype and device to use
  at::Tensor dictionary_bias;    ///< [d]: initial bias (detached)
  at::Tensor sample;  ///< [rows, d]: some training rows as the model sees them, for initialisation from data
  at::Generator generator;  ///< for initialisation

  /// Keeps a tensor of `shape` and `dtype`, zeros at first, as state under `name`; `slot` is set to it at
  /// once. Write to it in place; never replace it, never resize it. The buffer is fenced: writing past it is
  /// noticed.
  void state(const std::string& name, at::Tensor& slot, std::vector<std::int64_t> shape,
             at::ScalarType dtype);
  /// Learns `initial` as a parameter under `name`; `slot` is set to the leaf that the optimiser updates.
  void parameter(const std::string& name, at::Tensor& slot, const at::Tensor& initial);

  /// A registered tensor: the core's end of `state` and `parameter`.
  struct Registered {
    std::string name;
    at::Tensor tensor;  ///< what the core saves
    at::Tensor fence;   ///< the whole buffer with the guard zones around `tensor`; undefined for parameters
    at::Tensor* slot;   ///< the plugin's member
  };
  const std::vector<Registered>& states() const { return states_; }
  const std::vector<Registered>& parameters() const { return parameters_; }

 private:
  std::vector<Registered> states_;
  std::vector<Registered> parameters_;
};

/// Empty if the plugin kept to `registered` (same tensor in the slot, same shape, fence whole), else what it
/// did.
std::string fence_violation(const Preparation::Registered& registered);

/// Base of loss terms, encoders, feature costs and activations. Parameters are set before any of these is
/// called.
class Plugin {
 public:
  Plugin() = default;
  Plugin(const Plugin&) = delete;
  Plugin& operator=(const Plugin&) = delete;
  virtual ~Plugin();

  /// What must be there for this plugin, given its parameters; a config that lacks one is refused with the
  /// reason. Known needs:
  ///
  /// - "encoder.directions": the encoder has a direction for each feature (StepView::encoder_directions);
  /// - "encoder.untied": these directions are its own and not the dictionary's rows;
  /// - "encoder.product": pre-activations are (x - c) W^T + b, with the parameters `weight` [n, d] (if it is
  ///   tied, none) and `bias` [n]; c is the dictionary's bias, or zero where a parameter
  ///   `subtract_decoder_bias` says so. By that word weights go to other programs and come from there;
  /// - "encoder.gated_product": likewise with `weight`, `gate_bias`, `magnitude_bias` and `log_scale` r:
  /// codes
  ///   are ReLU(exp(r) (x - c) W^T + magnitude_bias) where (x - c) W^T + gate_bias passes the selection;
  /// - "dictionary.prefixes": a loss term whose `widths` are nested dictionaries;
  /// - "codes.gradient": codes have gradient to what the encoder learns (a solver's are constants);
  /// - "codes.open": codes carry the channel "open", by which thresholds learn (jumprelu);
  /// - "codes.gate": codes carry the channel "gate" (gated);
  /// - "codes.spare": the activation leaves out features whose pre-activation is positive (not relu at zero);
  /// - "codes.dense": always met; this plugin asks for Codes::to_dense and costs what a matrix costs;
  /// - "costs": always met; this plugin reads the feature costs (a [cost] that nothing reads is refused).
  virtual std::vector<std::string> needs() const;
  /// What this plugin offers, given its parameters: names from the same list.
  virtual std::vector<std::string> provides() const;
  /// Called once, before the first step (and before state is restored on resume).
  /// An InputError thrown here is the user's to mend: a parameter that does not fit the sizes or the data.
  virtual void prepare(Preparation& preparation);
  /// Figures for the metrics line, by short name: called only when a report is due.
  virtual std::map<std::string, double> report() const;
};

/// All that is known about a plugin without making one.
struct PluginDescriptor {
  std::string interface_id;  ///< "loss_term/1", "encoder/1", "feature_cost/1"
  std::string name;          ///< "hoyer_square"
  std::string summary;       ///< one line
  std::vector<ParamSpec> params;
  std::function<std::unique_ptr<Plugin>()> make;
  /// Sets parameter `index` of `params` on an object that `make` made.
  std::function<void(Plugin&, std::size_t index, const ParamValue&)> set;
};

/// The descriptor of plugin class `T`.
template <class T>
PluginDescriptor describe_plugin(std::string interface_id, std::string name, std::string summary) {
  const Declaration<T> declaration = declaration_of<T>();
  PluginDescriptor descriptor;
  descriptor.interface_id = std::move(interface_id);
  descriptor.name = std::move(name);
  descriptor.summary = std::move(summary);
  descriptor.params = declaration.specs();
  descriptor.make = [] { return std::make_unique<T>(); };
  descriptor.set = [setters = declaration.setters()](Plugin& plugin, std::size_t index,
                                                     const ParamValue& value) {
    setters.at(index)(static_cast<T&>(plugin), value);
  };
  return descriptor;
}

}  // namespace regulon

#define REGULON_TEXT_OF(x) #x
#define REGULON_TEXT(x) REGULON_TEXT_OF(x)
#if defined(__clang__)
#define REGULON_COMPILER "clang " REGULON_TEXT(__clang_major__)
#else
#define REGULON_COMPILER "gcc " REGULON_TEXT(__GNUC__)
#endif

// regulon::libtorch, which comes with find_package(regulon), reads it from the headers that it hands to the
// compiler.
#ifndef REGULON_TORCH_VERSION
#error \
    "REGULON_TORCH_VERSION is not set: link regulon::sdk (regulon_add_plugin does), or define it as LibTorch's version."
#endif

/// The manifest: text in an ELF section of the library, "key=value" lines, read before the library is loaded.
#define REGULON_MANIFEST_SECTION ".regulon"
#define REGULON_MANIFEST_TEXT(INTERFACE, NAME)                                                        \
  "regulon-manifest\nsdk=" REGULON_TEXT(REGULON_SDK_REVISION) "\ninterface=" INTERFACE "\nname=" NAME \
                                                              "\ntorch=" REGULON_TORCH_VERSION        \
                                                              "\ncompiler=" REGULON_COMPILER "\n"

/// Makes CLASS the library's plugin: writes the manifest and the entry `regulon_plugin`. Once per library.
#define REGULON_PLUGIN(CLASS, INTERFACE, NAME, SUMMARY)                                                 \
  extern "C" {                                                                                          \
  extern __attribute__((visibility("default"), used, section(REGULON_MANIFEST_SECTION)))                \
  const char regulon_manifest[] = REGULON_MANIFEST_TEXT(INTERFACE, NAME);                               \
  __attribute__((visibility("default"))) void regulon_plugin(::regulon::PluginDescriptor& descriptor) { \
    descriptor = ::regulon::describe_plugin<CLASS>(INTERFACE, NAME, SUMMARY);                           \
  }                                                                                                     \
  }
