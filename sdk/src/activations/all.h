#pragma once
/// The activations, one a file.

#include <regulon/activation.h>

namespace regulon::detail {

PluginDescriptor relu();
PluginDescriptor topk();
PluginDescriptor batch_topk();
PluginDescriptor jumprelu();

/// The descriptor of activation class `T`.
template <class T>
PluginDescriptor describe_activation(const char* name, const char* summary) {
  return describe_plugin<T>("activation/1", name, summary);
}

}  // namespace regulon::detail
