/// What one step over k does in a register tile.
#pragma once
#include <flamingo/kernels/cpu/vector_math.hpp>

namespace flamingo::kernels {

/// sum + a b
template <class R, Isa Set>
struct MultiplyAdd {
  using V = typename VectorMath<R, Set>::Vector;
  static constexpr int numbers = 1;  ///< of k

  [[gnu::always_inline]] static V add(V sum, R a, V b) { return sum + a * b; }
};

}  // namespace flamingo::kernels
