#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <regulon/ops.h>

#include <string>

#include "ops/support.h"

namespace regulon::ops {

at::Tensor code_sizes(const StepView& step, const std::string& decoder_norms) {
  if (decoder_norms != "auto" && decoder_norms != "on" && decoder_norms != "off") {
    detail::fail("code_sizes", "cannot use decoder_norms", "auto, on or off", decoder_norms,
                 "declare the parameter with these choices");
  }
  const Codes& codes = step.codes();
  const Dictionary& dictionary = step.dictionary();
  const bool scaled = decoder_norms == "on" || (decoder_norms == "auto" && !dictionary.unit_norm());
  if (!scaled) return codes.values();
  return codes.values() * dictionary.norms().index_select(0, codes.feature_ids());
}

}  // namespace regulon::ops
