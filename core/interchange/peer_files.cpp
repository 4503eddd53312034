#include "core/interchange/peer_files.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/isfinite.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <regulon/error.h>

#include <cerrno>
#include <fstream>
#include <system_error>
#include <utility>

#include "core/io/safetensors.h"

namespace regulon::core {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestShown = 60;

std::string shown_json(const json& value) {
  std::string text = value.dump();
  if (text.size() > kLongestShown) text = text.substr(0, kLongestShown) + "...";
  return text;
}

std::string peer_shape(const at::Tensor& tensor) {
  return fmt::format("{} [{}]", dtype_name(tensor.scalar_type()), fmt::join(tensor.sizes(), ", "));
}

}  // namespace

PeerConfig::PeerConfig(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code failed;
  if (!std::filesystem::is_regular_file(path_, failed)) {
    throw InputError({path_.string(), "is not a file of settings", "one whole JSON object",
                      failed ? failed.message() : "no regular file", "get it again from where it was saved"});
  }
  std::ifstream stream(path_);
  if (!stream) {
    throw InputError({path_.string(), "cannot be read", "a file that you may read",
                      std::generic_category().message(errno), "look at its permissions"});
  }
  held_ = json::parse(stream, nullptr, false);
  if (!held_.is_object()) {
    throw InputError(
        {path_.string(), "is not a file of settings", "one whole JSON object",
         held_.is_discarded() ? "no valid JSON: half a file, or another kind of file" : "other JSON",
         "get the file again from where it was saved"});
  }
}

PeerConfig::PeerConfig(const PeerConfig& whole, const std::string& key)
    : path_(whole.path_), prefix_(whole.prefix_ + key + "."), held_(whole.value(key, "an object")) {
  if (!held_.is_object()) whole.refuse(key, "an object", "the file is not what that library writes");
}

const json& PeerConfig::value(const std::string& key, const std::string& expected) const {
  if (!has(key)) {
    throw InputError({path_.string(), fmt::format("lacks '{}{}'", prefix_, key), expected, "no such key",
                      "save it again with a version of the library that writes it"});
  }
  return held_.at(key);
}

void PeerConfig::refuse(const std::string& key, const std::string& expected, const std::string& hint) const {
  throw InputError({path_.string(), fmt::format("'{}{}' cannot be used", prefix_, key), expected,
                    has(key) ? shown_json(held_.at(key)) : "no such key", hint});
}

std::int64_t PeerConfig::integer(const std::string& key, std::int64_t least) const {
  const std::string expected = fmt::format("a whole number of at least {}", least);
  const json& held = value(key, expected);
  if (!held.is_number_integer() || held.get<std::int64_t>() < least) refuse(key, expected, "correct it");
  return held.get<std::int64_t>();
}

std::string PeerConfig::text(const std::string& key) const {
  const json& held = value(key, "a text");
  if (!held.is_string()) refuse(key, "a text", "correct it");
  return held.get<std::string>();
}

std::string PeerConfig::text(const std::string& key, const std::string& otherwise) const {
  return has(key) ? text(key) : otherwise;
}

bool PeerConfig::flag(const std::string& key, bool otherwise) const {
  if (!has(key)) return otherwise;
  if (!held_.at(key).is_boolean()) refuse(key, "true or false", "correct it");
  return held_.at(key).get<bool>();
}

void PeerConfig::remark_on_others(const std::set<std::string>& known,
                                  std::vector<std::string>& remarks) const {
  std::vector<std::string> others;
  for (const auto& entry : held_.items()) {
    if (known.count(entry.key()) == 0) others.push_back(entry.key());
  }
  if (others.empty()) return;
  remarks.push_back(fmt::format("{} also says {}: nothing here is computed from that",
                                path_.filename().string(), fmt::join(others, ", ")));
}

PeerTensors::PeerTensors(NamedTensors tensors, std::filesystem::path path, std::string sizes_from)
    : tensors_(std::move(tensors)), path_(std::move(path)), sizes_from_(std::move(sizes_from)) {}

