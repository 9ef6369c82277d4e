/// adamw: one update of a flat buffer (Loshchilov & Hutter 2019)      sum_of_squares: Σ x²
///
///   m = β₁ m + (1 - β₁) g,  v = β₂ v + (1 - β₂) g²,  w -= rate (decay w + m̂ / (√v̂ + ε)), g scaled by `scale` first.
#pragma once
#include <type_traits>

#include <flamingo/core/context.hpp>

namespace flamingo {
namespace kernels {
/// The optimiser's arithmetic; defined once per platform.
template <Platform P>
struct Optimiser;
}  // namespace kernels

/// One step's numbers. Decay happens before the step, as in PyTorch.
struct AdamWStep {
  double rate = 1e-4;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double decay = 0;
  double scale = 1;  ///< of the gradient: clipping, averaging
  long step = 1;     ///< 1, 2, ...: for the bias correction
};

namespace ops {

/// w, g, m, v of one length.
template <Platform P, class T>
void adamw(Context<P>& ctx, const AdamWStep& step, View<P, 1, T> w, std::type_identity_t<View<P, 1, const T>> g,
           View<P, 1, T> m, View<P, 1, T> v) {
  check(w.shape == g.shape && w.shape == m.shape && w.shape == v.shape, "adamw", "w has ", w.shape, " numbers, g ",
        g.shape, ", m ", m.shape, ", v ", v.shape);
  kernels::Optimiser<P>::adamw(ctx, step, w, g, m, v);
}
/// Adds Σ x² to `sum`, in double. For the global norm.
template <Platform P, class T>
void sum_of_squares(Context<P>& ctx, View<P, 1, T> x, View<P, 1, double> sum) {
  check(sum.shape[0] == 1, "sum_of_squares", "sum has ", sum.shape[0], " numbers, expected 1");
  kernels::Optimiser<P>::sum_of_squares(ctx, View<P, 1, const std::remove_const_t<T>>{x.data, x.shape}, sum);
}

}  // namespace ops
}  // namespace flamingo
