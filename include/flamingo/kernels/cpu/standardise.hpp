/// Standardised weights on the CPU, filter by filter.
#pragma once
#include <algorithm>
#include <cmath>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/kernels/cpu/formats.hpp>
#include <flamingo/ops/standardise.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Standardise<Cpu<R, Set>> {
  using P = Cpu<R, Set>;
  using Weights = MatrixView<P, dynamic, dynamic, R>;

  template <class W>
  static void forward(Context<P>& ctx, const Standardisation& rule, const W& w, const R* gain, const Weights& y) {
    const auto source = source_of<R>(w);
    each_filter(ctx, w.rows, [&](int o) {
      auto filter = line(y.row(o), static_cast<std::size_t>(y.columns));
      source.read(o, 0, w.columns, y.row(o));
      const Centred c(rule, filter);
      filter *= R(rule.gamma) * gain[o] * c.inverse;
    });
  }
  template <class W>
  static void backward(Context<P>& ctx, const Standardisation& rule, const W& w, const R* gain, const Weights& dy,
                       const Weights& dw, R* dgain) {
    const auto source = source_of<R>(w);
    each_filter(ctx, w.rows, [&](int o) {
      const auto size = static_cast<std::size_t>(w.columns);
      Line<R> unit(static_cast<Eigen::Index>(size));
      source.read(o, 0, w.columns, unit.data());
      const Centred c(rule, unit);
      unit *= c.inverse;
      const auto g = line(static_cast<const R*>(dy.row(o)), size);
      const R along = sum(g * unit), scale = R(rule.gamma) * gain[o] * c.inverse;
      dgain[o] += R(rule.gamma) * along;
      line(dw.row(o), size) += scale * (g - mean(g) - (c.held ? R(0) : along) * unit);
    });
  }

 private:
  /// A filter less its mean, and 1 / √s.
  struct Centred {
    R inverse;
    bool held;  ///< by ε: s does not depend on the weights

    template <class Filter>
    Centred(const Standardisation& rule, Filter& filter) {
      filter -= mean(filter);
      const R squares = sum(filter.square()), epsilon = R(rule.epsilon);
      const bool floor = rule.variance == WeightVariance::floor;
      held = floor && squares < epsilon;
      inverse = 1 / std::sqrt(floor ? std::max(squares, epsilon) : squares + R(filter.size()) * epsilon);
    }
  };
  template <class F>
  static void each_filter(Context<P>& ctx, int filters, const F& f) {
    parallel_pieces(ctx.threads(), static_cast<std::size_t>(filters), 8, [&](std::size_t first, std::size_t count) {
      for (std::size_t o = first; o < first + count; ++o) f(static_cast<int>(o));
    });
  }
};

}  // namespace flamingo::kernels
