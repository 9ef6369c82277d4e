/// Gains of pictures and channels on the CPU.
#pragma once
#include <span>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/ops/excitation.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Excitation<Cpu<R, Set>> {
  using P = Cpu<R, Set>;
  using Amounts = View<P, 1, const R>;

  static void gate(Context<P>&, In<P> z, Amounts amounts, const R* gain, Out<P> f) {
    for (int m = 0; m < z.rows; ++m)
      each_chunk(static_cast<std::size_t>(z.width), [&](std::size_t at, std::size_t n) {
        Numbers s(z.row(m) + at, n);
        s.numbers = amounts.data[m] * *gain * logistic(s);
        s.write(f.row(m) + at, n);
      });
  }
  static void gate_backward(Context<P>&, In<P> z, Amounts amounts, const R* gain, In<P> df, Out<P> dz) {
    for (int m = 0; m < z.rows; ++m)
      each_chunk(static_cast<std::size_t>(z.width), [&](std::size_t at, std::size_t n) {
        Numbers s(z.row(m) + at, n), d(df.row(m) + at, n);
        s.numbers = logistic(s);
        d.numbers *= amounts.data[m] * *gain * s.numbers * (R(1) - s.numbers);
        d.write(dz.row(m) + at, n);
      });
  }
  static void gate_backward_gain(Context<P>&, In<P> z, Amounts amounts, In<P> df, R* dgain) {
    for (int m = 0; m < z.rows; ++m)
      each_chunk(static_cast<std::size_t>(z.width), [&](std::size_t at, std::size_t n) {
        const Numbers s(z.row(m) + at, n), d(df.row(m) + at, n);
        *dgain += amounts.data[m] * sum(d.numbers * logistic(s));
      });
  }

  static void excite(Context<P>& ctx, In<P> x, In<P> h, std::span<const Grid> grids, In<P> f, Out<P> y) {
    each_piece(ctx, grids, [&](int m, int first, int count) {
      for (int n = first; n < first + count; ++n) line(y, n) = line(x, n) + line(f, m) * line(h, n);
    });
  }
  static void excite_backward(Context<P>& ctx, In<P> h, std::span<const Grid> grids, In<P> f, In<P> dy, Out<P> dh,
                              Out<P> df) {
    ctx.threads().run(f.rows, [&](int m) {
      const Grid& grid = grids[static_cast<std::size_t>(m)];
      line(df, m).setZero();
      for (int n = grid.first; n < grid.first + grid.rows(); ++n) {
        line(df, m) += line(dy, n) * line(h, n);
        line(dh, n) = line(f, m) * line(dy, n);
      }
    });
  }

 private:
  using Numbers = Chunk<R>;

  static auto logistic(const Numbers& z) { return R(1) / (R(1) + (-z.numbers).exp()); }
  /// Calls f(picture, first row, rows) over parts of pictures.
  template <class F>
  static void each_piece(Context<P>& ctx, std::span<const Grid> grids, const F& f) {
    for (std::size_t m = 0; m < grids.size(); ++m)
      parallel_pieces(ctx.threads(), static_cast<std::size_t>(grids[m].rows()), 64,
                      [&](std::size_t first, std::size_t count) {
                        f(static_cast<int>(m), grids[m].first + static_cast<int>(first), static_cast<int>(count));
                      });
  }
};

}  // namespace flamingo::kernels
