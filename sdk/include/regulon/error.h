#pragma once
/// Errors meant for people. Whoever reports a problem says where it is, what was expected, what was found,
/// and what to do.

#include <stdexcept>
#include <string>
#include <vector>

namespace regulon {

/// One thing that is wrong, in the parts in which a person needs it. Parts may be empty.
struct Problem {
  std::string where;     ///< "configs/a.toml:12", "train-0.safetensors", "plugin hoyer_square (…) in value"
  std::string what;      ///< the complaint itself: "unknown key 'wieght'"
  std::string expected;  ///< what would have been right: "a number of at least 0"
  std::string found;     ///< what was there instead: "-3"
  std::string hint;      ///< what to do: "did you mean 'weight'?"
};

/// One line: "WHERE: WHAT: expected EXPECTED, found FOUND. HINT".
std::string describe(const Problem& problem);

/// Base of the errors below: carries every problem found, and says all of them in what(), one a line.
class Error : public std::runtime_error {
 public:
  explicit Error(std::vector<Problem> problems);
  ~Error() override;
  const std::vector<Problem>& problems() const noexcept { return problems_; }

 private:
  std::vector<Problem> problems_;
};

/// Bad input: a config, a data file, a plugin or a command line that cannot be used. Ends in exit code 2.
class InputError final : public Error {
 public:
  using Error::Error;
  explicit InputError(Problem problem);
  ~InputError() override;
};

/// Something failed while a run was on its way: a plugin threw, a disk filled up. Ends in exit code 1.
class RunError final : public Error {
 public:
  using Error::Error;
  explicit RunError(Problem problem);
  ~RunError() override;
};

/// The candidate nearest to `word` by edit distance, phrased as "did you mean 'X'?"; without a near one, the
/// list "one of: A, B, C"; empty if there are no candidates.
std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace regulon
