/// Rows of a vocabulary on CUDA. An id outside it reads NaN and adds nothing.
#pragma once
#include <flamingo/kernels/cuda/packed.cuh>
#include <flamingo/kernels/cuda/raw/arrange.cuh>
#include <flamingo/ops/embedding.hpp>

namespace flamingo::kernels {

template <Real R>
struct Embedding<Cuda<R>> {
  using P = Cuda<R>;
  using Ids = View<P, 1, const int>;

  template <class T, class A>
  static void forward(Context<P>& ctx, Ids ids, const T& table, const A& added, Out<P> y) {
    const R* const more = numbers_in_place<R>(added);
    if constexpr (is_packed<T>)
      return check_cuda(raw::unpack_rows(raw_of(table, "embed"), bare(more), added.rows, ids.data, bare(y.data), y.rows,
                                         ctx.stream()),
                        "embed");
    else {
      const R* const rows = numbers_in_place<R>(table);
      check_cuda(raw::gather(bare(rows), table.rows, bare(more), added.rows, ids.data, bare(y.data), y.rows, y.width,
                             ctx.stream()),
                 "embed");
    }
  }
  template <class D>
  static void backward(Context<P>& ctx, Ids ids, int first, int last, In<P> dy, const D& dtable) {
    check_cuda(raw::scatter_add(bare(dy.data), ids.data, dy.rows, first, bare(dtable.data), last - first, dy.width,
                                ctx.stream()),
               "embed_backward");
  }
};

}  // namespace flamingo::kernels
