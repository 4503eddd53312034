#pragma once
/// A run as a process of its own: whatever it does, only it ends.

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace regulon::core {

/// What to start.
struct Command {
  std::filesystem::path program;
  std::vector<std::string> arguments;  ///< without the program's own name
  std::filesystem::path log;           ///< gets all that it prints; begins anew
  std::int64_t threads = 1;            ///< told as OMP_NUM_THREADS
};

/// A process that was started. It is killed by the system if this one dies, and by the destructor.
class Child {
 public:
  /// Throws RunError if the process cannot be made or the log cannot be opened.
  explicit Child(const Command& command);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Whether it has ended; does not wait.
  bool ended();
  /// Waits until it has ended, but no longer than `seconds`. Whether it has.
  bool wait(double seconds);
  void send(int signal) const;
  /// Of a process that has ended: its exit code, or -1 if a signal ended it or if the system kept no record
  /// of it, as it does where SIGCHLD is ignored.
  int exit_code() const;
  /// Of a process that has ended: the signal that ended it, or 0.
  int signal() const;

 private:
  pid_t process_ = -1;
  int status_ = 0;
  bool ended_ = false;
  bool unknown_ = false;  ///< how it ended
};

}  // namespace regulon::core
