/// When packed weights are unpacked on CUDA: plain C++, for Cuda and for Dry, which counts the copies.
#pragma once
#include <type_traits>

#include <flamingo/core/parameters.hpp>
#include <flamingo/core/real.hpp>

namespace flamingo::kernels {

/// Up to so many rows, packed weights are read for each eight rows anew; for more they are unpacked into scratch.
inline constexpr int most_packed_rows = 32;

/// Whether matrices of this format lie as numbers of R, so that nothing needs to be unpacked.
template <Real R>
constexpr bool lies_as_numbers(Format format) {
  return (std::is_same_v<R, float> && format == Format::f32) || (std::is_same_v<R, bfloat16> && format == Format::bf16);
}

}  // namespace flamingo::kernels
