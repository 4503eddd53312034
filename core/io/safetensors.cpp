#include "core/io/safetensors.h"

#include <regulon/error.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <tuple>

#include "core/io/atomic_file.h"

namespace regulon::core {
namespace {

using nlohmann::json;

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kLargestHeader = 100'000'000;  // the format's own limit
constexpr int kDeepestLevel = 3;                       // header, tensor, shape
constexpr std::string_view kMetadata = "__metadata__";

constexpr std::array<std::pair<std::string_view, at::ScalarType>, 14> kDtypes = {{
    {"F64", at::kDouble},
    {"F32", at::kFloat},
    {"F16", at::kHalf},
    {"BF16", at::kBFloat16},
    {"F8_E4M3", at::kFloat8_e4m3fn},
    {"F8_E5M2", at::kFloat8_e5m2},
    {"I64", at::kLong},
    {"I32", at::kInt},
    {"I16", at::kShort},
    {"I8", at::kChar},
    {"U64", at::kUInt64},
    {"U32", at::kUInt32},
    {"U16", at::kUInt16},
    {"U8", at::kByte},
}};
// BOOL stands apart: the table is searched by name and by type, and this keeps it a plain list of numbers.
constexpr std::string_view kBool = "BOOL";

std::optional<at::ScalarType> dtype_of(std::string_view name) {
  if (name == kBool) return at::kBool;
  for (const auto& [known, dtype] : kDtypes) {
    if (known == name) return dtype;
  }
  return std::nullopt;
}

std::optional<std::string> known_name(at::ScalarType dtype) {
  if (dtype == at::kBool) return std::string(kBool);
  for (const auto& [name, known] : kDtypes) {
    if (known == dtype) return std::string(name);
  }
  return std::nullopt;
}

/// A name from a file as it may stand in a message: cut where it is long.
std::string quoted(const std::string& name) {
  constexpr std::size_t kLongest = 80;
  return "'" + (name.size() > kLongest ? name.substr(0, kLongest) + "…" : name) + "'";
}

/// Reads one header; `where` is the file's name in messages.
class HeaderReader {
 public:
  HeaderReader(std::string where, std::span<const std::byte> file) : where_(std::move(where)), file_(file) {}

  void read(std::vector<TensorEntry>& entries, std::map<std::string, std::string>& metadata) {
    const std::string_view text = header_text();
    const json header = parse(text);
    if (!header.is_object()) fail("has a header that is not a JSON object", "an object", header.type_name());
    data_begin_ = kLengthBytes + text.size();
    for (const auto& [name, value] : header.items()) {
      if (name == kMetadata) {
        read_metadata(value, metadata);
      } else {
        entries.push_back(read_entry(name, value));
      }
    }
    check_layout(entries);
  }

 private:
  [[noreturn]] void fail(std::string what, std::string expected, std::string found) const {
    throw InputError({where_, std::move(what), std::move(expected), std::move(found),
                      "The file is damaged, cut short or not safetensors: write or copy it again."});
  }

  std::string_view header_text() const {
    if (file_.size() < kLengthBytes) {
      fail("is too short for a safetensors file", "at least 8 bytes", std::to_string(file_.size()));
    }
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < kLengthBytes; ++i)
      length |= std::to_integer<std::uint64_t>(file_[i]) << (8 * i);
    if (length > kLargestHeader) {
      fail("states a header that is too long", "at most " + std::to_string(kLargestHeader) + " bytes",
           std::to_string(length));
    }
    if (length > file_.size() - kLengthBytes) {
      fail("ends within its header", "a header of " + std::to_string(length) + " bytes",
           std::to_string(file_.size() - kLengthBytes) + " bytes after the length");
    }
    return {reinterpret_cast<const char*>(file_.data()) + kLengthBytes, static_cast<std::size_t>(length)};
  }

