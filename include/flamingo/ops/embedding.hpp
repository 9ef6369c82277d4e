/// embed: y[n] = table[id], or added[id - V] for the rows a host put after the vocabulary      ids (N)   y (N, D)
#pragma once
#include <type_traits>

#include <flamingo/core/context.hpp>
#include <flamingo/core/parameters.hpp>

namespace flamingo {
namespace kernels {
/// Rows of a table, and scattering back; defined once per platform.
template <Platform P>
struct Embedding;
}  // namespace kernels

namespace ops {

/// Ids are 0 .. V + A - 1 for a table of V and an addition of A rows; anything else is refused on the CPU.
template <Platform P, WeightOn<P> T, WeightOn<P> A, RowsOn<P> Y>
void embed(Context<P>& ctx, std::type_identity_t<View<P, 1, const int>> ids, const T& table, const A& added,
           const Y& y) {
  static_assert(agree(T::in, width_of<Y>), "embed: the width of the table differs from the width of y");
  static_assert(agree(A::in, T::in), "embed: the widths of table and added rows differ");
  check(y.rows == ids.shape[0] && int(y.width) == int(table.columns), "embed", "y is ", y.shape(), ", expected (",
        ids.shape[0], ", ", int(table.columns), ')');
  check(int(added.columns) == int(table.columns), "embed", "added is (", int(added.rows), ", ", int(added.columns),
        "), expected width ", int(table.columns));
  kernels::Embedding<P>::forward(ctx, ids, any(table), any(added), any(y));
}
/// The same without added rows.
template <Platform P, WeightOn<P> T, RowsOn<P> Y>
void embed(Context<P>& ctx, std::type_identity_t<View<P, 1, const int>> ids, const T& table, const Y& y) {
  embed(ctx, ids, table, MatrixView<P, 0, dynamic>{nullptr, {}, Extent<dynamic>(table.columns)}, y);
}
/// Adds dy to the rows of dtable and dadded that were read.
template <Platform P, RowsOn<P> Y, WeightSink<P> DT, WeightSink<P> DA>
void embed_backward(Context<P>& ctx, std::type_identity_t<View<P, 1, const int>> ids, int vocabulary, const Y& dy,
                    const DT& dtable, const DA& dadded) {
  check(dy.rows == ids.shape[0], "embed_backward", "dy is ", dy.shape(), " with ", ids.shape[0], " ids");
  if constexpr (wanted<DT>) {
    check(int(dtable.rows) == vocabulary && int(dtable.columns) == int(dy.width), "embed_backward", "dtable is (",
          int(dtable.rows), ", ", int(dtable.columns), "), expected (", vocabulary, ", ", int(dy.width), ')');
    kernels::Embedding<P>::backward(ctx, ids, 0, vocabulary, dy, any(dtable));
  }
  if constexpr (wanted<DA>) {
    check(int(dadded.columns) == int(dy.width), "embed_backward", "dadded is (", int(dadded.rows), ", ",
          int(dadded.columns), "), expected width ", int(dy.width));
    kernels::Embedding<P>::backward(ctx, ids, vocabulary, vocabulary + int(dadded.rows), dy, any(dadded));
  }
}

}  // namespace ops
}  // namespace flamingo
