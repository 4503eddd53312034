#include "core/interchange/pickle_check.h"

#include <fmt/format.h>
#include <regulon/error.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace regulon::core {
namespace {

/// What lies on the stack of a pickle, as far as the next instruction has to know.
enum class Kind {
  mark,
  scalar,
  text,
  tuple,
  empty_tuple,
  dict,
  makes_tensor,
  makes_dict,
  storage_type,
  storage,
  tensor
};

/// The names that may be looked up, and what they are.
struct AllowedName {
  std::string_view module;
  std::string_view name;
  Kind kind;
};
constexpr std::array<AllowedName, 13> kAllowedNames = {{
    {"collections", "OrderedDict", Kind::makes_dict},
    {"torch._utils", "_rebuild_tensor_v2", Kind::makes_tensor},
    {"torch._utils", "_rebuild_parameter", Kind::makes_tensor},
    {"torch", "FloatStorage", Kind::storage_type},
    {"torch", "DoubleStorage", Kind::storage_type},
    {"torch", "HalfStorage", Kind::storage_type},
    {"torch", "BFloat16Storage", Kind::storage_type},
    {"torch", "LongStorage", Kind::storage_type},
    {"torch", "IntStorage", Kind::storage_type},
    {"torch", "ShortStorage", Kind::storage_type},
    {"torch", "CharStorage", Kind::storage_type},
    {"torch", "ByteStorage", Kind::storage_type},
    {"torch", "BoolStorage", Kind::storage_type},
}};

/// A value on the stack, and the byte at which the instructions begin that made it.
struct Made {
  Kind kind;
  std::size_t begins;
};

/// What is to stand in the place of some bytes of the pickle.
struct Edit {
  std::size_t begin;
  std::size_t end;
  std::string_view instructions;
};

constexpr std::size_t kLongestName = 80;
constexpr std::uint8_t kNewestProtocol = 5;

class PickleCheck {
 public:
  PickleCheck(std::string_view pickle, const std::string& origin) : pickle_(pickle), origin_(origin) {}

  /// The pickle with plain dictionaries.
  std::string run() {
    while (true) {
      const std::size_t at = instruction_ = at_;
      const auto code = static_cast<unsigned char>(take(1)[0]);
      if (code == '.') break;
      if (!constant(code) && !memory(code) && !container(code) && !call(code)) {
        fail("has an instruction that is not allowed", "dictionaries of tensors and what they are made of",
             fmt::format("instruction 0x{:02x} at byte {}", code, at));
      }
    }
    if (stack_.size() != 1 || stack_.back().kind != Kind::dict) {
      fail("holds something else", "one dictionary of tensors", "another object");
    }
    return edited();
  }

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& expected,
                         const std::string& found) const {
    throw InputError(
        {origin_, what, expected, found,
         "nothing of it was executed; use it only if you know who made it, and save its state_dict "
         "again with torch.save"});
  }

