/// What the optimiser takes: memory alone.
#pragma once
#include <flamingo/ops/adamw.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Optimiser<Dry<Q>> {
  using P = Dry<Q>;

  template <class T, class First, class Second>
  static void adamw(Context<P>&, const AdamWStep&, View<P, 1, T>, View<P, 1, const T>, const First&, const Second&) {}
  template <class T>
  static void follow(Context<P>&, double, View<P, 1, const T>, View<P, 1, T>) {}
  template <class T>
  static void sum_of_squares(Context<P>&, View<P, 1, const T>, View<P, 1, double>) {}
};

}  // namespace flamingo::kernels
