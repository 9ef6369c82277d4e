/// Non-linearities on the CPU, a register at a time.
#pragma once
#include <numbers>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/kernels/cpu/vector_math.hpp>
#include <flamingo/ops/activation.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Activate<Cpu<R, Set>> {
  using P = Cpu<R, Set>;
  using M = VectorMath<R, Set>;
  using V = typename M::Vector;
  using Part = typename M::Part;

  template <Activation A>
  static void forward(Context<P>& ctx, In<P> x, Out<P> y) {
    each(ctx, x.size(), [&](Part i) { i.store(y.data, value<A>(i.load(x.data))); });
  }
  template <Activation A>
  static void backward(Context<P>& ctx, In<P> x, In<P> dy, Out<P> dx) {
    each(ctx, x.size(), [&](Part i) { i.store(dx.data, slope<A>(i.load(x.data)) * i.load(dy.data)); });
  }
  template <Activation A>
  static void scaled(Context<P>& ctx, double scale, In<P> x, Out<P> y) {
    each(ctx, x.size(), [&](Part i) { i.store(y.data, value<A>(i.load(x.data)) * R(scale)); });
  }
  template <Activation A>
  static void scaled_backward(Context<P>& ctx, double scale, In<P> x, In<P> dy, Out<P> dx) {
    each(ctx, x.size(), [&](Part i) { i.store(dx.data, slope<A>(i.load(x.data)) * (i.load(dy.data) * R(scale))); });
  }
  static void clamp(Context<P>& ctx, float limit, Out<P> x) {
    const V high = M::all(R(limit));
    each(ctx, x.size(), [&](Part i) { i.store(x.data, M::min(M::max(i.load(x.data), -high), high)); });
  }
  static void clamp_backward(Context<P>& ctx, float limit, In<P> x, Out<P> dx) {
    each(ctx, x.size(), [&](Part i) {
      const V z = i.load(x.data);
      i.store(dx.data, M::max(z, -z) < R(limit) ? i.load(dx.data) : V{});
    });
  }
  template <Activation A>
  static void gated(Context<P>& ctx, In<P> gate, In<P> up, Out<P> y) {
    each(ctx, gate.size(), [&](Part i) { i.store(y.data, value<A>(i.load(gate.data)) * i.load(up.data)); });
  }
  template <Activation A>
  static void gated_backward(Context<P>& ctx, In<P> gate, In<P> up, In<P> dy, Out<P> dgate, Out<P> dup) {
    each(ctx, gate.size(), [&](Part i) {
      const V z = i.load(gate.data), u = i.load(up.data), g = i.load(dy.data);
      i.store(dgate.data, slope<A>(z) * (g * u));
      i.store(dup.data, value<A>(z) * g);
    });
  }

 private:
  static constexpr R gelu_slope = R(0.79788456080286535588);  // √(2/π)
  static constexpr R gelu_cubic = R(0.044715), quick = R(1.702);

  /// f(z)
  template <Activation A>
  [[gnu::always_inline]] static V value(V z) {
    if constexpr (A == Activation::identity)
      return z;
    else if constexpr (A == Activation::gelu)
      return z * distribution(z);
    else if constexpr (A == Activation::gelu_tanh)
      return R(0.5) * z * (R(1) + bent(z));
    else if constexpr (A == Activation::quick_gelu)
      return z / (R(1) + M::exp(-quick * z));
    else if constexpr (A == Activation::silu)
      return z / (R(1) + M::exp(-z));
    else if constexpr (A == Activation::relu)
      return positive(z);
    else if constexpr (A == Activation::relu6)
      return M::min(positive(z), M::all(R(6)));
    else
      return positive(z) * positive(z);
  }

  /// f'(z)
  template <Activation A>
  [[gnu::always_inline]] static V slope(V z) {
    if constexpr (A == Activation::identity) {
      return M::all(R(1));
    } else if constexpr (A == Activation::gelu) {
      constexpr R density = std::numbers::inv_sqrtpi_v<R> / std::numbers::sqrt2_v<R>;  // 1/√(2π)
      return distribution(z) + z * (density * M::exp(R(-0.5) * z * z));
    } else if constexpr (A == Activation::gelu_tanh) {  // with t = tanh(a): (1 + t)/2 + z (1 - t²) a' / 2
      const V t = bent(z);
      return R(0.5) * (R(1) + t) + R(0.5) * z * (R(1) - t * t) * (gelu_slope * (R(1) + R(3) * gelu_cubic * (z * z)));
    } else if constexpr (A == Activation::quick_gelu) {
      const V s = R(1) / (R(1) + M::exp(-quick * z));
      return s * (R(1) + quick * z * (R(1) - s));
    } else if constexpr (A == Activation::silu) {
      const V s = R(1) / (R(1) + M::exp(-z));
      return s * (R(1) + z * (R(1) - s));
    } else if constexpr (A == Activation::relu) {
      return z > R(0) ? M::all(R(1)) : V{};
    } else if constexpr (A == Activation::relu6) {
      return ((z > R(0)) & (z < R(6))) ? M::all(R(1)) : V{};
    } else {
      return R(2) * positive(z);
    }
  }

  [[gnu::always_inline]] static V positive(V z) { return z < R(0) ? V{} : z; }
  /// Of the standard normal distribution: (1 + erf(z/√2)) / 2.
  [[gnu::always_inline]] static V distribution(V z) {
    return R(0.5) * (R(1) + M::erf(z * (R(1) / std::numbers::sqrt2_v<R>)));
  }
  [[gnu::always_inline]] static V bent(V z) { return M::tanh(gelu_slope * (z + gelu_cubic * z * z * z)); }

  template <class F>
  static void each(Context<P>& ctx, std::size_t size, const F& f) {
    parallel_pieces(ctx.threads(), size, 8192, [&](std::size_t first, std::size_t count) {
      M::each(count, [&](Part i) { f(Part{first + i.first, i.count}); });
    });
  }
};

}  // namespace flamingo::kernels
