/// gather: y[n] = x[index[n]]      place: y[index[n]] = x[n]      scatter_add: y[index[n]] += x[n]
/// blend: sum[n] += (1 - w) table[low] + w table[high]      combine: y[n] = Σ_k weight[n, k] table[row[n, k]]
/// write_columns: y[n][first + stride d] = x[n][d]
///
/// Copies of learned rows, selections of rows, and embeddings read between two entries (interpolated time) or many
/// (resampled positions); columns among others, and rows that become zero.
#pragma once
#include <type_traits>

#include <flamingo/core/context.hpp>
#include <flamingo/core/parameters.hpp>

namespace flamingo {

/// A place between two rows of a table.
struct Blend {
  int low = 0, high = 0;
  float weight = 0;  ///< of `high`
};
/// One of the rows of a table that are read together.
struct Tap {
  int row = 0;
  float weight = 0;
};

namespace kernels {
/// Movement of rows; defined once per platform.
template <Platform P>
struct Arrange;
}  // namespace kernels

namespace ops {

namespace detail {
template <class X, class Y>
void check_columns(const char* where, const X& x, int first, int stride, const Y& y) {
  check(x.rows == y.rows && first >= 0 && stride > 0 && first + stride * (int(x.width) - 1) < int(y.width), where,
        "x is ", x.shape(), " and y is ", y.shape(), ", the columns begin at ", first, " and are ", stride, " apart");
}
}  // namespace detail

/// Indices are rows of x; anything else is refused on the CPU, here and below.
template <Platform P, RowsOn<P> X, RowsOn<P> Y>
void gather(Context<P>& ctx, const X& x, std::type_identity_t<View<P, 1, const int>> index, const Y& y) {
  static_assert(agree(width_of<X>, width_of<Y>), "gather: the widths of x and y differ");
  check(y.rows == index.shape[0] && int(y.width) == int(x.width), "gather", "y is ", y.shape(), ", expected (",
        index.shape[0], ", ", int(x.width), ')');
  kernels::Arrange<P>::gather(ctx, x, index, any(y));
}
/// No row of y may be named twice. On the CPU y's numbers may be of another type: x's are rounded
/// to nearest.
template <Platform P, RowsOn<P> X, RowsOn<P> Y>
void place(Context<P>& ctx, const X& x, std::type_identity_t<View<P, 1, const int>> index, const Y& y) {
  static_assert(agree(width_of<X>, width_of<Y>), "place: the widths of x and y differ");
  check(x.rows == index.shape[0] && int(y.width) == int(x.width), "place", "x is ", x.shape(), " and y is ", y.shape(),
        " with ", index.shape[0], " indices");
  kernels::Arrange<P>::place(ctx, x, index, any(y));
}
/// Adds; y is not cleared before.
template <Platform P, RowsOn<P> X, RowsSink<P> Y>
void scatter_add(Context<P>& ctx, const X& x, std::type_identity_t<View<P, 1, const int>> index, const Y& y) {
  if constexpr (wanted<Y>) {
    check(x.rows == index.shape[0] && int(y.width) == int(x.width), "scatter_add", "x is ", x.shape(), " and y is ",
          y.shape(), " with ", index.shape[0], " indices");
    kernels::Arrange<P>::scatter_add(ctx, x, index, any(y));
  }
}
template <Platform P, RowsOn<P> T, RowsOn<P> S>
void blend(Context<P>& ctx, const T& table, std::type_identity_t<View<P, 1, const Blend>> places, const S& sum) {
  static_assert(agree(width_of<T>, width_of<S>), "blend: the widths of table and sum differ");
  check(sum.rows == places.shape[0] && int(sum.width) == int(table.width), "blend", "sum is ", sum.shape(),
        ", expected (", places.shape[0], ", ", int(table.width), ')');
  kernels::Arrange<P>::blend(ctx, table, places, any(sum));
}
/// Adds dsum to the rows of dtable that were read, by their weights.
template <Platform P, RowsOn<P> S, RowsSink<P> DT>
void blend_backward(Context<P>& ctx, const S& dsum, std::type_identity_t<View<P, 1, const Blend>> places,
                    const DT& dtable) {
  if constexpr (wanted<DT>) {
    check(dsum.rows == places.shape[0] && int(dsum.width) == int(dtable.width), "blend_backward", "dsum is ",
          dsum.shape(), " and dtable is ", dtable.shape(), " with ", places.shape[0], " places");
    kernels::Arrange<P>::blend_backward(ctx, dsum, places, any(dtable));
  }
}

/// Taps (N K): K for each row of y, those of a row one after another.
template <Platform P, RowsOn<P> T, RowsOn<P> Y>
void combine(Context<P>& ctx, const T& table, std::type_identity_t<View<P, 1, const Tap>> taps, const Y& y) {
  static_assert(agree(width_of<T>, width_of<Y>), "combine: the widths of table and y differ");
  check(int(y.width) == int(table.width) && (y.rows ? taps.shape[0] % y.rows : taps.shape[0]) == 0, "combine", "y is ",
        y.shape(), " with ", taps.shape[0], " taps into a table of shape ", table.shape());
  kernels::Arrange<P>::combine(ctx, table, taps, any(y));
}
/// Adds dy to the rows of dtable that were read, by their weights.
template <Platform P, RowsOn<P> Y, RowsSink<P> DT>
void combine_backward(Context<P>& ctx, const Y& dy, std::type_identity_t<View<P, 1, const Tap>> taps,
                      const DT& dtable) {
  if constexpr (wanted<DT>) {
    check(int(dy.width) == int(dtable.width) && (dy.rows ? taps.shape[0] % dy.rows : taps.shape[0]) == 0,
          "combine_backward", "dy is ", dy.shape(), " with ", taps.shape[0], " taps into a table of shape ",
          dtable.shape());
    kernels::Arrange<P>::combine_backward(ctx, dy, taps, any(dtable));
  }
}

/// y[n] = [a[n], b[n]]: two rows side by side.
template <Platform P, RowsOn<P> A, RowsOn<P> B, RowsOn<P> Y>
void join(Context<P>& ctx, const A& a, const B& b, const Y& y) {
  check(a.rows == b.rows && y.rows == a.rows && int(y.width) == int(a.width) + int(b.width), "join", "a is ", a.shape(),
        ", b is ", b.shape(), " and y is ", y.shape());
  kernels::Arrange<P>::join(ctx, a, b, any(y));
}

/// y[n][first + stride d] = x[n][d]: the columns of x among those of y.
template <Platform P, RowsOn<P> X, RowsOn<P> Y>
void write_columns(Context<P>& ctx, const X& x, int first, int stride, const Y& y) {
  detail::check_columns("write_columns", x, first, stride, y);
  kernels::Arrange<P>::write_columns(ctx, x, first, stride, any(y));
}
/// x[n][d] = y[n][first + stride d]: columns of y alone.
template <Platform P, RowsOn<P> Y, RowsOn<P> X>
void read_columns(Context<P>& ctx, const Y& y, int first, int stride, const X& x) {
  detail::check_columns("read_columns", x, first, stride, y);
  kernels::Arrange<P>::read_columns(ctx, y, first, stride, any(x));
}

/// Fills the rows of x that `index` names with zeros.
template <Platform P, RowsOn<P> X>
void clear_rows(Context<P>& ctx, std::type_identity_t<View<P, 1, const int>> index, const X& x) {
  kernels::Arrange<P>::clear_rows(ctx, index, any(x));
}
/// Fills rows with zeros.
template <Platform P, RowsSink<P> X>
void clear(Context<P>& ctx, const X& x) {
  if constexpr (wanted<X>) kernels::Arrange<P>::clear(ctx, any(x));
}
/// y = x in another element type, rounded to nearest.
template <Platform P, RowsOn<P> X, RowsOn<P> Y>
void convert(Context<P>& ctx, const X& x, const Y& y) {
  check(x.shape() == y.shape(), "convert", "x is ", x.shape(), " and y is ", y.shape(), ": their shapes differ");
  kernels::Arrange<P>::convert(ctx, any(x), any(y));
}

/// The rows of a stored table or of learned latents, to be read or to be added to.
template <Platform P, int O, int D, class T>
constexpr Rows<P, D, T> rows_of(const MatrixView<P, O, D, T>& w) {
  return {w.data, int(w.rows), w.columns};
}
constexpr NoGrad rows_of(NoGrad) { return {}; }

}  // namespace ops
}  // namespace flamingo
