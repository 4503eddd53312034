#pragma once
/// What select_product refuses.

#include <regulon/ops.h>

namespace regulon::ops::detail {

/// Throws RunError unless all of it fits together.
void check_select_product(const Product& product, const Selection& selection);

}  // namespace regulon::ops::detail
