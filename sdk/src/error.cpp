#include <regulon/error.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <utility>

namespace regulon {
namespace {

std::string describe_all(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) {
    if (!text.empty()) text += '\n';
    text += describe(problem);
  }
  return text;
}

/// Appends `part` to `text`, with `separator` between the two if both have something to say.
void append(std::string& text, const std::string& separator, const std::string& part) {
  if (part.empty()) return;
  if (!text.empty()) text += separator;
  text += part;
}

std::string lower_case(std::string word) {
  for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return word;
}

/// Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`.
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> current(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({last[j] + 1, current[j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) current[j] = std::min(current[j], before_last[j - 2] + 1);
    }
    std::swap(before_last, last);
    std::swap(last, current);
  }
  return last[b.size()];
}

/// How many edits a typing mistake in words of these lengths may take: a third of the longer one, at least
/// one, and fewer than would replace the shorter one whole.
std::size_t allowed_edits(std::size_t a, std::size_t b) {
  const std::size_t third = std::max<std::size_t>(1, std::max(a, b) / 3);
  const std::size_t shorter = std::min(a, b);
  return shorter == 0 ? 0 : std::min(third, shorter - 1);
}

}  // namespace

std::string describe(const Problem& problem) {
  std::string asked;
  if (!problem.expected.empty()) asked = "expected " + problem.expected;
  if (!problem.found.empty()) append(asked, ", ", "found " + problem.found);
  std::string text = problem.where;
  append(text, ": ", problem.what);
  append(text, ": ", asked);
  append(text, ". ", problem.hint);
  return text;
}

Error::Error(std::vector<Problem> problems)
    : std::runtime_error(describe_all(problems)), problems_(std::move(problems)) {}
Error::~Error() = default;

InputError::InputError(Problem problem) : Error(std::vector<Problem>{std::move(problem)}) {}
InputError::~InputError() = default;

RunError::RunError(Problem problem) : Error(std::vector<Problem>{std::move(problem)}) {}
RunError::~RunError() = default;

std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates) {
  if (candidates.empty()) return "";
  const std::string* nearest = nullptr;
  std::size_t least = std::numeric_limits<std::size_t>::max();
  const std::string typed = lower_case(word);
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(typed, lower_case(candidate));
    if (distance < least && distance <= allowed_edits(word.size(), candidate.size())) {
      least = distance;
      nearest = &candidate;
    }
  }
  if (nearest != nullptr) return "did you mean '" + *nearest + "'?";
  std::string list;
  for (const std::string& candidate : candidates) append(list, ", ", candidate);
  return "one of: " + list;
}

}  // namespace regulon
