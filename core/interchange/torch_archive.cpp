#include "core/interchange/torch_archive.h"

#include <ATen/core/ivalue.h>
#include <caffe2/serialize/file_adapter.h>
#include <caffe2/serialize/inline_container.h>
#include <fmt/format.h>
#include <regulon/error.h>
#include <torch/csrc/jit/serialization/pickler.h>
#include <torch/csrc/jit/serialization/unpickler.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/interchange/pickle_check.h"
#include "core/io/atomic_file.h"

namespace regulon::core {
namespace {

namespace fs = std::filesystem;

constexpr char kPickle[] = "data.pkl";
constexpr char kByteOrder[] = "byteorder";
constexpr std::string_view kLittleEndian = "little";
/// A dictionary of tensors takes some hundred bytes a tensor.
constexpr std::size_t kLargestPickle = std::size_t{1} << 24;

[[noreturn]] void refuse_archive(const fs::path& path, const std::string& found, const std::string& hint) {
  throw InputError({path.string(), "cannot be read as weights",
                    "a whole file of torch.save with tensors by name", found, hint});
}

/// Records of one file, and how many bytes each brought.
class Records {
 public:
  explicit Records(const fs::path& path)
      : path_(path),
        file_bytes_(fs::file_size(path)),
        reader_(std::make_shared<caffe2::serialize::FileAdapter>(path.string())) {
    reader_.setShouldLoadDebugSymbol(false);
  }

  bool has(const std::string& name) { return reader_.hasRecord(name); }
  at::DataPtr read(const std::string& name) {
    // torch.save stores without compression: what claims to be larger than the file is a trap.
    if (reader_.getRecordSize(name) > file_bytes_) {
      refuse_archive(path_, fmt::format("'{}' that claims to be larger than the file", name),
                     "get it again from where it was saved");
    }
    auto [data, bytes] = reader_.getRecord(name);
    bytes_[data.get()] = bytes;
    return std::move(data);
  }
  std::string text(const std::string& name) {
    const at::DataPtr data = read(name);
    return {static_cast<const char*>(data.get()), bytes_.at(data.get())};
  }
  std::size_t bytes_of(const void* data) const {
    const auto found = bytes_.find(data);
    return found == bytes_.end() ? 0 : found->second;
  }

