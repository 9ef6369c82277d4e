/// standardise: y[o] = γ gain[o] (w[o] - μ[o]) / √s[o], the weights of a convolution that needs no norm (Qiao et al.
/// 2019, Brock et al. 2021)
///
/// w, y (O, N): the filter of output o has N weights of mean μ and variance v (that of all N, not of N - 1), and
/// s = max(N v, ε) or N (v + ε). gain (O). A filter's sum of squares becomes (γ gain)²: inputs of variance 1 give
/// outputs of variance gain² again, times γ².
#pragma once
#include <flamingo/core/context.hpp>
#include <flamingo/core/kinds.hpp>
#include <flamingo/core/parameters.hpp>

namespace flamingo {

struct Standardisation {
  WeightVariance variance = WeightVariance::floor;
  float epsilon = 1e-4f;
  float gamma = 1;  ///< γ
};

namespace kernels {
/// Standardised weights; defined once per platform.
template <Platform P>
struct Standardise;
}  // namespace kernels

namespace ops {
namespace detail {

template <class W, class Gain, class Y>
void check_standardise(const char* where, const W& w, const Gain& gain, const Y& y) {
  static_assert(agree(W::out, Y::out) && agree(W::in, Y::in), "standardise: w and y differ in shape");
  static_assert(agree(Gain::extent, W::out), "standardise: the length of gain differs from the rows of w");
  check(int(w.rows) == int(y.rows) && int(w.columns) == int(y.columns), where, "w is (", int(w.rows), ", ",
        int(w.columns), ") and y is (", int(y.rows), ", ", int(y.columns), "): their shapes differ");
  check(int(gain.length) == int(w.rows), where, "gain has ", int(gain.length), " numbers, expected ", int(w.rows));
}

}  // namespace detail

/// y may be w where w is stored.
template <Platform P, WeightOn<P> W, class Gain, int O, int N, class T>
void standardise(Context<P>& ctx, const Standardisation& rule, const W& w, const Gain& gain,
                 const MatrixView<P, O, N, T>& y) {
  detail::check_standardise("standardise", w, gain, y);
  kernels::Standardise<P>::forward(ctx, rule, any(w), gain.data, any(y));
}
/// Adds to dw and dgain. Through the deviation the gradient loses its part along y; where ε holds s up it does not.
template <Platform P, WeightOn<P> W, class Gain, int O, int N, class T, WeightSink<P> DW, VectorSink DGain>
void standardise_backward(Context<P>& ctx, const Standardisation& rule, const W& w, const Gain& gain,
                          const MatrixView<P, O, N, T>& dy, const DW& dw, const DGain& dgain) {
  static_assert(wanted<DW> == wanted<DGain>, "standardise_backward: weights and gains are trained together");
  if constexpr (wanted<DW>) {
    detail::check_standardise("standardise_backward", w, gain, dy);
    detail::check_standardise("standardise_backward", dw, dgain, dy);
    kernels::Standardise<P>::backward(ctx, rule, any(w), gain.data, any(dy), any(dw), dgain.data);
  }
}

}  // namespace ops
}  // namespace flamingo