  std::string_view take(std::uint64_t count) {
    if (count > pickle_.size() - at_) fail("is not whole", "a pickle up to its end", "half of one");
    const std::string_view taken = pickle_.substr(at_, static_cast<std::size_t>(count));
    at_ += static_cast<std::size_t>(count);
    return taken;
  }
  /// A little-endian number of `bytes` bytes.
  std::uint64_t number(std::size_t bytes) {
    std::uint64_t value = 0;
    const std::string_view held = take(bytes);
    for (std::size_t i = 0; i < bytes; ++i) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(held[i])) << (8 * i);
    }
    return value;
  }
  std::string_view line() {
    const std::size_t end = pickle_.find('\n', at_);
    if (end == std::string_view::npos) fail("is not whole", "a pickle up to its end", "half of one");
    const std::string_view taken = pickle_.substr(at_, end - at_);
    at_ = end + 1;
    return taken;
  }

  void push(Kind kind) { stack_.push_back({kind, instruction_}); }
  Made take_made() {
    if (stack_.empty()) fail("takes what is not there", "a value for each instruction", "none");
    const Made made = stack_.back();
    stack_.pop_back();
    return made;
  }
  Kind pop() { return take_made().kind; }
  void pop(Kind kind) {
    if (pop() != kind)
      fail("has an instruction on the wrong kind of value", "as torch.save writes it", "another");
  }
  /// Pops up to the last mark; how many there were.
  std::size_t pop_to_mark() {
    std::size_t count = 0;
    while (pop() != Kind::mark) ++count;
    return count;
  }
  void need_dict() const {
    if (stack_.empty() || stack_.back().kind != Kind::dict) {
      fail("fills what is no dictionary", "as torch.save writes it", "another");
    }
  }

  bool constant(unsigned char code) {
    switch (code) {
      case 0x80:  // PROTO
        if (number(1) > kNewestProtocol)
          fail("is of another version", "pickle protocol 2 to 5", "a newer one");
        return true;
      case 'N':   // NONE
      case 0x88:  // NEWTRUE
      case 0x89:  // NEWFALSE
        push(Kind::scalar);
        return true;
      case 'K':  // BININT1
        return fixed(1);
      case 'M':  // BININT2
        return fixed(2);
      case 'J':  // BININT
        return fixed(4);
      case 'G':  // BINFLOAT
        return fixed(8);
      case 0x8a:  // LONG1
        take(number(1));
        push(Kind::scalar);
        return true;
      case 'X':  // BINUNICODE
        take(number(4));
        push(Kind::text);
        return true;
      default:
        return false;
    }
  }
  bool fixed(std::uint64_t bytes) {
    take(bytes);
    push(Kind::scalar);
    return true;
  }

  bool memory(unsigned char code) {
    switch (code) {
      case 'q':  // BINPUT
        return put(number(1));
      case 'r':  // LONG_BINPUT
        return put(number(4));
      case 'h':  // BINGET
        return get(number(1));
      case 'j':  // LONG_BINGET
        return get(number(4));
      default:
        return false;
    }
  }
  /// The memory grows one by one, as picklers write it: no index of a hostile one makes it large.
  bool put(std::uint64_t index) {
    if (stack_.empty() || stack_.back().kind == Kind::mark || index > memory_.size()) {
      fail("remembers what is not there", "values in their order", "another index");
    }
    if (index == memory_.size()) memory_.push_back(stack_.back().kind);
    memory_[static_cast<std::size_t>(index)] = stack_.back().kind;
    return true;
  }
  bool get(std::uint64_t index) {
    if (index >= memory_.size()) fail("recalls what was not remembered", "an index from before", "another");
    push(memory_[static_cast<std::size_t>(index)]);
    return true;
  }

  bool container(unsigned char code) {
    switch (code) {
      case '(':  // MARK
        push(Kind::mark);
        return true;
      case ')':  // EMPTY_TUPLE
        push(Kind::empty_tuple);
        return true;
      case '}':  // EMPTY_DICT
        push(Kind::dict);
        return true;
      case 't':  // TUPLE
        push(pop_to_mark() == 0 ? Kind::empty_tuple : Kind::tuple);
        return true;
      case 0x85:  // TUPLE1
      case 0x86:  // TUPLE2
      case 0x87:  // TUPLE3
        for (int i = 0; i < code - 0x84; ++i) pop_value();
        push(Kind::tuple);
        return true;
      case 's':  // SETITEM
        pop_value();
        pop(Kind::text);
        need_dict();
        return true;
      case 'u':  // SETITEMS
        if (pop_to_mark() % 2 != 0) fail("has a key without a value", "pairs", "an odd number");
        need_dict();
        return true;
      default:
        return false;
    }
  }
  void pop_value() {
    if (pop() == Kind::mark) fail("takes what is not there", "a value for each instruction", "a mark");
  }

  bool call(unsigned char code) {
    switch (code) {
      case 'c': {  // GLOBAL
        const std::string_view module = line();
        push(look_up(module, line()));
        return true;
      }
      case 'Q':  // BINPERSID
        pop(Kind::tuple);
        push(Kind::storage);
        return true;
      case 'b':  // BUILD
        drop_attributes();
        return true;
      case 'R': {  // REDUCE
        const Kind arguments = pop();
        const Made function = take_made();
        const bool dict = function.kind == Kind::makes_dict && arguments == Kind::empty_tuple;
        if (!dict && !(function.kind == Kind::makes_tensor && arguments == Kind::tuple)) {
          fail("calls what is no call of a tensor", "a tensor being put together", "another call");
        }
        stack_.push_back({dict ? Kind::dict : Kind::tensor, function.begins});
        if (dict) replace_from(function.begins, "}");  // a plain one, which keeps its order, too
        return true;
      }
      default:
        return false;
    }
  }
  /// An OrderedDict's attributes, such as the versions that state_dict gives it: left out.
  void drop_attributes() {
    const Made attributes = take_made();
    if (attributes.kind != Kind::dict) {
      fail("has an instruction on the wrong kind of value", "a dictionary of attributes", "another");
    }
    need_dict();
    replace_from(attributes.begins, "");
  }
  /// Puts `instructions` in the place of all from byte `begin` up to here.
  void replace_from(std::size_t begin, std::string_view instructions) {
    while (!edits_.empty() && edits_.back().begin >= begin) edits_.pop_back();  // part of what goes
    edits_.push_back({begin, at_, instructions});
  }
  std::string edited() const {
    std::string kept;
    std::size_t from = 0;
    for (const Edit& edit : edits_) {
      kept += pickle_.substr(from, edit.begin - from);
      kept += edit.instructions;
      from = edit.end;
    }
    return kept += pickle_.substr(from, at_ - from);
  }
  Kind look_up(std::string_view module, std::string_view name) const {
    for (const AllowedName& allowed : kAllowedNames) {
      if (allowed.module == module && allowed.name == name) return allowed.kind;
    }
    fail("asks for a name that is not allowed", "tensors, their storages and OrderedDict alone",
         fmt::format("{}.{}", printable(module), printable(name)));
  }
  static std::string printable(std::string_view text) {
    std::string shown(text.substr(0, kLongestName));
    std::replace_if(
        shown.begin(), shown.end(), [](unsigned char c) { return c < 0x20 || c > 0x7e; }, '?');
    return shown;
  }

  std::string_view pickle_;
  const std::string& origin_;
  std::size_t at_ = 0;
  std::size_t instruction_ = 0;  ///< where the one at hand begins
  std::vector<Edit> edits_;      ///< in order, none within another
  std::vector<Made> stack_;
  std::vector<Kind> memory_;
};

}  // namespace

std::string checked_pickle(std::string_view pickle, const std::string& origin) {
  return PickleCheck(pickle, origin).run();
}

}  // namespace regulon::core
