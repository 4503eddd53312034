#include "core/study/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string_view>
#include <thread>

#include "core/io/atomic_file.h"

extern char** environ;

namespace regulon::core {
namespace {

constexpr int kCannotStart = 127;  ///< as shells say it
constexpr std::string_view kThreads = "OMP_NUM_THREADS=";

/// This process's environment, with the number of threads in it.
std::vector<std::string> environment_with(std::int64_t threads) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with(kThreads)) all.emplace_back(*entry);
  }
  all.push_back(std::string(kThreads) + std::to_string(threads));
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> all;
  all.reserve(words.size() + 1);
  for (std::string& word : words) all.push_back(word.data());
  all.push_back(nullptr);
  return all;
}

/// The child's part between fork and exec: nothing here may allocate or lock.
[[noreturn]] void become(const char* program, char* const* arguments, char* const* environment, int log,
                         pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kCannotStart);  // it died before the line above
  const int input = ::open("/dev/null", O_RDONLY);
  ::dup2(input, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execve(program, arguments, environment);
  ::_exit(kCannotStart);
}

}  // namespace

Child::Child(const Command& command) {
  std::vector<std::string> words = {"regulon"};
  words.insert(words.end(), command.arguments.begin(), command.arguments.end());
  std::vector<std::string> variables = environment_with(command.threads);
  const auto arguments = pointers(words);
  const auto environment = pointers(variables);
  const int log = ::open(command.log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) fail_on_path(command.log, "cannot be written", errno);
  const pid_t parent = ::getpid();
  process_ = ::fork();
  if (process_ == 0) become(command.program.c_str(), arguments.data(), environment.data(), log, parent);
  const int failed = errno;
  ::close(log);
  if (process_ < 0) fail_on_path(command.program, "cannot be started", failed);
}

Child::~Child() {
  if (ended_) return;
  send(SIGKILL);
  while (::waitpid(process_, &status_, 0) < 0 && errno == EINTR) continue;
}

bool Child::ended() {
  if (ended_) return true;
  const pid_t found = ::waitpid(process_, &status_, WNOHANG);
  // Where SIGCHLD is ignored, the system throws away how a child ended, and in the end knows of none.
  unknown_ = found < 0 && errno == ECHILD;
  ended_ = unknown_ || found == process_;
  return ended_;
}

bool Child::wait(double seconds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!ended() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return ended_;
}

void Child::send(int signal) const { ::kill(process_, signal); }

int Child::exit_code() const { return !unknown_ && WIFEXITED(status_) ? WEXITSTATUS(status_) : -1; }

int Child::signal() const { return !unknown_ && WIFSIGNALED(status_) ? WTERMSIG(status_) : 0; }

}  // namespace regulon::core
