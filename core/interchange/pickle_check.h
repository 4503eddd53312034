#pragma once
/// Looks through a pickle before anything reads it.

#include <string>
#include <string_view>

namespace regulon::core {

/// Goes through `pickle`, the contents of data.pkl in a file of torch.save, without making anything: a list
/// of instructions and one of names are allowed, which suffice for dictionaries of tensors, and every
/// instruction must find what it needs. Throws InputError naming `origin` at the first that is not allowed: a
/// name such as os.system, an instruction that makes objects, a stack that runs empty, half a pickle. Returns
/// the pickle with plain dictionaries in the place of OrderedDicts and their attributes (state_dict gives
/// them versions), which LibTorch does not read.
std::string checked_pickle(std::string_view pickle, const std::string& origin);

}  // namespace regulon::core
