#pragma once
/// Vectors of the instruction set that this unit is compiled for. Only what the kernels use; all operations
/// are exact as IEEE says, so that every width gives the same bits.

#include <cmath>
#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#ifndef REGULON_ISA
#define REGULON_ISA baseline
#endif

namespace regulon::kernels::REGULON_ISA {

template <typename T>
struct Vec;

#if defined(__AVX512F__)

template <>
struct Vec<float> {
  static constexpr int kWidth = 16;
  __m512 v;
  static Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Vec all(float x) { return {_mm512_set1_ps(x)}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  friend Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  friend Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
  friend Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
  // The zero-masking form: the plain one makes g++ 12 warn of its own undefined operand.
  friend Vec max(Vec a, Vec b) { return {_mm512_maskz_max_ps(0xFFFF, a.v, b.v)}; }
  friend Vec abs(Vec a) { return {_mm512_abs_ps(a.v)}; }
  friend std::uint32_t at_least(Vec a, Vec b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ); }
  friend std::uint32_t above(Vec a, Vec b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ); }
  friend Vec keep_above(Vec score, Vec value, Vec floor, Vec otherwise) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(value.v, floor.v, _CMP_GT_OQ), otherwise.v, score.v)};
  }
};

template <>
struct Vec<double> {
  static constexpr int kWidth = 8;
  __m512d v;
  static Vec load(const double* p) { return {_mm512_loadu_pd(p)}; }
  static Vec all(double x) { return {_mm512_set1_pd(x)}; }
  void store(double* p) const { _mm512_storeu_pd(p, v); }
  friend Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }
  friend Vec operator+(Vec a, Vec b) { return {_mm512_add_pd(a.v, b.v)}; }
  friend Vec operator-(Vec a, Vec b) { return {_mm512_sub_pd(a.v, b.v)}; }
  friend Vec operator*(Vec a, Vec b) { return {_mm512_mul_pd(a.v, b.v)}; }
  friend Vec max(Vec a, Vec b) { return {_mm512_maskz_max_pd(0xFF, a.v, b.v)}; }
  friend Vec abs(Vec a) { return {_mm512_abs_pd(a.v)}; }
  friend std::uint32_t at_least(Vec a, Vec b) { return _mm512_cmp_pd_mask(a.v, b.v, _CMP_GE_OQ); }
  friend std::uint32_t above(Vec a, Vec b) { return _mm512_cmp_pd_mask(a.v, b.v, _CMP_GT_OQ); }
  friend Vec keep_above(Vec score, Vec value, Vec floor, Vec otherwise) {
    return {_mm512_mask_blend_pd(_mm512_cmp_pd_mask(value.v, floor.v, _CMP_GT_OQ), otherwise.v, score.v)};
  }
};

#elif defined(__AVX2__)

template <>
struct Vec<float> {
  static constexpr int kWidth = 8;
  __m256 v;
  static Vec load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Vec all(float x) { return {_mm256_set1_ps(x)}; }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
  friend Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
  friend Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
  friend Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
  friend Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
  friend Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
  friend Vec abs(Vec a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0F), a.v)}; }
  friend std::uint32_t at_least(Vec a, Vec b) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ)));
  }
  friend std::uint32_t above(Vec a, Vec b) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)));
  }
  friend Vec keep_above(Vec score, Vec value, Vec floor, Vec otherwise) {
    return {_mm256_blendv_ps(otherwise.v, score.v, _mm256_cmp_ps(value.v, floor.v, _CMP_GT_OQ))};
  }
};

template <>
struct Vec<double> {
  static constexpr int kWidth = 4;
  __m256d v;
  static Vec load(const double* p) { return {_mm256_loadu_pd(p)}; }
  static Vec all(double x) { return {_mm256_set1_pd(x)}; }
  void store(double* p) const { _mm256_storeu_pd(p, v); }
  friend Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_pd(a.v, b.v, c.v)}; }
  friend Vec operator+(Vec a, Vec b) { return {_mm256_add_pd(a.v, b.v)}; }
  friend Vec operator-(Vec a, Vec b) { return {_mm256_sub_pd(a.v, b.v)}; }
  friend Vec operator*(Vec a, Vec b) { return {_mm256_mul_pd(a.v, b.v)}; }
  friend Vec max(Vec a, Vec b) { return {_mm256_max_pd(a.v, b.v)}; }
  friend Vec abs(Vec a) { return {_mm256_andnot_pd(_mm256_set1_pd(-0.0), a.v)}; }
  friend std::uint32_t at_least(Vec a, Vec b) {
    return static_cast<std::uint32_t>(_mm256_movemask_pd(_mm256_cmp_pd(a.v, b.v, _CMP_GE_OQ)));
  }
  friend std::uint32_t above(Vec a, Vec b) {
    return static_cast<std::uint32_t>(_mm256_movemask_pd(_mm256_cmp_pd(a.v, b.v, _CMP_GT_OQ)));
  }
  friend Vec keep_above(Vec score, Vec value, Vec floor, Vec otherwise) {
    return {_mm256_blendv_pd(otherwise.v, score.v, _mm256_cmp_pd(value.v, floor.v, _CMP_GT_OQ))};
  }
};

#else

/// Any processor: loops over four numbers, which compilers vectorise where they can. The fused multiply-add
/// may be a library call: right, and slow.
template <typename T>
struct Vec {
  static constexpr int kWidth = 4;
  T v[4];
  static Vec load(const T* p) { return {{p[0], p[1], p[2], p[3]}}; }
  static Vec all(T x) { return {{x, x, x, x}}; }
  void store(T* p) const {
    for (int i = 0; i < 4; ++i) p[i] = v[i];
  }
  template <typename F>
  static Vec each(F&& f) {
    return {{f(0), f(1), f(2), f(3)}};
  }
  template <typename F>
  static std::uint32_t mask(F&& f) {
    return (f(0) ? 1U : 0U) | (f(1) ? 2U : 0U) | (f(2) ? 4U : 0U) | (f(3) ? 8U : 0U);
  }
  friend Vec fma(Vec a, Vec b, Vec c) {
    return each([&](int i) { return std::fma(a.v[i], b.v[i], c.v[i]); });
  }
  friend Vec operator+(Vec a, Vec b) {
    return each([&](int i) { return a.v[i] + b.v[i]; });
  }
  friend Vec operator-(Vec a, Vec b) {
    return each([&](int i) { return a.v[i] - b.v[i]; });
  }
  friend Vec operator*(Vec a, Vec b) {
    return each([&](int i) { return a.v[i] * b.v[i]; });
  }
  friend Vec max(Vec a, Vec b) {
    return each([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
  }
  friend Vec abs(Vec a) {
    return each([&](int i) { return std::fabs(a.v[i]); });
  }
  friend std::uint32_t at_least(Vec a, Vec b) {
    return mask([&](int i) { return a.v[i] >= b.v[i]; });
  }
  friend std::uint32_t above(Vec a, Vec b) {
    return mask([&](int i) { return a.v[i] > b.v[i]; });
  }
  friend Vec keep_above(Vec score, Vec value, Vec floor, Vec otherwise) {
    return each([&](int i) { return value.v[i] > floor.v[i] ? score.v[i] : otherwise.v[i]; });
  }
};

#endif

}  // namespace regulon::kernels::REGULON_ISA
