#pragma once
/// The program as a user runs it: started, watched, killed.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

extern char** environ;

namespace regulon::tests {

/// A folder of the test's own, removed with everything in it.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "regulon-test-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;  // a folder that cannot be removed is no reason to fail a test
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw std::runtime_error("cannot read " + path.string());
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

inline void write_file(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

/// How a run of the program ended.
struct Ended {
  int exit_code = -1;  ///< -1 if a signal ended it
  int signal = 0;
  std::string out;
  std::string err;
};

/// `regulon ARGS` as a child process.
class Program {
 public:
  explicit Program(std::vector<std::string> arguments, const std::vector<std::string>& wrapper = {}) {
    std::vector<std::string> words = wrapper;
    words.push_back(std::string(REGULON_BUILD_DIR) + "/regulon");
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const std::string out = scratch_ / "out";
    const std::string err = scratch_ / "err";
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    const int failed = posix_spawnp(&child_, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) throw std::runtime_error("cannot start " + words.front());
  }
  ~Program() {
    if (!ended_) {
      send(SIGKILL);
      wait();
    }
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void send(int signal) const { kill(child_, signal); }
  std::string err_so_far() const { return read_file(scratch_ / "err"); }
  /// Waits until standard error contains `text` or the program ends; false if it never did within two
  /// minutes.
  bool wait_for_err(const std::string& text) {
    for (int tries = 0; tries < 12000; ++tries) {
      if (err_so_far().find(text) != std::string::npos) return true;
      if (poll()) return err_so_far().find(text) != std::string::npos;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  Ended wait() {
    if (!ended_) collect(0);
    return result();
  }

 private:
  bool poll() {
    if (!ended_) collect(WNOHANG);
    return ended_;
  }
  void collect(int flags) {
    if (waitpid(child_, &status_, flags) == child_) ended_ = true;
  }
  Ended result() const {
    Ended ended;
    if (WIFEXITED(status_)) ended.exit_code = WEXITSTATUS(status_);
    if (WIFSIGNALED(status_)) ended.signal = WTERMSIG(status_);
    ended.out = read_file(scratch_ / "out");
    ended.err = read_file(scratch_ / "err");
    return ended;
  }

  ScratchFolder scratch_;
  pid_t child_ = 0;
  int status_ = 0;
  bool ended_ = false;
};

/// Runs the program to its end.
inline Ended run_program(const std::vector<std::string>& arguments,
                         const std::vector<std::string>& wrapper = {}) {
  return Program(arguments, wrapper).wait();
}

}  // namespace regulon::tests
