/// Movement of rows on CUDA.
#pragma once
#include <cstddef>

#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/raw/arrange.cuh>
#include <flamingo/kernels/cuda/raw/combine.cuh>
#include <flamingo/ops/arrange.hpp>

namespace flamingo::kernels {

template <Real R>
struct Arrange<Cuda<R>> {
  using P = Cuda<R>;
  using Index = View<P, 1, const int>;
  using Places = View<P, 1, const Blend>;
  using Taps = View<P, 1, const Tap>;

  static void gather(Context<P>& ctx, In<P> x, Index index, Out<P> y) {
    check_cuda(raw::gather(bare(x.data), x.rows, index.data, bare(y.data), y.rows, y.width, ctx.stream()), "gather");
  }
  static void place(Context<P>& ctx, In<P> x, Index index, Out<P> y) {
    check_cuda(raw::place(bare(x.data), index.data, x.rows, bare(y.data), y.rows, y.width, ctx.stream()), "place");
  }
  template <class T>
  static void scatter_add(Context<P>& ctx, In<P> x, Index index, Rows<P, dynamic, T> y) {
    check_cuda(raw::scatter_add(bare(x.data), index.data, x.rows, bare(y.data), y.rows, y.width, ctx.stream()),
               "scatter_add");
  }
  static void blend(Context<P>& ctx, In<P> table, Places places, Out<P> sum) {
    check_cuda(
        raw::blend(bare(table.data), table.rows, raw_of(places), bare(sum.data), sum.rows, sum.width, ctx.stream()),
        "blend");
  }
  template <class T>
  static void blend_backward(Context<P>& ctx, In<P> dsum, Places places, Rows<P, dynamic, T> dtable) {
    check_cuda(raw::blend_backward(bare(dsum.data), raw_of(places), dsum.rows, bare(dtable.data), dtable.rows,
                                   dtable.width, ctx.stream()),
               "blend_backward");
  }
  static void combine(Context<P>& ctx, In<P> table, Taps taps, Out<P> y) {
    check_cuda(raw::combine(bare(table.data), table.rows, raw_of(taps), taps_each(taps, y.rows), bare(y.data), y.rows,
                            y.width, ctx.stream()),
               "combine");
  }
  template <class T>
  static void combine_backward(Context<P>& ctx, In<P> dy, Taps taps, Rows<P, dynamic, T> dtable) {
    check_cuda(raw::combine_backward(bare(dy.data), raw_of(taps), taps_each(taps, dy.rows), dy.rows, bare(dtable.data),
                                     dtable.rows, dtable.width, ctx.stream()),
               "combine_backward");
  }
  static void write_columns(Context<P>& ctx, In<P> x, int first, int stride, Out<P> y) {
    check_cuda(raw::write_columns(bare(x.data), bare(y.data), x.rows, x.width, y.width, first, stride, ctx.stream()),
               "write_columns");
  }
  static void read_columns(Context<P>& ctx, In<P> y, int first, int stride, Out<P> x) {
    check_cuda(raw::read_columns(bare(y.data), bare(x.data), x.rows, x.width, y.width, first, stride, ctx.stream()),
               "read_columns");
  }
  static void join(Context<P>& ctx, In<P> a, In<P> b, Out<P> y) {
    check_cuda(raw::join(bare(a.data), a.width, bare(b.data), b.width, bare(y.data), y.rows, ctx.stream()), "join");
  }
  static void clear_rows(Context<P>& ctx, Index index, Out<P> x) {
    check_cuda(raw::clear_rows(index.data, index.shape[0], bare(x.data), x.rows, x.width, ctx.stream()), "clear_rows");
  }
  template <class T>
  static void clear(Context<P>& ctx, Rows<P, dynamic, T> x) {
    clear_numbers(ctx, x.data, x.size(), "clear");
  }
  template <class X, class Y>
  static void convert(Context<P>& ctx, const X& x, const Y& y) {
    using From = const typename X::Element;
    check_cuda(raw::convert(bare(static_cast<From*>(x.data)), bare(y.data), x.size(), ctx.stream()), "convert");
  }

 private:
  static int taps_each(Taps taps, int rows) { return rows ? taps.shape[0] / rows : 0; }
  static const raw::TapPlace* raw_of(Taps taps) {
    using raw::TapPlace;
    static_assert(sizeof(TapPlace) == sizeof(Tap) && offsetof(TapPlace, row) == offsetof(Tap, row) &&
                  offsetof(TapPlace, weight) == offsetof(Tap, weight));
    return reinterpret_cast<const TapPlace*>(taps.data);
  }
  static const raw::BlendPlace* raw_of(Places places) {
    using raw::BlendPlace;
    static_assert(sizeof(BlendPlace) == sizeof(Blend) && offsetof(BlendPlace, low) == offsetof(Blend, low) &&
                  offsetof(BlendPlace, high) == offsetof(Blend, high) &&
                  offsetof(BlendPlace, weight) == offsetof(Blend, weight));
    return reinterpret_cast<const BlendPlace*>(places.data);
  }
};

}  // namespace flamingo::kernels
