/// Standardised weights on CUDA.
#pragma once
#include <flamingo/kernels/cuda/packed.cuh>
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
    const auto scope = ctx.scope();
    check_cuda(raw::standardise(bare(numbers_of(ctx, w, "standardise")), gain, bare(y.data), w.rows, w.columns,
                                raw_of(rule), ctx.stream()),
               "standardise");
  }
  template <class W, class T>
  static void backward(Context<P>& ctx, const Standardisation& rule, const W& w, const A* gain,
                       const MatrixView<P, dynamic, dynamic, T>& dy, const MatrixView<P, dynamic, dynamic, A>& dw,
                       A* dgain) {
    const auto scope = ctx.scope();
    check_cuda(raw::standardise_backward(bare(numbers_of(ctx, w, "standardise")), gain, bare(dy.data), dw.data, dgain,
                                         w.rows, w.columns, raw_of(rule), ctx.stream()),
               "standardise_backward");
  }

 private:
  static raw::StandardiseRule<A> raw_of(const Standardisation& rule) {
    return {rule.variance == WeightVariance::floor, A(rule.epsilon), A(rule.gamma)};
  }
};

}  // namespace flamingo::kernels
