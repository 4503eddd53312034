#pragma once
/// What select_product refuses.

#include <regulon/ops.h>

namespace regulon::ops::detail {

/// The call that messages name.
inline constexpr const char* kSelectProduct = "select_product";

/// Throws RunError unless all of it fits together.
void check_select_product(const Product& product, const Selection& selection);

}  // namespace regulon::ops::detail