  json parse(std::string_view text) const {
    if (!text.starts_with('{'))
      fail("has a header that is not JSON", "'{' as its first byte", "another byte");
    std::vector<std::set<std::string>> keys;  // of the objects that are open
    const auto watch = [&](int depth, json::parse_event_t event, json& value) {
      if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
        if (depth >= kDeepestLevel) fail("has a header that is nested too deeply", "three levels", "more");
        keys.resize(static_cast<std::size_t>(depth) + 1);
        keys.back().clear();
      } else if (event == json::parse_event_t::key) {
        const auto& key = value.get_ref<const std::string&>();
        if (!keys.at(static_cast<std::size_t>(depth) - 1).insert(key).second) {
          fail("has the key " + quoted(key) + " twice in its header", "each key once", "");
        }
        keys.resize(static_cast<std::size_t>(depth));
      }
      return true;
    };
    try {
      return json::parse(text, watch);
    } catch (const json::exception& error) {
      fail("has a header that is not valid JSON", "JSON text", error.what());
    }
  }

  void read_metadata(const json& value, std::map<std::string, std::string>& metadata) const {
    if (!value.is_object())
      fail("has a __metadata__ of the wrong kind", "an object of texts", value.type_name());
    for (const auto& [key, text] : value.items()) {
      if (!text.is_string()) {
        fail("has a __metadata__ entry " + quoted(key) + " of the wrong kind", "a text", text.type_name());
      }
      metadata[key] = text.get<std::string>();
    }
  }

  TensorEntry read_entry(const std::string& name, const json& value) const {
    const std::string tensor = "tensor " + quoted(name);
    if (!value.is_object() || value.size() != 3 || !value.contains("dtype") || !value.contains("shape") ||
        !value.contains("data_offsets")) {
      fail("describes " + tensor + " wrongly", "exactly dtype, shape and data_offsets",
           quoted(value.dump(-1, ' ', true)));
    }
    TensorEntry entry;
    entry.name = name;
    const json& dtype = value["dtype"];
    const auto known = dtype.is_string() ? dtype_of(dtype.get_ref<const std::string&>()) : std::nullopt;
    if (!known) {
      fail("has " + tensor + " of an unknown dtype",
           "one of: F64, F32, F16, BF16, F8_E4M3, F8_E5M2, I64, I32, I16, "
           "I8, U64, U32, U16, U8, BOOL",
           quoted(dtype.dump(-1, ' ', true)));
    }
    entry.dtype = *known;
    entry.shape = numbers(tensor, "shape", value["shape"]);
    const std::vector<std::int64_t> offsets = numbers(tensor, "data_offsets", value["data_offsets"]);
    const auto data_bytes = static_cast<std::int64_t>(file_.size() - data_begin_);
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > data_bytes) {
      fail("has " + tensor + " outside of its data", "0 <= begin <= end <= " + std::to_string(data_bytes),
           value["data_offsets"].dump());
    }
    const std::int64_t bytes = byte_count(entry.shape, at::elementSize(entry.dtype));
    if (bytes != offsets[1] - offsets[0]) {
      fail("has " + tensor + " whose size does not fit its shape " + layout_text(entry),
           bytes < 0 ? "a size that can be counted" : std::to_string(bytes) + " bytes",
           std::to_string(offsets[1] - offsets[0]) + " bytes");
    }
    entry.offset = data_begin_ + static_cast<std::size_t>(offsets[0]);
    entry.bytes = static_cast<std::size_t>(bytes);
    return entry;
  }

  std::vector<std::int64_t> numbers(const std::string& tensor, const std::string& key,
                                    const json& value) const {
    constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    std::vector<std::int64_t> result;
    const bool good = value.is_array() && std::all_of(value.begin(), value.end(), [](const json& number) {
                        return number.is_number_unsigned() && number.get<std::uint64_t>() <= kLargest;
                      });
    if (!good)
      fail("has " + tensor + " with a bad " + key, "an array of integers of at least 0",
           quoted(value.dump(-1, ' ', true)));
    for (const json& number : value) result.push_back(number.get<std::int64_t>());
    return result;
  }

  /// Sorts the entries by their bytes and refuses holes, overlaps and bytes that belong to none.
  void check_layout(std::vector<TensorEntry>& entries) const {
    std::sort(entries.begin(), entries.end(), [](const TensorEntry& a, const TensorEntry& b) {
      return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
    });
    std::size_t end = data_begin_;
    for (const TensorEntry& entry : entries) {
      if (entry.offset != end) {
        fail(std::string(entry.offset < end ? "has overlapping tensors" : "has a hole before a tensor"),
             "tensor " + quoted(entry.name) + " to begin at byte " + std::to_string(end - data_begin_) +
                 " of the data",
             std::to_string(entry.offset - data_begin_));
      }
      end += entry.bytes;
    }
    if (end != file_.size()) {
      fail("has bytes that belong to no tensor", std::to_string(end - data_begin_) + " bytes of data",
           std::to_string(file_.size() - data_begin_));
    }
  }

  std::string where_;
  std::span<const std::byte> file_;
  std::size_t data_begin_ = 0;
};

