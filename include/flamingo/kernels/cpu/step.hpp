/// What one step over k does in a register tile.
#pragma once
#include <flamingo/kernels/cpu/vector_math.hpp>

namespace flamingo::kernels {

/// sum + a b
template <class R, Isa Set>
struct MultiplyAdd {
  using V = typename VectorMath<R, Set>::Vector;
  /// As large as V, and zero where its bits are; few_rows.hpp keeps its bits in the place of floats.
  using Sum = V;
  static constexpr int numbers = 1;  ///< of k

  [[gnu::always_inline]] static V add(V sum, R a, V b) { return sum + a * b; }
  /// The sum of a block of k, as numbers.
  [[gnu::always_inline]] static V ended(V sum) { return sum; }
};

}  // namespace flamingo::kernels
