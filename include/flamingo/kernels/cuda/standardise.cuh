/// Standardised weights on CUDA.
#pragma once
#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/raw/standardise.cuh>
#include <flamingo/ops/standardise.hpp>

namespace flamingo::kernels {

template <Real R>
struct Standardise<Cuda<R>> {
  using P = Cuda<R>;
  using A = AccumulateOf<P>;
  using Weights = MatrixView<P, dynamic, dynamic, R>;

  template <class W>
  static void forward(Context<P>& ctx, const Standardisation& rule, const W& w, const A* gain, const Weights& y) {
    check_stored<W>();
    check_cuda(raw::standardise(bare(w.data), gain, bare(y.data), w.rows, w.columns, raw_of(rule), ctx.stream()),
               "standardise");
  }
  template <class W, class T>
  static void backward(Context<P>& ctx, const Standardisation& rule, const W& w, const A* gain,
                       const MatrixView<P, dynamic, dynamic, T>& dy, const MatrixView<P, dynamic, dynamic, A>& dw,
                       A* dgain) {
    check_stored<W>();
    check_cuda(raw::standardise_backward(bare(w.data), gain, bare(dy.data), dw.data, dgain, w.rows, w.columns,
                                         raw_of(rule), ctx.stream()),
               "standardise_backward");
  }

 private:
  template <class W>
  static constexpr void check_stored() {
    constexpr bool stored = requires(const W& w) {
      { w.data } -> std::convertible_to<const R*>;
    };
    static_assert(stored, "standardise: Cuda reads weights of its own number type (Stored<Cuda<R>>)");
  }
  static raw::StandardiseRule<A> raw_of(const Standardisation& rule) {
    return {rule.variance == WeightVariance::floor, A(rule.epsilon), A(rule.gamma)};
  }
};

}  // namespace flamingo::kernels
