#pragma once
/// A file descriptor that is closed at the end of its scope.

#include <unistd.h>

namespace regulon::core {

struct Descriptor {
  int value = -1;  ///< below zero: none
  explicit Descriptor(int opened) : value(opened) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

}  // namespace regulon::core
