#pragma once
/// The kernels of one instruction set, as kernel_table.h describes them. Include only from units of that set.

#include <cstdint>

#include "kernel_table.h"

#ifndef REGULON_ISA
#define REGULON_ISA baseline
#endif

namespace regulon::kernels::REGULON_ISA {

template <typename T>
void gather_dot(const T* row, const T* matrix, std::int64_t d, const std::int32_t* ids, std::int64_t count,
                T* out);
template <typename T>
double square_sum(const T* row, std::int64_t d);
template <typename T>
void gather_sum(const T* weights, const std::int32_t* ids, std::int64_t count, const T* matrix,
                std::int64_t d, const T* start, T* out);
template <typename T>
std::int64_t scan(const ScreenedRow<T>& row, T floor, T cut, std::int32_t* found);
template <typename T>
std::int64_t group_maxima(const ScreenedRow<T>& row, std::int64_t groups, T* maxima);
template <typename T>
T reached_by(const T* numbers, std::int64_t count, std::int64_t k);
template <typename T>
std::int64_t scan_absolute(const T* product, std::int64_t count, T row_cut, const T* column_cut,
                           std::int32_t* found);
template <typename T>
std::int64_t scan_signed(const T* product, std::int64_t count, T row_cut, const T* column_cut,
                         std::int32_t* found);
HalfRow halve(const float* row, std::int64_t d, std::uint16_t* half);
void half_product(const std::uint16_t* rows, std::int64_t count, std::int64_t d, const std::uint16_t* groups,
                  std::int64_t columns, float* out);
template <typename T>
double penalise(T* numbers, std::int64_t count, bool square);

}  // namespace regulon::kernels::REGULON_ISA
