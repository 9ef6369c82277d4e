/// Rows of a table on the CPU.
#pragma once
#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/kernels/cpu/formats.hpp>
#include <flamingo/ops/embedding.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Embedding<Cpu<R, Set>> {
  using P = Cpu<R, Set>;

  template <class T, class A>
  static void forward(Context<P>& ctx, View<P, 1, const int> ids, const T& table, const A& added, Out<P> y) {
    const int V = table.rows, all = V + int(added.rows);
    const auto rows = source_of<R>(table), more = source_of<R>(added);
    for (int n = 0; n < y.rows; ++n)
      check(ids.data[n] >= 0 && ids.data[n] < all, "embed", "id ", ids.data[n], " at row ", n, ": the vocabulary has ",
            all, " entries");
    parallel_rows(ctx.threads(), y.rows, y.width, [&](int first, int count) {
      for (int n = first; n < first + count; ++n)
        if (const int id = ids.data[n]; id < V)
          rows.read(id, 0, y.width, y.row(n));
        else
          more.read(id - V, 0, y.width, y.row(n));
    });
  }
  template <class D>
  static void backward(Context<P>&, View<P, 1, const int> ids, int first, int last, In<P> dy, const D& dtable) {
    for (int n = 0; n < dy.rows; ++n)
      if (const int id = ids.data[n]; id >= first && id < last)
        line(dtable.row(id - first), static_cast<std::size_t>(dy.width)) += line(dy, n);
  }
};

}  // namespace flamingo::kernels
