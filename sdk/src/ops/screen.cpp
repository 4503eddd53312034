#include "ops/screen.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "ops/cache_windows.h"
#include "ops/select_check.h"
#include "ops/select_stopwatch.h"
#include "ops/support.h"
#include "ops/tiles.h"

namespace regulon::ops::detail {
namespace {

[[noreturn]] void fail_not_finite(const std::string& found) {
  fail(kSelectProduct, "the pre-activations are not finite", "finite numbers", found,
       "Look at the data, or train with a lower learning rate");
}

template <typename T>
bool all_finite(const T* numbers, std::int64_t count) {
  return std::all_of(numbers, numbers + count, [](T x) { return std::isfinite(x); });
}

/// Norms of all rows, rounded up; zero only for a row of zeros, infinite where a square overflows. Throws if
/// an element is not finite.
template <typename T>
std::vector<double> norms_of(const at::Tensor& matrix, const std::string& name) {
  const std::int64_t rows = matrix.size(0);
  const std::int64_t d = matrix.size(1);
  const T* const data = matrix.const_data_ptr<T>();
  const auto& table = best_kernels<T>();
  std::vector<double> norms(static_cast<std::size_t>(rows));
  at::parallel_for(0, rows, grain_for(d), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const T* const numbers = data + row * d;
      const double sum = table.square_sum(numbers, d);
      const bool zero = sum == 0 && std::all_of(numbers, numbers + d, [](T x) { return x == 0; });
      // The first slack covers the rounding of sum and root, the second squares that underflow.
      norms[static_cast<std::size_t>(row)] = zero ? 0 : std::sqrt(sum) * (1 + 1e-6) + 1e-150;
    }
  });
  for (std::int64_t row = 0; row < rows; ++row) {
    if (std::isfinite(norms[static_cast<std::size_t>(row)]) || all_finite(data + row * d, d)) continue;
    fail_not_finite(fmt::format("a number that is not, in row {} of the {}", row, name));
  }
  return norms;
}

template <typename T>
const T* checked(const at::Tensor& vector, const std::string& name) {
  if (!vector.defined()) return nullptr;
  const T* const data = vector.const_data_ptr<T>();
  if (!all_finite(data, vector.size(0))) fail_not_finite("a number that is not, in the " + name);
  return data;
}

template <typename T>
constexpr double kRoundoff = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
template <typename T>
constexpr double kTiny = static_cast<double>(std::numeric_limits<T>::min());

/// Relative error of a sum of `terms` products in any order (Higham, Accuracy and Stability, section 3.1).
template <typename T>
double gamma_of(double terms) {
  return terms * kRoundoff<T> / (1 - terms * kRoundoff<T>);
}

/// The nearest T that is not below x.
template <typename T>
T rounded_up(double x) {
  const T nearest = static_cast<T>(x);
  return static_cast<double>(nearest) < x ? std::nextafter(nearest, std::numeric_limits<T>::infinity())
                                          : nearest;
}

}  // namespace

template <typename T>
Screen<T>::Screen(Operands operands)
    : operands_(std::move(operands)),
      rows_(operands_.rows.size(0)),
      features_(operands_.weight.size(0)),
      width_(operands_.weight.size(1)),
      bias_(checked<T>(operands_.bias, "bias")),
      shift_(checked<T>(operands_.shift, "score's shift")),
      scale_(checked<T>(operands_.scale, "score's scale")),
      row_norms_(norms_of<T>(operands_.rows, "input, less its center,")),
      feature_norms_(norms_of<T>(operands_.weight, "weight")),
      wild_(static_cast<std::size_t>(rows_), 0),
      padded_shift_(padded<T>(shift_, features_, T(0))),
      padded_scale_(padded<T>(scale_, features_, T(1))) {}

template <typename T>
double Screen<T>::definition_error() const {
  // 16 sums of d / 16 terms, four additions of the tree, the bias, and six roundings where bounds are
  // evaluated.
  return gamma_of<T>(static_cast<double>(width_) / 16 + 16);
}

template <typename T>
double Screen<T>::summation_error() const {
  return gamma_of<T>(static_cast<double>(width_) + 1);
}

template <typename T>
void Screen<T>::set_errors(const ProductErrors& errors) {
  const auto count = static_cast<std::size_t>(features_);
  const double underflow = static_cast<double>(width_) * kTiny<T>;
  for (int part = 0; part < 2; ++part) {
    error_[part].assign(count + 16, T(0));
    row_error_[part].resize(static_cast<std::size_t>(rows_));
    for (std::size_t f = 0; f < count; ++f)
      error_[part][f] = rounded_up<T>(errors.feature[part][f] + 4 * underflow);
    for (std::size_t r = 0; r < row_error_[part].size(); ++r)
      row_error_[part][r] = rounded_up<T>(errors.row[part][r]);
  }
  bias_high_.assign(count + 16, -std::numeric_limits<T>::infinity());
  bias_low_ = bias_high_;
  bias_exact_ = bias_high_;
  double largest_feature = 0;
  double largest_bias = 0;
  for (std::size_t f = 0; f < count; ++f) {
    const T bias = bias_ == nullptr ? T(0) : bias_[f];
    const double size = std::fabs(static_cast<double>(bias));
    const double slack = 16 * kRoundoff<T> * size + underflow * (16 + 4 * feature_norms_[f]);
    bias_exact_[f] = bias;
    bias_high_[f] = rounded_up<T>(static_cast<double>(bias) + slack);
    bias_low_[f] = -rounded_up<T>(slack - static_cast<double>(bias));
    largest_feature = std::max(largest_feature, feature_norms_[f]);
    largest_bias = std::max(largest_bias, size);
  }
  find_wild_rows(largest_feature, largest_bias);
}

