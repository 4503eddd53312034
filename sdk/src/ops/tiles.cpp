#include "ops/tiles.h"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/add.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <torch/csrc/autograd/custom_function.h>

#include "ops/gather.h"
#include "ops/support.h"

// Part of the BLAS that LibTorch brings on x86; elsewhere it is not there, and null.
extern "C" __attribute__((weak)) int MKL_Set_Num_Threads_Local(int threads);

namespace regulon::ops::detail {
namespace {

/// While it lives, the BLAS leaves a product to the calling thread: split over threads, some shapes round
/// otherwise.
class OneThread {
 public:
  OneThread() : before_(MKL_Set_Num_Threads_Local == nullptr ? 0 : MKL_Set_Num_Threads_Local(1)) {}
  ~OneThread() {
    if (MKL_Set_Num_Threads_Local != nullptr) MKL_Set_Num_Threads_Local(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr std::int64_t kTileRows = 256;
constexpr std::int64_t kTileColumns = 1024;

/// The tile's length along one side: at most `most`, and by the shape alone, since results depend on it.
std::int64_t tile_length(std::int64_t length, std::int64_t most) {
  return std::max<std::int64_t>(1, std::min(most, (length + 1) / 2));
}

struct TiledProduct final : torch::autograd::Function<TiledProduct> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& a, const at::Tensor& b) {
    context->save_for_backward({a, b});
    return tiled_product_value(a, b);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    refuse_double_backward("a product of dense codes");
    const variable_list saved = context->get_saved_variables();
    const at::Tensor gradient = gradients[0].contiguous();
    variable_list result(2);
    if (context->needs_input_grad(0)) result[0] = tiled_product_value(gradient, saved[1].t());
    if (context->needs_input_grad(1)) result[1] = tiled_product_value(saved[0].t(), gradient);
    return result;
  }
};

struct AddRow final : torch::autograd::Function<AddRow> {
  static at::Tensor forward(AutogradContext* /*context*/, const at::Tensor& matrix, const at::Tensor& row) {
    return at::add(matrix, row);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    refuse_double_backward("a sum of dense codes");
    variable_list result(2);
    result[0] = gradients[0];
    if (context->needs_input_grad(1)) result[1] = weighted_total({}, gradients[0].contiguous());
    return result;
  }
};

}  // namespace

void tile_product(const at::Tensor& a, const at::Tensor& b, at::Tensor& out) {
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  const OneThread one_thread;
  at::mm_out(out, a, b);
}

void add_tile_product(const at::Tensor& a, const at::Tensor& b, at::Tensor out) {
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  const OneThread one_thread;
  at::addmm_out(out, out, a, b);
}

at::Tensor add_row(const at::Tensor& matrix, const at::Tensor& row) { return AddRow::apply(matrix, row); }

at::Tensor tiled_product(const at::Tensor& a, const at::Tensor& b) { return TiledProduct::apply(a, b); }

at::Tensor tiled_product_value(const at::Tensor& a, const at::Tensor& b) {
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  const std::int64_t rows = a.size(0);
  const std::int64_t columns = b.size(1);
  at::Tensor out = at::empty({rows, columns}, a.options().requires_grad(false));
  const std::int64_t height = tile_length(rows, kTileRows);
  const std::int64_t width = tile_length(columns, kTileColumns);
  const std::int64_t across = (columns + width - 1) / width;
  const std::int64_t tiles = across * ((rows + height - 1) / height);
  at::parallel_for(0, tiles, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t tile = begin; tile < end; ++tile) {
      const std::int64_t row = tile / across * height;
      const std::int64_t column = tile % across * width;
      const std::int64_t tile_rows = std::min(height, rows - row);
      const std::int64_t tile_columns = std::min(width, columns - column);
      at::Tensor part = out.narrow(0, row, tile_rows).narrow(1, column, tile_columns);
      tile_product(a.narrow(0, row, tile_rows), b.narrow(1, column, tile_columns), part);
    }
  });
  return out;
}

}  // namespace regulon::ops::detail
