/// Google Benchmark over the operations of a training step, one at a time, at the first size of the step
/// benchmark: 4096 rows, width 384, 8192 features, 32 active.
///
///     build/regulon_kernel_bench --benchmark_filter=decode

#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <c10/core/GradMode.h>
#include <regulon/ops.h>
#include <regulon/pairs.h>

#include <cstdint>
#include <vector>

#include "core/train/adam_kernel.h"

namespace regulon {
namespace {

constexpr std::int64_t kRows = 4096;
constexpr std::int64_t kWidth = 384;
constexpr std::int64_t kFeatures = 8192;
constexpr std::int64_t kActive = 32;

at::Tensor unit_rows(std::int64_t count) {
  const at::Tensor rows = at::randn({count, kWidth});
  return rows / rows.norm(2, {1}, /*keepdim=*/true);
}

ops::Product some_product(bool learns) {
  ops::Product product{at::randn({kRows, kWidth}), unit_rows(kFeatures), at::zeros({kFeatures}), {}};
  product.weight.set_requires_grad(learns);
  product.bias.set_requires_grad(learns);
  return product;
}

Selection best(Selection::Scope scope) {
  Selection selection;
  selection.family = Selection::Family::rank;
  selection.scope = scope;
  selection.k = kActive;
  return selection;
}

/// What auxk asks for where every tenth feature is dead.
Selection best_of_tenth() {
  Selection selection = best(Selection::Scope::row);
  selection.k = kWidth / 2;
  selection.only = at::arange(0, kFeatures, 10);
  return selection;
}

void matrix_product(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const ops::Product product = some_product(false);
  at::Tensor out = at::empty({kRows, kFeatures});
  for (auto _ : state) at::mm_out(out, product.input, product.weight.t());
}
BENCHMARK(matrix_product)->Unit(benchmark::kMillisecond)->UseRealTime();

void select_product(benchmark::State& state, Selection selection, Selection::Precision precision) {
  const at::NoGradGuard no_grad;
  const ops::Product product = some_product(false);
  selection.precision = precision;
  for (auto _ : state) benchmark::DoNotOptimize(ops::select_product(product, selection));
}
BENCHMARK_CAPTURE(select_product, topk_float32, best(Selection::Scope::row), Selection::Precision::float32)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(select_product, topk_bfloat16, best(Selection::Scope::row), Selection::Precision::bfloat16)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(select_product, batch_topk_float32, best(Selection::Scope::batch),
                  Selection::Precision::float32)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(select_product, batch_topk_bfloat16, best(Selection::Scope::batch),
                  Selection::Precision::bfloat16)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(select_product, tenth_float32, best_of_tenth(), Selection::Precision::float32)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(select_product, tenth_bfloat16, best_of_tenth(), Selection::Precision::bfloat16)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

void select_threshold(benchmark::State& state, double window) {
  const at::NoGradGuard no_grad;
  const ops::Product product = some_product(false);
  Selection above;
  above.thresholds = ops::select_product(product, best(Selection::Scope::batch)).values().min().view({1});
  above.window = window;
  for (auto _ : state) benchmark::DoNotOptimize(ops::select_product(product, above));
}
BENCHMARK_CAPTURE(select_threshold, plain, 0.0)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(select_threshold, window, 0.1)->Unit(benchmark::kMillisecond)->UseRealTime();

/// Gradients of the codes' sum, for encoder weight and bias. Only the backward pass is timed.
void select_product_backward(benchmark::State& state, const Selection& selection) {
  const ops::Product product = some_product(true);
  for (auto _ : state) {
    state.PauseTiming();
    const at::Tensor sum = ops::select_product(product, selection).values().sum();
    product.weight.mutable_grad() = at::Tensor();
    product.bias.mutable_grad() = at::Tensor();
    state.ResumeTiming();
    sum.backward();
  }
}
BENCHMARK_CAPTURE(select_product_backward, topk, best(Selection::Scope::row))
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(select_product_backward, tenth, best_of_tenth())
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

Codes some_codes(const Selection& selection) {
  const at::NoGradGuard no_grad;
  return ops::select_product(some_product(false), selection);
}

void decode(benchmark::State& state, const Selection& selection) {
  const at::NoGradGuard no_grad;
  const Codes codes = some_codes(selection);
  const at::Tensor weight = unit_rows(kFeatures);
  for (auto _ : state) benchmark::DoNotOptimize(ops::decode(codes, weight, at::Tensor()));
}
BENCHMARK_CAPTURE(decode, topk, best(Selection::Scope::row))->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(decode, tenth, best_of_tenth())->Unit(benchmark::kMillisecond)->UseRealTime();

/// To the values, to the dictionary or both. Only the backward pass is timed.
void decode_backward(benchmark::State& state, const Selection& selection, bool to_values, bool to_weight) {
  const Codes found = some_codes(selection);
  const at::Tensor weight = unit_rows(kFeatures).set_requires_grad(to_weight);
  const at::Tensor values = found.values().detach().clone().set_requires_grad(to_values);
  const Codes codes = found.with_values(values);
  for (auto _ : state) {
    state.PauseTiming();
    const at::Tensor sum = ops::decode(codes, weight, at::Tensor()).sum();
    weight.mutable_grad() = at::Tensor();
    values.mutable_grad() = at::Tensor();
    state.ResumeTiming();
    sum.backward();
  }
}
BENCHMARK_CAPTURE(decode_backward, topk, best(Selection::Scope::row), true, true)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(decode_backward, tenth_to_values, best_of_tenth(), true, false)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(decode_backward, tenth_to_weight, best_of_tenth(), false, true)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

/// One thread over all rows of one matrix; the optimiser has several.
void adam_row(benchmark::State& state, bool unit) {
  at::Tensor weight = unit_rows(kFeatures);
  const at::Tensor gradient = at::randn({kFeatures, kWidth});
  at::Tensor first = at::zeros_like(weight);
  at::Tensor second = at::zeros_like(weight);
  const core::AdamConstants constants{0.1F, 0.999F, 0.001F, 1e-8F, 1e-4F, 1.0F, 1.0F, unit, unit};
  for (auto _ : state) {
    for (std::int64_t row = 0; row < kFeatures; ++row) {
      core::adam_row(weight.mutable_data_ptr<float>() + row * kWidth,
                     gradient.const_data_ptr<float>() + row * kWidth,
                     first.mutable_data_ptr<float>() + row * kWidth,
                     second.mutable_data_ptr<float>() + row * kWidth, kWidth, constants);
    }
  }
}
BENCHMARK_CAPTURE(adam_row, free_rows, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(adam_row, unit_rows, true)->Unit(benchmark::kMillisecond);

void nearest_neighbours(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const at::Tensor rows = unit_rows(kFeatures);
  for (auto _ : state) benchmark::DoNotOptimize(ops::nearest_neighbours(rows));
}
BENCHMARK(nearest_neighbours)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace regulon

BENCHMARK_MAIN();