 private:
  fs::path path_;
  std::uintmax_t file_bytes_;
  caffe2::serialize::PyTorchStreamReader reader_;
  std::map<const void*, std::size_t> bytes_;
};

/// Refuses every name that is no tensor's; checked_pickle has done so before.
c10::StrongTypePtr refuse_type(const c10::QualifiedName& name) {
  throw InputError({"", "asks for a class", "tensors alone", name.qualifiedName(), "do not use the file"});
}
c10::TypePtr refuse_type_text(const std::string& text) {
  throw InputError({"", "asks for a type", "tensors alone", text, "do not use the file"});
}

c10::IValue unpickled(const std::string& pickle, Records& records) {
  std::size_t position = 0;
  const auto reader = [&](char* out, std::size_t wanted) {
    const std::size_t given = std::min(wanted, pickle.size() - position);
    std::memcpy(out, pickle.data() + position, given);
    position += given;
    return given;
  };
  torch::jit::Unpickler unpickler(
      reader, refuse_type, nullptr, [&](const std::string& name) { return records.read("data/" + name); },
      at::Device(at::kCPU), false, refuse_type_text);
  return unpickler.parse_ivalue();
}

/// Whether all elements of `tensor` lie in the `bytes` that its storage was read from.
bool lies_within(const at::Tensor& tensor, std::size_t bytes) {
  const auto room = static_cast<std::int64_t>(
      std::min<std::size_t>(bytes / tensor.element_size(), std::numeric_limits<std::int64_t>::max() / 2));
  if (tensor.storage_offset() < 0) return false;
  std::int64_t last = tensor.storage_offset();
  bool empty = false;
  for (std::int64_t i = 0; i < tensor.dim(); ++i) {
    const std::int64_t size = tensor.sizes()[static_cast<std::size_t>(i)];
    const std::int64_t stride = tensor.strides()[static_cast<std::size_t>(i)];
    if (size < 0 || stride < 0 || size > room) return false;
    if (size == 0) empty = true;
    if (size <= 1) continue;
    if (stride > room / (size - 1)) return false;
    last += stride * (size - 1);
    if (last > room) return false;
  }
  return empty || last < room;
}

NamedTensors tensors_in(const c10::IValue& held, const fs::path& path, const Records& records) {
  NamedTensors tensors;
  if (!held.isGenericDict()) refuse_archive(path, "another object", "save the model's state_dict");
  for (const auto& entry : held.toGenericDict()) {
    if (!entry.key().isString() || !entry.value().isTensor()) {
      refuse_archive(path, "an entry that is no tensor by name", "save the model's state_dict");
    }
    const std::string name = entry.key().toStringRef();
    const at::Tensor tensor = entry.value().toTensor();
    const bool dense = tensor.defined() && tensor.layout() == at::kStrided && tensor.device().is_cpu();
    const std::size_t saved = dense ? records.bytes_of(tensor.storage().data()) : 0;
    // A storage larger than what was saved for it is refused as PyTorch does, even where the tensor ends
    // before.
    if (!dense || tensor.storage().nbytes() > saved || !lies_within(tensor, saved)) {
      refuse_archive(path, fmt::format("'{}' that reaches beyond the bytes saved for it", name),
                     "the file is damaged or made to deceive: get it again from where it was saved");
    }
    tensors.emplace_back(name, tensor.detach());
  }
  return tensors;
}

/// What is wrong with a file that is no zip archive of PyTorch's.
std::string not_an_archive(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string start(4, '\0');
  stream.read(start.data(), static_cast<std::streamsize>(start.size()));
  if (start.rfind("PK", 0) == 0) return "half a file, or a damaged one";
  if (start.rfind("\x80\x02", 0) == 0) return "the format of PyTorch before 1.6, or a bare pickle";
  return "another kind of file";
}

}  // namespace

NamedTensors read_torch_archive(const fs::path& path) {
  try {
    Records records(path);
    if (records.has(kByteOrder) && records.text(kByteOrder) != kLittleEndian) {
      refuse_archive(path, "numbers with the highest byte first", "save it again on a usual machine");
    }
    const std::string pickle = records.text(kPickle);
    if (pickle.size() > kLargestPickle) {
      refuse_archive(path, "a pickle that is much too large", "save tensors alone");
    }
    return tensors_in(unpickled(checked_pickle(pickle, path.string()), records), path, records);
  } catch (const Error&) {
    throw;
  } catch (const std::exception&) {  // LibTorch's words are about its own source
    refuse_archive(path, not_an_archive(path),
                   "get it again from where it was saved, or load it in PyTorch and torch.save it again");
  }
}

void write_torch_archive(const fs::path& path, const NamedTensors& tensors) {
  c10::impl::GenericDict dict(c10::StringType::get(), c10::TensorType::get());
  // A copy each: the whole storage is written, and a view's holds more than the view.
  for (const auto& [name, tensor] : tensors) dict.insert(name, tensor.clone(at::MemoryFormat::Contiguous));
  std::string pickle;
  torch::jit::Pickler pickler([&](const char* bytes, std::size_t count) { pickle.append(bytes, count); },
                              nullptr, nullptr, nullptr, nullptr, /*tag_aggregates=*/false);
  pickler.protocol();
  pickler.pushIValue(dict);
  pickler.stop();
  AtomicFile file(path);
  std::exception_ptr failure;  // thrown when the writer is done: its destructor would write on
  caffe2::serialize::PyTorchStreamWriter writer([&](const void* bytes, std::size_t count) {
    try {
      if (!failure) file.write(std::span(static_cast<const std::byte*>(bytes), count));
    } catch (const Error&) {
      failure = std::current_exception();
    }
    return count;
  });
  writer.writeRecord(kPickle, pickle.data(), pickle.size());
  writer.writeRecord(kByteOrder, kLittleEndian.data(), kLittleEndian.size());
  std::size_t index = 0;
  for (const at::Tensor& tensor : pickler.tensorData()) {
    writer.writeRecord(fmt::format("data/{}", index++), tensor.const_data_ptr(), tensor.nbytes());
  }
  writer.writeEndOfFile();
  if (failure) std::rethrow_exception(failure);
  file.commit();
}

}  // namespace regulon::core
