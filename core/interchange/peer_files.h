#pragma once
/// Files that other libraries wrote, read with suspicion: what is missing, too much or of another shape is
/// told as one message.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "core/io/named_tensors.h"

namespace regulon::core {

/// A JSON object of settings.
class PeerConfig {
 public:
  /// Throws InputError if `path` is no JSON object (half a file is none).
  explicit PeerConfig(std::filesystem::path path);
  /// The object under `key` of `whole`, for messages a part of the same file.
  PeerConfig(const PeerConfig& whole, const std::string& key);

  bool has(const std::string& key) const { return held_.contains(key) && !held_.at(key).is_null(); }
  /// A whole number of at least `least`.
  std::int64_t integer(const std::string& key, std::int64_t least) const;
  std::string text(const std::string& key) const;
  std::string text(const std::string& key, const std::string& otherwise) const;
  bool flag(const std::string& key, bool otherwise) const;
  /// Throws the InputError that `key` is not `expected`.
  [[noreturn]] void refuse(const std::string& key, const std::string& expected,
                           const std::string& hint) const;
  const std::filesystem::path& path() const { return path_; }
  /// Adds to `remarks` which keys there are beside `known`, if any.
  void remark_on_others(const std::set<std::string>& known, std::vector<std::string>& remarks) const;

 private:
  const nlohmann::json& value(const std::string& key, const std::string& expected) const;

  std::filesystem::path path_;
  std::string prefix_;  ///< "trainer."
  nlohmann::json held_;
};

/// The tensors of a file, each to be taken once.
class PeerTensors {
 public:
  /// `sizes_from`: the file that says how large they are, for messages.
  PeerTensors(NamedTensors tensors, std::filesystem::path path, std::string sizes_from);

  /// `name` as float32, contiguous. Throws InputError if it is missing, not of `sizes`, no floating-point
  /// numbers, or not finite.
  at::Tensor take(const std::string& name, const std::vector<std::int64_t>& sizes);
  /// The whole number `name`, which is a tensor without dimensions.
  std::int64_t take_integer(const std::string& name);
  /// The whole numbers `name` [any].
  std::vector<std::int64_t> take_integers(const std::string& name);
  bool has(const std::string& name) const { return find_tensor(tensors_, name).defined(); }
  /// The sizes of `name`, which has `dimensions` of them. Throws InputError otherwise.
  std::vector<std::int64_t> sizes_of(const std::string& name, std::size_t dimensions) const;
  /// Throws InputError if anything is left; `what` has no place for it.
  void expect_nothing_else(const std::string& what) const;

 private:
  at::Tensor find(const std::string& name, const std::string& expected) const;

  NamedTensors tensors_;
  std::filesystem::path path_;
  std::string sizes_from_;
  std::set<std::string> taken_;
};

}  // namespace regulon::core
