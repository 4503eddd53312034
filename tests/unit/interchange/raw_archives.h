#pragma once
/// Files of torch.save made record by record, without the code under test.

#include <caffe2/serialize/inline_container.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/unit/support/raw_files.h"

namespace regulon::tests {

/// A text as a pickle pushes it.
inline std::string pickled_text(const std::string& text) {
  return "X" + little_endian(text.size(), 4) + text;
}

/// A number below 256.
inline std::string pickled_number(int value) { return std::string("K") + static_cast<char>(value); }

/// A float32 tensor of `size` elements at `stride`, from `offset` on, whose storage "0" claims `stored`.
inline std::string pickled_tensor(int stored, int offset, int size, int stride) {
  const std::string storage = "(" + pickled_text("storage") + "ctorch\nFloatStorage\n" + pickled_text("0") +
                              pickled_text("cpu") + pickled_number(stored) + "tQ";
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + pickled_number(offset) + pickled_number(size) +
         "\x85" + pickled_number(stride) + "\x85\x89" + "ccollections\nOrderedDict\n)RtR";
}

/// A pickle of the dictionary {`name`: `value`}.
inline std::string pickled_dict(const std::string& name, const std::string& value) {
  return "\x80\x02}(" + pickled_text(name) + value + "u.";
}

/// Writes a zip archive with `pickle` as data.pkl and `data` as storage "0".
inline void write_archive(const std::filesystem::path& path, const std::string& pickle,
                          const std::string& data) {
  caffe2::serialize::PyTorchStreamWriter writer(path.string());
  writer.writeRecord("data.pkl", pickle.data(), pickle.size());
  writer.writeRecord("data/0", data.data(), data.size());
  writer.writeEndOfFile();
}

}  // namespace regulon::tests