template <typename T>
void Screen<T>::find_wild_rows(double largest_feature, double largest_bias) {
  const double most = static_cast<double>(std::numeric_limits<T>::max()) / 64;
  const double floor = static_cast<double>(width_) * 16 * kTiny<T> + 1e-6;
  for (std::size_t row = 0; row < row_norms_.size(); ++row) {
    // Not a plain product: zero times infinity is neither small nor large.
    const double reach = std::max(row_norms_[row], floor) * std::max(largest_feature, floor);
    const bool tame = reach < most && row_norms_[row] < most && largest_feature < most && largest_bias < most;
    wild_[row] = tame ? 0 : 1;
    any_wild_ = any_wild_ || !tame;
  }
}

template <typename T>
std::array<T, 2> Screen<T>::tile_error(std::int64_t feature, std::int64_t count) const {
  std::array<T, 2> largest;
  for (std::size_t part = 0; part < 2; ++part) {
    const auto begin = error_[part].begin() + feature;
    largest[part] = *std::max_element(begin, begin + count);
  }
  return largest;
}

template <typename T>
ScreenedRow<T> Screen<T>::row_of_tile(std::int64_t row, std::int64_t feature, std::int64_t count,
                                      const T* product, const std::array<T, 2>& tile_error,
                                      const T* cuts) const {
  ScreenedRow<T> result;
  result.product = product;
  result.count = count;
  const auto r = static_cast<std::size_t>(row);
  result.error = row_error_[0][r] * tile_error[0] + row_error_[1][r] * tile_error[1];
  // A row of zeros is exact: with slack it would make all features candidates.
  const bool zero = row_norms_[r] == 0;
  result.bias_high = (zero ? bias_exact_ : bias_high_).data() + feature;
  result.bias_low = (zero ? bias_exact_ : bias_low_).data() + feature;
  if (shift_ != nullptr) result.shift = padded_shift_.data() + feature;
  if (scale_ != nullptr) result.scale = padded_scale_.data() + feature;
  if (cuts != nullptr) result.cut = cuts + feature;
  return result;
}

template <typename T>
Screen<T>::RowBounds::RowBounds(const Screen& screen, std::int64_t row)
    : screen_(screen),
      wild_(screen.is_wild(row)),
      factor_{screen.row_error_[0][static_cast<std::size_t>(row)],
              screen.row_error_[1][static_cast<std::size_t>(row)]},
      error_{screen.error_[0].data(), screen.error_[1].data()} {
  const bool zero = screen.row_norms_[static_cast<std::size_t>(row)] == 0;
  low_ = (zero ? screen.bias_exact_ : screen.bias_low_).data();
  high_ = (zero ? screen.bias_exact_ : screen.bias_high_).data();
}

template <typename T>
std::vector<T> Screen<T>::exact(std::int64_t row, const std::vector<std::int64_t>& offsets,
                                const std::vector<std::int32_t>& features) const {
  const SelectStopwatch watch(operands_.times, &SelectTimes::exact);
  const T* const rows = operands_.rows.template const_data_ptr<T>() + row * width_;
  const T* const weight = operands_.weight.template const_data_ptr<T>();
  const auto& table = best_kernels<T>();
  const auto count = static_cast<std::int64_t>(offsets.size()) - 1;
  std::vector<T> z(features.size());
  const CacheWindows windows(offsets.data(), features.data(), count, features_, bytes_of_row<T>(width_));
  windows.visit(0, count, [&](std::int64_t i, std::int64_t e, std::int64_t last, bool /*anew*/) {
    table.gather_dot(rows + i * width_, weight, width_, features.data() + e, last - e, z.data() + e);
  });
  if (bias_ != nullptr) {
    for (std::size_t e = 0; e < z.size(); ++e) z[e] += bias_[features[e]];
  }
  if (!any_wild_) return z;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t e = offsets[static_cast<std::size_t>(i)];
    if (!is_wild(row + i) || all_finite(z.data() + e, offsets[static_cast<std::size_t>(i) + 1] - e)) continue;
    fail_not_finite(fmt::format("products in row {} that leave the range of the dtype", row + i));
  }
  return z;
}

template <typename T>
FullScreen<T>::FullScreen(Operands operands)
    : Screen<T>(std::move(operands)), transposed_(this->operands().weight.t()) {
  const double relative = (this->summation_error() + this->definition_error()) * (1 + 1e-5);
  ProductErrors errors;
  errors.row[0] = this->row_norms();
  errors.row[1].assign(errors.row[0].size(), 0);
  for (const double norm : this->feature_norms()) errors.feature[0].push_back(relative * norm);
  errors.feature[1].assign(errors.feature[0].size(), 0);
  this->set_errors(errors);
}

template <typename T>
void FullScreen<T>::product(std::int64_t row, std::int64_t feature, at::Tensor& out) const {
  tile_product(this->operands().rows.narrow(0, row, out.size(0)), transposed_.narrow(1, feature, out.size(1)),
               out);
}

template class Screen<float>;
template class Screen<double>;
template class FullScreen<float>;
template class FullScreen<double>;

}  // namespace regulon::ops::detail
