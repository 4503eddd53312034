#include <ATen/TensorOperators.h>
#include <fmt/format.h>
#include <regulon/error.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>

#include "core/measure/combine.h"

namespace regulon::core {
namespace {

/// The ids of one line.
class PartsLine {
 public:
  PartsLine(std::string place, const at::Tensor& usable) : place_(std::move(place)), usable_(usable) {}

  std::vector<std::int64_t> read(const std::string& line) const {
    constexpr const char* kBetween = ", \t\r";
    std::vector<std::int64_t> ids;
    std::size_t end = 0;
    for (std::size_t at = line.find_first_not_of(kBetween); at != std::string::npos;
         at = line.find_first_not_of(kBetween, end)) {
      end = std::min(line.find_first_of(kBetween, at), line.size());
      ids.push_back(id_of(line.substr(at, end - at)));
    }
    std::sort(ids.begin(), ids.end());
    const auto twice = std::adjacent_find(ids.begin(), ids.end());
    if (twice != ids.end()) refuse("names a feature twice", "different features", std::to_string(*twice));
    if (ids.size() == 1) refuse("is no combination", "two features or more", std::to_string(ids[0]));
    return ids;
  }

 private:
  std::int64_t id_of(const std::string& word) const {
    std::int64_t id = -1;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
    const bool whole = error == std::errc() && end == word.data() + word.size();
    if (!whole || id < 0 || id >= usable_.size(0)) {
      refuse("does not name features", fmt::format("ids from 0 to {}", usable_.size(0) - 1),
             "'" + word + "'");
    }
    if (!usable_.const_data_ptr<bool>()[id])
      refuse("names a feature without a direction", "rows that are not zero", word);
    return id;
  }

  [[noreturn]] void refuse(const std::string& what, const std::string& expected,
                           const std::string& found) const {
    throw InputError({place_, what, expected, found, "mend the line, or leave it out"});
  }

  std::string place_;
  const at::Tensor& usable_;  ///< [n] bool
};

}  // namespace

std::vector<std::vector<std::int64_t>> read_parts(const std::filesystem::path& file,
                                                  const at::Tensor& dictionary) {
  std::ifstream stream(file);
  if (!stream) throw InputError({file.string(), "cannot be read", "a text file of ids", "none", {}});
  const at::Tensor usable = (dictionary.detach() != 0).any(1).contiguous();
  std::vector<std::vector<std::int64_t>> all;
  std::string line;
  for (std::int64_t number = 1; std::getline(stream, line); ++number) {
    std::vector<std::int64_t> ids =
        PartsLine(fmt::format("{}, line {}", file.string(), number), usable).read(line);
    if (!ids.empty()) all.push_back(std::move(ids));
  }
  if (all.empty()) {
    throw InputError({file.string(), "holds no combination", "lines of two ids or more", "none",
                      "write one combination a line: `3, 17`"});
  }
  return all;
}

}  // namespace regulon::core
