#include <regulon/activation.h>

#include "activations/all.h"

namespace regulon {

const std::vector<PluginDescriptor>& activations() {
  static const std::vector<PluginDescriptor> kAll = {detail::relu(), detail::topk(), detail::batch_topk(),
                                                     detail::jumprelu()};
  return kAll;
}

}  // namespace regulon
