/// Movement of rows on the CPU.
#pragma once
#include <algorithm>
#include <span>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/ops/arrange.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Arrange<Cpu<R, Set>> {
  using P = Cpu<R, Set>;

  static void gather(Context<P>& ctx, In<P> x, View<P, 1, const int> index, Out<P> y) {
    all_within("gather", index, x.rows);
    parallel_rows(ctx.threads(), y.rows, y.width, [&](int first, int count) {
      for (int n = first; n < first + count; ++n) std::copy_n(x.row(index.data[n]), int(x.width), y.row(n));
    });
  }
  template <class Y>
  static void place(Context<P>& ctx, In<P> x, View<P, 1, const int> index, const Y& y) {
    all_within("place", index, y.rows);
    parallel_rows(ctx.threads(), x.rows, x.width, [&](int first, int count) {
      for (int n = first; n < first + count; ++n)
        convert(x.row(n), static_cast<std::size_t>(int(x.width)), y.row(index.data[n]));
    });
  }
  static void scatter_add(Context<P>&, In<P> x, View<P, 1, const int> index, Out<P> y) {
    for (int n = 0; n < x.rows; ++n) line(y, within("scatter_add", index.data[n], n, y.rows)) += line(x, n);
  }
  static void blend(Context<P>&, In<P> table, View<P, 1, const Blend> places, Out<P> sum) {
    for (int n = 0; n < sum.rows; ++n) {
      const Blend& b = within("blend", places.data[n], n, table.rows);
      line(sum, n) += R(1 - b.weight) * line(table, b.low) + R(b.weight) * line(table, b.high);
    }
  }
  static void blend_backward(Context<P>&, In<P> dsum, View<P, 1, const Blend> places, Out<P> dtable) {
    for (int n = 0; n < dsum.rows; ++n) {
      const Blend& b = within("blend_backward", places.data[n], n, dtable.rows);
      line(dtable, b.low) += R(1 - b.weight) * line(dsum, n);
      line(dtable, b.high) += R(b.weight) * line(dsum, n);
    }
  }
  static void combine(Context<P>&, In<P> table, View<P, 1, const Tap> taps, Out<P> y) {
    for (int n = 0; n < y.rows; ++n) {
      line(y, n).setZero();
      for (const Tap& tap : taps_of(taps, n, y.rows))
        line(y, n) += R(tap.weight) * line(table, within("combine", tap.row, n, table.rows));
    }
  }
  static void combine_backward(Context<P>&, In<P> dy, View<P, 1, const Tap> taps, Out<P> dtable) {
    for (int n = 0; n < dy.rows; ++n)
      for (const Tap& tap : taps_of(taps, n, dy.rows))
        line(dtable, within("combine_backward", tap.row, n, dtable.rows)) += R(tap.weight) * line(dy, n);
  }
  static void join(Context<P>&, In<P> a, In<P> b, Out<P> y) {
    for (int n = 0; n < y.rows; ++n) {
      std::copy_n(a.row(n), int(a.width), y.row(n));
      std::copy_n(b.row(n), int(b.width), y.row(n) + int(a.width));
    }
  }
  static void write_columns(Context<P>&, In<P> x, int first, int stride, Out<P> y) {
    for (int n = 0; n < x.rows; ++n)
      for (int d = 0; d < int(x.width); ++d) y.row(n)[first + stride * d] = x.row(n)[d];
  }
  static void read_columns(Context<P>&, In<P> y, int first, int stride, Out<P> x) {
    for (int n = 0; n < x.rows; ++n)
      for (int d = 0; d < int(x.width); ++d) x.row(n)[d] = y.row(n)[first + stride * d];
  }
  static void clear_rows(Context<P>&, View<P, 1, const int> index, Out<P> x) {
    for (int n = 0; n < index.shape[0]; ++n) line(x, within("clear_rows", index.data[n], n, x.rows)).setZero();
  }
  static void clear(Context<P>&, Out<P> x) { line(x).setZero(); }

  template <class X, class Y>
  static void convert(Context<P>&, const X& x, const Y& y) {
    convert(x.data, x.size(), y.data);
  }

 private:
  template <class From, class To>
  static void convert(const From* x, std::size_t count, To* y) {
    if constexpr (std::is_same_v<From, To> || (std::is_floating_point_v<From> && std::is_floating_point_v<To>))
      std::transform(x, x + count, y, [](From number) { return static_cast<To>(number); });
    else
      std::transform(x, x + count, y, [](From number) { return static_cast<To>(static_cast<float>(number)); });
  }
  /// Those of row n of `rows`.
  static std::span<const Tap> taps_of(View<P, 1, const Tap> taps, int n, int rows) {
    const auto K = static_cast<std::size_t>(taps.shape[0] / rows);
    return {taps.data + static_cast<std::size_t>(n) * K, K};
  }
  static void all_within(const char* op, View<P, 1, const int> index, int rows) {
    for (int n = 0; n < index.shape[0]; ++n) within(op, index.data[n], n, rows);
  }
  static int within(const char* op, int index, int at, int rows) {
    check(index >= 0 && index < rows, op, "index ", index, " at row ", at, ", expected 0 to ", rows - 1);
    return index;
  }
  static const Blend& within(const char* op, const Blend& place, int at, int rows) {
    within(op, place.low, at, rows);
    within(op, place.high, at, rows);
    return place;
  }
};

}  // namespace flamingo::kernels
