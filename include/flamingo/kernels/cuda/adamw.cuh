/// The optimiser's arithmetic on CUDA.
#pragma once
#include <cmath>
#include <type_traits>

#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/raw/adamw.cuh>
#include <flamingo/ops/adamw.hpp>

namespace flamingo::kernels {

template <Real R>
struct Optimiser<Cuda<R>> {
  using P = Cuda<R>;

  template <class T, class First, class Second>
  static void adamw(Context<P>& ctx, const AdamWStep& s, View<P, 1, T> w, View<P, 1, const T> g, const First& m,
                    const Second& v) {
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
    const auto few_bits = [&](const auto& moments) {
      return raw::adamw(step, w.data, g.data, moments, s.rounding_key(), w.size(), ctx.stream());
    };
    if constexpr (std::is_same_v<First, View<P, 1, T>>)
      check_cuda(raw::adamw(step, w.data, g.data, m.data, v.data, w.size(), ctx.stream()), "adamw");
    else if constexpr (std::is_same_v<First, View<P, 1, bfloat16>>)
      check_cuda(few_bits(raw::HalfMoments{&m.data->bits, &v.data->bits}), "adamw");
    else
      check_cuda(few_bits(raw::ByteMoments{m.codes, m.exponents, v.codes, v.exponents}), "adamw");
  }
  template <class T>
  static void follow(Context<P>& ctx, double share, View<P, 1, const T> x, View<P, 1, T> mean) {
    check_cuda(raw::follow(T(share), x.data, mean.data, x.size(), ctx.stream()), "follow");
  }
  template <class T>
  static void sum_of_squares(Context<P>& ctx, View<P, 1, const T> x, View<P, 1, double> sum) {
    const auto scope = ctx.scope();
    const auto workspace = take_vector<double>(ctx, raw::squares_workspace(x.size()));
    check_cuda(raw::sum_of_squares(x.data, x.size(), sum.data, workspace.data, ctx.stream()), "sum_of_squares");
  }
};

}  // namespace flamingo::kernels
