/// Layer and RMS norm on the CPU.
#pragma once
#include <cmath>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/ops/norm.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Norm<Cpu<R, Set>> {
  using P = Cpu<R, Set>;

  template <class Scale, class Bias>
  static void layer(Context<P>& ctx, In<P> x, const Scale& scale, const Bias& bias, float epsilon, Out<P> y,
                    Moments<P> moments) {
    each_row(ctx, x, [&](int n) {
      const auto row = line(x, n);
      const R mean = kernels::mean(row);
      const R rstd = R(1) / std::sqrt((row - mean).square().mean() + R(epsilon));
      if constexpr (wanted<Bias>)
        line(y, n) = (row - mean) * rstd * line(scale) + line(bias);
      else
        line(y, n) = (row - mean) * rstd * line(scale);
      moments.row(n)[0] = mean;
      moments.row(n)[1] = rstd;
    });
  }
  template <class Scale>
  static void layer_backward_input(Context<P>& ctx, In<P> x, Moments<P> moments, const Scale& scale, In<P> dy,
                                   Out<P> dx) {
    each_row(ctx, x, [&](int n) {
      const R mean = moments.row(n)[0], rstd = moments.row(n)[1];
      const auto hat = (line(x, n) - mean) * rstd;
      const auto g = line(dy, n) * line(scale);
      const R g_mean = g.mean(), projection = (g * hat).mean();
      line(dx, n) = rstd * (g - g_mean - hat * projection);
    });
  }
  template <class DScale, class DBias>
  static void layer_backward_weights(Context<P>&, In<P> x, Moments<P> moments, In<P> dy, const DScale& dscale,
                                     const DBias& dbias) {
    for (int n = 0; n < x.rows; ++n) {
      if constexpr (wanted<DScale>) line(dscale) += line(dy, n) * (line(x, n) - moments.row(n)[0]) * moments.row(n)[1];
      if constexpr (wanted<DBias>) line(dbias) += line(dy, n);
    }
  }

  template <class Scale>
  static void rms(Context<P>& ctx, In<P> x, const Scale& scale, float epsilon, Out<P> y, Moments<P> moments) {
    each_row(ctx, x, [&](int n) {
      const R rstd = R(1) / std::sqrt(line(x, n).square().mean() + R(epsilon));
      line(y, n) = line(x, n) * rstd * line(scale);
      moments.row(n)[0] = 0;
      moments.row(n)[1] = rstd;
    });
  }
  template <class Scale>
  static void rms_backward_input(Context<P>& ctx, In<P> x, Moments<P> moments, const Scale& scale, In<P> dy,
                                 Out<P> dx) {
    each_row(ctx, x, [&](int n) {
      const R rstd = moments.row(n)[1];
      const auto hat = line(x, n) * rstd;
      const auto g = line(dy, n) * line(scale);
      const R projection = (g * hat).mean();
      line(dx, n) = rstd * (g - hat * projection);
    });
  }
  template <class DScale>
  static void rms_backward_weights(Context<P>&, In<P> x, Moments<P> moments, In<P> dy, const DScale& dscale) {
    for (int n = 0; n < x.rows; ++n) line(dscale) += line(dy, n) * line(x, n) * moments.row(n)[1];
  }

 private:
  template <class F>
  static void each_row(Context<P>& ctx, In<P> x, const F& f) {
    parallel_pieces(ctx.threads(), static_cast<std::size_t>(x.rows),
                    1 + 16384 / (1 + static_cast<std::size_t>(x.width)), [&](std::size_t first, std::size_t count) {
                      for (std::size_t n = first; n < first + count; ++n) f(static_cast<int>(n));
                    });
  }
};

}  // namespace flamingo::kernels
