#pragma once
/// Notices when a plugin writes to what it was only given to read.

#include <ATen/core/Tensor.h>
#include <regulon/codes.h>
#include <regulon/plugin.h>
#include <regulon/selection.h>
#include <regulon/step.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace regulon::core {

/// Takes down the state of tensors before a call; tells afterwards which of them was changed in place.
///
/// Writes through ATen show in a tensor's version, which costs nothing to look at. Writes through the raw
/// pointer do not: they show only in the contents, which are hashed if asked for (a copy to the host for
/// tensors elsewhere, so not at every step). Lives for one call only, so that it keeps no autograd graph
/// alive.
class InputWatch {
 public:
  explicit InputWatch(bool contents) : contents_(contents) {}

  /// Watches `tensor` under a name for messages. Undefined tensors are passed over.
  void add(const std::string& name, const at::Tensor& tensor);
  /// The form that is held, and the channels; not what is derived from them later.
  void add(const Codes& codes);
  void add(const Dictionary& dictionary);
  void add(const FeatureStats& stats);
  void add(const Selection& selection);
  void add(const std::string& prefix, const std::map<std::string, at::Tensor>& tensors);
  void add(const std::string& prefix, const std::vector<Preparation::Registered>& tensors);

  /// Empty if everything is as it was, else which input changed and how that shows.
  std::string change() const;

 private:
  struct Watched {
    std::string name;
    at::Tensor tensor;
    std::vector<std::int64_t> sizes;
    at::ScalarType dtype;
    const void* data;
    bool requires_grad;
    std::int64_t version;
    std::string contents;
  };
  std::string change_of(const Watched& watched) const;

  bool contents_;
  std::vector<Watched> watched_;
};

}  // namespace regulon::core
