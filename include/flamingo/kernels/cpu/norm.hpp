/// Layer and RMS norm on the CPU: a row is read from memory once, and stays in the cache for its passes.
#pragma once
#include <cmath>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/kernels/cpu/vector_math.hpp>
#include <flamingo/ops/norm.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Norm<Cpu<R, Set>> {
  using P = Cpu<R, Set>;
  using M = VectorMath<R, Set>;
  using V = typename M::Vector;
  using Part = typename M::Part;

  template <class Scale, class Bias>
  static void layer(Context<P>& ctx, In<P> x, const Scale& scale, const Bias& bias, float epsilon, Out<P> y,
                    Moments<P> moments) {
    each_row(ctx, x, [&](int n, std::size_t D) {
      const R *row = x.row(n), size = static_cast<R>(D);
      const R mean = M::sum(D, [=](Part i) { return i.load(row); }) / size;
      const R variance = M::sum(D,
                                [=](Part i) {
                                  const V off = i.load(row, mean) - mean;
                                  return off * off;
                                }) /
                         size;
      const R rstd = R(1) / std::sqrt(variance + R(epsilon));
      R* const to = y.row(n);
      M::along(D, [=](Part i) {
        V out = (i.load(row) - mean) * rstd * i.load(scale.data);
        if constexpr (wanted<Bias>) out += i.load(bias.data);
        i.store(to, out);
      });
      moments.row(n)[0] = mean;
      moments.row(n)[1] = rstd;
    });
  }
  template <class Scale>
  static void layer_backward_input(Context<P>& ctx, In<P> x, Moments<P> moments, const Scale& scale, In<P> dy,
                                   Out<P> dx) {
    each_row(ctx, x, [&](int n, std::size_t D) {
      const R mean = moments.row(n)[0], rstd = moments.row(n)[1], size = static_cast<R>(D);
      const R *row = x.row(n), *drow = dy.row(n);
      R* const to = dx.row(n);
      const auto hat = [=](Part i) -> V { return (i.load(row) - mean) * rstd; };
      const auto g = [=](Part i) -> V { return i.load(drow) * i.load(scale.data); };
      const R g_mean = M::sum(D, g) / size, projection = M::sum(D, [=](Part i) { return g(i) * hat(i); }) / size;
      M::along(D, [=](Part i) { i.store(to, rstd * (g(i) - g_mean - hat(i) * projection)); });
    });
  }
  template <class DScale, class DBias>
  static void layer_backward_weights(Context<P>& ctx, In<P> x, Moments<P> moments, In<P> dy, const DScale& dscale,
                                     const DBias& dbias) {
    each_column(ctx, x, [=](Part i) {
      V scales{}, biases{};
      if constexpr (wanted<DScale>) scales = i.load(dscale.data);
      if constexpr (wanted<DBias>) biases = i.load(dbias.data);
      for (int n = 0; n < x.rows; ++n) {
        const V g = i.load(dy.row(n));
        scales += g * ((i.load(x.row(n)) - moments.row(n)[0]) * moments.row(n)[1]);
        biases += g;
      }
      if constexpr (wanted<DScale>) i.store(dscale.data, scales);
      if constexpr (wanted<DBias>) i.store(dbias.data, biases);
    });
  }

  template <class Scale>
  static void rms(Context<P>& ctx, In<P> x, const Scale& scale, float epsilon, Out<P> y, Moments<P> moments) {
    each_row(ctx, x, [&](int n, std::size_t D) {
      const R* row = x.row(n);
      const R squares = M::sum(D, [=](Part i) {
        const V v = i.load(row);
        return v * v;
      });
      const R rstd = R(1) / std::sqrt(squares / static_cast<R>(D) + R(epsilon));
      R* const to = y.row(n);
      M::along(D, [=](Part i) { i.store(to, i.load(row) * rstd * i.load(scale.data)); });
      moments.row(n)[0] = 0;
      moments.row(n)[1] = rstd;
    });
  }
  template <class Scale>
  static void rms_backward_input(Context<P>& ctx, In<P> x, Moments<P> moments, const Scale& scale, In<P> dy,
                                 Out<P> dx) {
    each_row(ctx, x, [&](int n, std::size_t D) {
      const R rstd = moments.row(n)[1];
      const R *row = x.row(n), *drow = dy.row(n);
      R* const to = dx.row(n);
      const auto hat = [=](Part i) -> V { return i.load(row) * rstd; };
      const auto g = [=](Part i) -> V { return i.load(drow) * i.load(scale.data); };
      const R projection = M::sum(D, [=](Part i) { return g(i) * hat(i); }) / static_cast<R>(D);
      M::along(D, [=](Part i) { i.store(to, rstd * (g(i) - hat(i) * projection)); });
    });
  }
  template <class DScale>
  static void rms_backward_weights(Context<P>& ctx, In<P> x, Moments<P> moments, In<P> dy, const DScale& dscale) {
    each_column(ctx, x, [=](Part i) {
      V scales = i.load(dscale.data);
      for (int n = 0; n < x.rows; ++n) scales += i.load(dy.row(n)) * (i.load(x.row(n)) * moments.row(n)[1]);
      i.store(dscale.data, scales);
    });
  }

 private:
  /// f(row, width)
  template <class F>
  static void each_row(Context<P>& ctx, In<P> x, const F& f) {
    parallel_rows(ctx.threads(), x.rows, x.width, [&](int first, int count) {
      for (int n = first; n < first + count; ++n) f(n, static_cast<std::size_t>(x.width));
    });
  }
  /// f(part of the columns)
  template <class F>
  static void each_column(Context<P>& ctx, In<P> x, const F& f) {
    parallel_columns(ctx.threads(), x.rows, x.width, [&](std::size_t first, std::size_t count) {
      M::along(count, [&](Part i) { f(Part{first + i.first, i.count}); });
    });
  }
};

}  // namespace flamingo::kernels