[[noreturn]] void refuse_to_write(const std::filesystem::path& path, std::string what, std::string found) {
  throw RunError({path.string(), std::move(what), "", std::move(found), "Nothing was written."});
}

/// The tensors in the order in which they are written, as contiguous ones on the CPU.
NamedTensors in_file_order(const std::filesystem::path& path, const NamedTensors& tensors) {
  NamedTensors sorted;
  std::set<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    if (name == kMetadata || !names.insert(name).second) {
      refuse_to_write(path, "cannot hold two tensors of one name", quoted(name));
    }
    if (!tensor.defined() || !known_name(tensor.scalar_type())) {
      refuse_to_write(path, "cannot hold tensor " + quoted(name),
                      tensor.defined() ? dtype_name(tensor.scalar_type()) : "an undefined tensor");
    }
    sorted.emplace_back(name, tensor.detach().cpu().contiguous());
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    const std::size_t left = a.second.element_size();
    const std::size_t right = b.second.element_size();
    return left != right ? left > right : a.first < b.first;
  });
  return sorted;
}

}  // namespace

std::string dtype_name(at::ScalarType dtype) { return known_name(dtype).value_or(c10::toString(dtype)); }

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : file_(std::make_shared<const MappedFile>(path)) {
  HeaderReader(path.string(), file_->bytes()).read(entries_, metadata_);
}

const TensorEntry* SafetensorsFile::find(const std::string& name) const {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry.name == name; });
  return found == entries_.end() ? nullptr : &*found;
}

at::Tensor SafetensorsFile::tensor(const std::string& name) const {
  const TensorEntry* const entry = find(name);
  if (entry == nullptr) {
    std::vector<std::string> names;
    for (const TensorEntry& other : entries_) names.push_back(other.name);
    throw InputError({file_->path().string(), "has no tensor " + quoted(name), "a tensor of that name",
                      std::to_string(names.size()) + " tensors", did_you_mean(name, names)});
  }
  return tensor_at(file_, *entry);
}

NamedTensors SafetensorsFile::tensors() const {
  NamedTensors all;
  for (const TensorEntry& entry : entries_) all.emplace_back(entry.name, tensor_at(file_, entry));
  return all;
}

void write_safetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const NamedTensors sorted = in_file_order(path, tensors);
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[std::string(kMetadata)] = metadata;
  std::size_t offset = 0;
  for (const auto& [name, tensor] : sorted) {
    const std::size_t end = offset + tensor.nbytes();
    header[name] = {{"dtype", dtype_name(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception& error) {
    refuse_to_write(path, "cannot hold a name or metadata that is not UTF-8", error.what());
  }
  text.resize((text.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');
  std::array<std::byte, kLengthBytes> length;
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    length[i] = static_cast<std::byte>((text.size() >> (8 * i)) & 0xff);

  AtomicFile file(path);
  file.write(std::span<const std::byte>(length));
  file.write(text);
  for (const auto& [name, tensor] : sorted) {
    file.write(std::span(static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()));
  }
  file.commit();
}

}  // namespace regulon::core
