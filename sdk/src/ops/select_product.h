#pragma once
/// select_product with a say in how it works, for tests.

#include <regulon/ops.h>

#include "select_settings.h"

namespace regulon::ops::detail {

/// ops::select_product; `settings` never show in the codes.
Codes select_product(const Product& product, const Selection& selection, const SelectSettings& settings);

}  // namespace regulon::ops::detail
