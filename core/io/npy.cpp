#include "core/io/npy.h"

#include <regulon/error.h>

#include <cctype>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace regulon::core {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kVersionEnd = 8;

/// The dict of a header: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
struct Header {
  std::string descr;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

/// Reads the dict's text. Only what NumPy writes is understood; nothing is evaluated.
class DictReader {
 public:
  explicit DictReader(std::string_view text) : text_(text) {}

  /// Nothing if the text is not such a dict.
  std::optional<Header> read() {
    Header header;
    std::set<std::string> seen;
    if (!take('{')) return std::nullopt;
    while (!take('}')) {
      std::string key;
      if (!quoted(key) || !take(':') || !seen.insert(key).second || !value_of(key, header))
        return std::nullopt;
      if (!take(',') && !peek('}')) return std::nullopt;
    }
    skip_blanks();
    if (at_ != text_.size() || seen.size() != 3) return std::nullopt;
    return header;
  }

 private:
  bool value_of(const std::string& key, Header& header) {
    if (key == "fortran_order") return boolean(header.fortran_order);
    if (key == "shape") return tuple(header.shape);
    if (key != "descr") return false;
    if (quoted(header.descr)) return true;
    // A structured dtype is a list; it is read as a whole only to be named in the refusal.
    if (!peek('[')) return false;
    const std::size_t end = text_.find(']', at_);
    if (end == std::string_view::npos) return false;
    header.descr = text_.substr(at_, end + 1 - at_);
    at_ = end + 1;
    return true;
  }

  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  bool peek(char wanted) {
    skip_blanks();
    return at_ < text_.size() && text_[at_] == wanted;
  }
  bool take(char wanted) {
    if (!peek(wanted)) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view wanted) {
    skip_blanks();
    if (text_.substr(at_, wanted.size()) != wanted) return false;
    at_ += wanted.size();
    return true;
  }
  bool boolean(bool& value) {
    value = word("True");
    return value || word("False");
  }
  bool quoted(std::string& value) {
    if (!peek('\'') && !peek('"')) return false;
    const std::size_t end = text_.find(text_[at_], at_ + 1);
    if (end == std::string_view::npos) return false;
    value = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return true;
  }
  bool number(std::int64_t& value) {
    skip_blanks();
    const std::size_t begin = at_;
    value = 0;
    while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0) {
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, text_[at_] - '0', &value))
        return false;
      ++at_;
    }
    return at_ > begin;
  }
  bool tuple(std::vector<std::int64_t>& value) {
    if (!take('(')) return false;
    while (!take(')')) {
      std::int64_t extent = 0;
      if (!number(extent)) return false;
      value.push_back(extent);
      if (!take(',') && !peek(')')) return false;
    }
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

std::optional<at::ScalarType> described_dtype(const std::string& descr) {
  if (descr == "<f4") return at::kFloat;
  if (descr == "<f2") return at::kHalf;
  if (descr == "<f8") return at::kDouble;
  return std::nullopt;
}

std::string hint_for(const std::string& descr) {
  if (descr.find('O') != std::string::npos) {
    return "It holds pickled Python objects, which could run code: they are never read. Save plain floats.";
  }
  if (descr.starts_with('>')) return "It is big-endian: save it with array.astype('<f4').";
  return "Save it with array.astype('float32').";
}

[[noreturn]] void fail(
    const MappedFile& file, std::string what, std::string expected, std::string found,
    std::string hint = "The file is damaged, cut short or not npy: write or copy it again.") {
  throw InputError(
      {file.path().string(), std::move(what), std::move(expected), std::move(found), std::move(hint)});
}

std::size_t number_at(std::string_view text, std::size_t at, std::size_t bytes) {
  std::size_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    value |= static_cast<std::size_t>(static_cast<unsigned char>(text[at + i])) << (8 * i);
  }
  return value;
}

/// The text of the header's dict, and in `data` where the array begins.
std::string_view header_text(const MappedFile& file, std::size_t& data) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (!text.starts_with(kMagic) || text.size() < kVersionEnd) {
    fail(file, "does not begin as an npy file", "the bytes \\x93NUMPY and a version", "other bytes");
  }
  const int major = static_cast<unsigned char>(text[6]);
  const int minor = static_cast<unsigned char>(text[7]);
  if (major < 1 || major > 3 || minor != 0) {
    fail(file, "has an unknown npy version", "1.0, 2.0 or 3.0",
         std::to_string(major) + "." + std::to_string(minor));
  }
  const std::size_t length_bytes = major == 1 ? 2 : 4;
  const std::size_t begin = kVersionEnd + length_bytes;
  const std::size_t length = begin <= text.size() ? number_at(text, kVersionEnd, length_bytes) : 0;
  if (begin > text.size() || length > text.size() - begin) {
    fail(file, "ends within its header", "a header of " + std::to_string(length) + " bytes",
         std::to_string(text.size()) + " bytes in all");
  }
  data = begin + length;
  return text.substr(begin, length);
}

}  // namespace

NpyFile::NpyFile(const std::filesystem::path& path) : file_(std::make_shared<const MappedFile>(path)) {
  const std::string_view text = header_text(*file_, entry_.offset);
  const std::optional<Header> header = DictReader(text).read();
  if (!header) {
    fail(*file_, "has a header that cannot be read", "{'descr': …, 'fortran_order': …, 'shape': (…), }",
         "'" + std::string(text.substr(0, 80)) + "'");
  }
  const std::optional<at::ScalarType> dtype = described_dtype(header->descr);
  if (!dtype)
    fail(*file_, "has a dtype that is not read", "<f4, <f2 or <f8", header->descr, hint_for(header->descr));
  if (header->fortran_order && header->shape.size() > 1) {
    fail(*file_, "is in Fortran order", "C order, one row after the other", "fortran_order: True",
         "Save it with numpy.ascontiguousarray(array).");
  }
  entry_.dtype = *dtype;
  entry_.shape = header->shape;
  const std::int64_t bytes = byte_count(entry_.shape, at::elementSize(*dtype));
  const std::size_t found = file_->size() - entry_.offset;
  if (bytes < 0 || static_cast<std::size_t>(bytes) != found) {
    fail(*file_, "has another size than its shape " + layout_text(entry_) + " needs",
         bytes < 0 ? "a size that can be counted" : std::to_string(bytes) + " bytes of data",
         std::to_string(found));
  }
  entry_.bytes = found;
}

}  // namespace regulon::core
