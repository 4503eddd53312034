#pragma once
/// Tests of missing rights, which root would have.

#include <unistd.h>

#include <exception>
#include <stdexcept>

namespace regulon::tests {

/// While it lives, a process of root has only the rights of a user who owns nothing; others stay as they are.
class WithoutRights {
 public:
  WithoutRights() {
    constexpr uid_t kNobody = 65534;
    if (was_ == 0 && seteuid(kNobody) != 0) throw std::runtime_error("seteuid failed");
  }
  ~WithoutRights() {
    if (was_ == 0 && seteuid(was_) != 0) std::terminate();
  }
  WithoutRights(const WithoutRights&) = delete;
  WithoutRights& operator=(const WithoutRights&) = delete;

 private:
  uid_t was_ = geteuid();
};

}  // namespace regulon::tests