at::Tensor PeerTensors::find(const std::string& name, const std::string& expected) const {
  const at::Tensor found = find_tensor(tensors_, name);
  if (found.defined()) return found;
  std::vector<std::string> names;
  for (const auto& [other, tensor] : tensors_) names.push_back(other);
  throw InputError({path_.string(), fmt::format("lacks the tensor '{}'", name), expected,
                    names.empty() ? "no tensors at all" : fmt::format("{}", fmt::join(names, ", ")),
                    "it belongs to another class, or is not whole"});
}

at::Tensor PeerTensors::take(const std::string& name, const std::vector<std::int64_t>& sizes) {
  const std::string expected =
      fmt::format("floating-point [{}]{}", fmt::join(sizes, ", "),
                  sizes_from_.empty() ? "" : fmt::format(", as {} says", sizes_from_));
  const at::Tensor found = find(name, expected);
  if (found.sizes() != at::IntArrayRef(sizes) || !at::isFloatingType(found.scalar_type())) {
    throw InputError({path_.string(), fmt::format("the tensor '{}' does not fit", name), expected,
                      peer_shape(found),
                      "files of different dictionaries, or an edited one: get both again"});
  }
  // A copy in any case: nothing stays tied to the file. Checked as it will be used: a double may be too
  // large.
  const at::Tensor taken = found.to(at::TensorOptions(at::kFloat), false, true).contiguous();
  if (!at::isfinite(taken).all().item<bool>()) {
    throw InputError({path_.string(), fmt::format("the tensor '{}' cannot be used", name),
                      "finite numbers that float32 can hold", "infinity, NaN or too large a number in it",
                      "take an earlier checkpoint"});
  }
  taken_.insert(name);
  return taken;
}

std::int64_t PeerTensors::take_integer(const std::string& name) {
  const at::Tensor found = find(name, "a whole number []");
  if (found.dim() != 0 || !at::isIntegralType(found.scalar_type(), false)) {
    throw InputError({path_.string(), fmt::format("'{}' cannot be used", name), "a whole number []",
                      peer_shape(found), "it belongs to another class"});
  }
  taken_.insert(name);
  return found.item<std::int64_t>();
}

std::vector<std::int64_t> PeerTensors::take_integers(const std::string& name) {
  const at::Tensor found = find(name, "whole numbers [any]");
  if (found.dim() != 1 || !at::isIntegralType(found.scalar_type(), false)) {
    throw InputError({path_.string(), fmt::format("'{}' cannot be used", name), "whole numbers [any]",
                      peer_shape(found), "it belongs to another class"});
  }
  taken_.insert(name);
  const at::Tensor numbers = found.to(at::kLong).contiguous();
  const auto* first = numbers.const_data_ptr<std::int64_t>();
  return {first, first + numbers.numel()};
}

std::vector<std::int64_t> PeerTensors::sizes_of(const std::string& name, std::size_t dimensions) const {
  const at::Tensor found = find(name, fmt::format("a tensor of {} dimensions", dimensions));
  bool fits = static_cast<std::size_t>(found.dim()) == dimensions;
  for (const std::int64_t size : found.sizes()) fits = fits && size > 0;
  if (!fits) {
    throw InputError({path_.string(), fmt::format("the tensor '{}' does not fit", name),
                      fmt::format("{} dimensions, none of them empty", dimensions), peer_shape(found),
                      "it belongs to another class, or is not whole"});
  }
  return found.sizes().vec();
}

void PeerTensors::expect_nothing_else(const std::string& what) const {
  std::vector<std::string> left;
  for (const auto& [name, tensor] : tensors_) {
    if (taken_.count(name) == 0) left.push_back(fmt::format("{} {}", name, peer_shape(tensor)));
  }
  if (left.empty()) return;
  throw InputError({path_.string(), "holds tensors that have no place",
                    fmt::format("those of {} alone", what),
                    fmt::format("beside them {}", fmt::join(left, ", ")),
                    "it is of another class than its settings say, or of a version that is not known here"});
}

}  // namespace regulon::core
