#pragma once
/// select_product while a batch is so dense that lists do not pay.

#include <regulon/ops.h>

namespace regulon::ops::detail {

/// Codes of the threshold family from one dense product. Dense codes, or where there is a window sparse ones,
/// since near misses have to be listed; their z still has a dense gradient.
Codes select_dense(const Product& product, const Selection& selection);

}  // namespace regulon::ops::detail
