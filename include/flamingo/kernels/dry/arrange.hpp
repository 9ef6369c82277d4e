/// What movements of rows take: memory alone.
#pragma once
#include <flamingo/ops/arrange.hpp>

namespace flamingo::kernels {

template <Platform Q>
struct Arrange<Dry<Q>> {
  using P = Dry<Q>;

  static void gather(Context<P>&, In<P>, View<P, 1, const int>, Out<P>) {}
  template <class Y>
  static void place(Context<P>&, In<P>, View<P, 1, const int>, const Y&) {}
  static void scatter_add(Context<P>&, In<P>, View<P, 1, const int>, Out<P>) {}
  static void blend(Context<P>&, In<P>, View<P, 1, const Blend>, Out<P>) {}
  static void blend_backward(Context<P>&, In<P>, View<P, 1, const Blend>, Out<P>) {}
  static void combine(Context<P>&, In<P>, View<P, 1, const Tap>, Out<P>) {}
  static void combine_backward(Context<P>&, In<P>, View<P, 1, const Tap>, Out<P>) {}
  static void join(Context<P>&, In<P>, In<P>, Out<P>) {}
  static void write_columns(Context<P>&, In<P>, int, int, Out<P>) {}
  static void read_columns(Context<P>&, In<P>, int, int, Out<P>) {}
  static void clear_rows(Context<P>&, View<P, 1, const int>, Out<P>) {}
  static void clear(Context<P>&, Out<P>) {}
  template <class X, class Y>
  static void convert(Context<P>&, const X&, const Y&) {}
};

}  // namespace flamingo::kernels
