/// The optimiser's arithmetic on CUDA.
#pragma once
#include <cmath>

#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/raw/adamw.cuh>
#include <flamingo/ops/adamw.hpp>

namespace flamingo::kernels {

template <Real R>
struct Optimiser<Cuda<R>> {
  using P = Cuda<R>;

  template <class T>
  static void adamw(Context<P>& ctx, const AdamWStep& s, View<P, 1, T> w, View<P, 1, const T> g, View<P, 1, T> m,
                    View<P, 1, T> v) {
    const auto power = [&](double beta) { return std::pow(beta, static_cast<double>(s.step)); };
    const raw::AdamWNumbers<T> step{T(s.beta1),
                                    T(1 - s.beta1),
                                    T(s.beta2),
                                    T(1 - s.beta2),
                                    T(s.scale),
                                    T(1 - s.rate * s.decay),
                                    T(s.rate / (1 - power(s.beta1))),
                                    T(1 / std::sqrt(1 - power(s.beta2))),
                                    T(s.epsilon)};
    check_cuda(raw::adamw(step, w.data, g.data, m.data, v.data, w.size(), ctx.stream()), "adamw");
  }
  template <class T>
  static void sum_of_squares(Context<P>& ctx, View<P, 1, const T> x, View<P, 1, double> sum) {
    const auto scope = ctx.scope();
    const auto workspace = take_vector<double>(ctx, raw::squares_workspace(x.size()));
    check_cuda(raw::sum_of_squares(x.data, x.size(), sum.data, workspace.data, ctx.stream()), "sum_of_squares");
  }
};

}  // namespace flamingo::kernels
