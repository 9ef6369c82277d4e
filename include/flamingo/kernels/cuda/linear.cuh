/// Dense products on CUDA.
#pragma once
#include <flamingo/kernels/cuda/packed.cuh>
#include <flamingo/kernels/cuda/raw/pointwise.cuh>
#include <flamingo/kernels/cuda/raw/row_sums.cuh>
#include <flamingo/ops/linear.hpp>

namespace flamingo::kernels {

/// Adds each column's sum over all rows.
template <Real R>
void add_column_sums(Context<Cuda<R>>& ctx, In<Cuda<R>> x, AccumulateOf<Cuda<R>>* sum, std::string_view op) {
  const auto scope = ctx.scope();
  const auto size = static_cast<int>(raw::column_sum_workspace(x.rows, int(x.width)));
  const auto workspace = take_vector<AccumulateOf<Cuda<R>>>(ctx, size);
  check_cuda(raw::add_column_sums(bare(x.data), sum, workspace.data, x.rows, int(x.width), ctx.stream()), op);
}

template <Real R>
struct Linear<Cuda<R>> {
  using P = Cuda<R>;

  template <class W>
  static void forward(Context<P>& ctx, In<P> x, const W& w, Out<P> y) {
    const auto scope = ctx.scope();
    if constexpr (is_packed<W>)
      if (x.rows <= CudaProducts::packed_rows && !numbers_in_place<R>(w))
        return check_cuda(
            raw::packed_rows_forward(bare(x.data), raw_of(w, "linear"), bare(y.data), x.rows, ctx.stream()), "linear");
    ctx.products().forward(bare(x.data), bare(numbers_of(ctx, w, "linear")), bare(y.data), x.rows, w.columns, w.rows,
                           ctx.stream(), "linear");
  }
  template <class B>
  static void add_bias(Context<P>& ctx, const B& b, Out<P> y) {
    check_cuda(raw::add_bias(b.data, bare(y.data), y.rows, y.width, ctx.stream()), "add_bias");
  }

  template <class W>
  static void backward_input(Context<P>& ctx, const W& w, In<P> dy, Out<P> dx) {
    const auto scope = ctx.scope();
    ctx.products().backward_input(bare(dy.data), bare(numbers_of(ctx, w, "linear_backward")), bare(dx.data), dy.rows,
                                  w.columns, w.rows, ctx.stream(), "linear_backward");
  }
  template <int O, int D>
  static void backward_weight(Context<P>& ctx, In<P> x, In<P> dy, const MatrixView<P, O, D, AccumulateOf<P>>& dw) {
    ctx.products().backward_weight(bare(dy.data), bare(x.data), dw.data, x.rows, dw.columns, dw.rows, ctx.stream(),
                                   "linear_backward");
  }
  template <class B>
  static void backward_bias(Context<P>& ctx, In<P> dy, const B& db) {
    add_column_sums(ctx, dy, db.data, "linear_backward");
  }
};

}  // namespace flamingo::kernels
