/// Non-linearities on the CPU, as Eigen expressions.
#pragma once
#include <numbers>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/ops/activation.hpp>

namespace flamingo::kernels {

namespace detail {

template <class T>
inline constexpr T gelu_slope = T(0.79788456080286535588);  // √(2/π)
template <class T>
inline constexpr T gelu_cubic = T(0.044715);

/// f(z), as an expression of the array z.
template <Activation A, class Z>
auto value(const Z& z) {
  using T = typename Z::Scalar;
  if constexpr (A == Activation::identity)
    return z + T(0);
  else if constexpr (A == Activation::gelu)
    return T(0.5) * z * (T(1) + (z * (T(1) / std::numbers::sqrt2_v<T>)).erf());
  else if constexpr (A == Activation::gelu_tanh)
    return T(0.5) * z * (T(1) + (gelu_slope<T> * (z + gelu_cubic<T> * z * z * z)).tanh());
  else if constexpr (A == Activation::quick_gelu)
    return z / (T(1) + (z * T(-1.702)).exp());
  else if constexpr (A == Activation::silu)
    return z / (T(1) + (-z).exp());
  else if constexpr (A == Activation::relu)
    return z.max(T(0));
  else if constexpr (A == Activation::relu6)
    return z.max(T(0)).min(T(6));
  else
    return z.max(T(0)).square();
}

/// f'(z)
template <Activation A, class Z>
auto slope(const Z& z) {
  using T = typename Z::Scalar;
  if constexpr (A == Activation::identity) {
    return z * T(0) + T(1);
  } else if constexpr (A == Activation::gelu) {
    constexpr T density = std::numbers::inv_sqrtpi_v<T> / std::numbers::sqrt2_v<T>;  // 1/√(2π)
    return T(0.5) * (T(1) + (z * (T(1) / std::numbers::sqrt2_v<T>)).erf()) + z * density * (T(-0.5) * z.square()).exp();
  } else if constexpr (A == Activation::gelu_tanh) {
    // With t = tanh(a): f' = (1 + t)/2 + z (1 - t²) a' / 2. Written with t computed afresh where it stands.
    const auto t = [&] { return (gelu_slope<T> * (z + gelu_cubic<T> * z * z * z)).tanh(); };
    return T(0.5) * (T(1) + t()) +
           T(0.5) * z * (T(1) - t().square()) * gelu_slope<T> * (T(1) + T(3) * gelu_cubic<T> * z.square());
  } else if constexpr (A == Activation::quick_gelu) {
    const auto s = [&] { return T(1) / (T(1) + (z * T(-1.702)).exp()); };
    return s() * (T(1) + T(1.702) * z * (T(1) - s()));
  } else if constexpr (A == Activation::silu) {
    const auto s = [&] { return T(1) / (T(1) + (-z).exp()); };
    return s() * (T(1) + z * (T(1) - s()));
  } else if constexpr (A == Activation::relu) {
    return (z > T(0)).template cast<T>();
  } else if constexpr (A == Activation::relu6) {
    return (z > T(0)).template cast<T>() * (z < T(6)).template cast<T>();
  } else {
    return T(2) * z.max(T(0));
  }
}

}  // namespace detail

template <Real R, Isa Set>
struct Activate<Cpu<R, Set>> {
  using P = Cpu<R, Set>;

  template <Activation A>
  static void forward(Context<P>& ctx, In<P> x, Out<P> y) {
    each_chunk(ctx, x.size(), [&](std::size_t at, std::size_t n) {
      const Chunk z(x.data + at, n);
      Chunk f;
      value<A>(z, f);
      f.write(y.data + at, n);
    });
  }
  template <Activation A>
  static void backward(Context<P>& ctx, In<P> x, In<P> dy, Out<P> dx) {
    each_chunk(ctx, x.size(), [&](std::size_t at, std::size_t n) {
      const Chunk z(x.data + at, n), g(dy.data + at, n);
      Chunk f;
      slope<A>(z, f);
      f.numbers *= g.numbers;
      f.write(dx.data + at, n);
    });
  }
  template <Activation A>
  static void scaled(Context<P>& ctx, double scale, In<P> x, Out<P> y) {
    each_chunk(ctx, x.size(), [&](std::size_t at, std::size_t n) {
      const Chunk z(x.data + at, n);
      Chunk f;
      value<A>(z, f);
      f.numbers *= R(scale);
      f.write(y.data + at, n);
    });
  }
  template <Activation A>
  static void scaled_backward(Context<P>& ctx, double scale, In<P> x, In<P> dy, Out<P> dx) {
    each_chunk(ctx, x.size(), [&](std::size_t at, std::size_t n) {
      const Chunk z(x.data + at, n), g(dy.data + at, n);
      Chunk f;
      slope<A>(z, f);
      f.numbers *= R(scale) * g.numbers;
      f.write(dx.data + at, n);
    });
  }
  static void clamp(Context<P>& ctx, float limit, Out<P> x) {
    each_chunk(ctx, x.size(), [&](std::size_t at, std::size_t n) {
      Chunk z(x.data + at, n);
      z.numbers = z.numbers.max(R(-limit)).min(R(limit));
      z.write(x.data + at, n);
    });
  }
  static void clamp_backward(Context<P>& ctx, float limit, In<P> x, Out<P> dx) {
    each_chunk(ctx, x.size(), [&](std::size_t at, std::size_t n) {
      const Chunk z(x.data + at, n);
      Chunk g(dx.data + at, n);
      g.numbers = (z.numbers.abs() < R(limit)).select(g.numbers, R(0));
      g.write(dx.data + at, n);
    });
  }
  template <Activation A>
  static void gated(Context<P>& ctx, In<P> gate, In<P> up, Out<P> y) {
    each_chunk(ctx, gate.size(), [&](std::size_t at, std::size_t n) {
      const Chunk z(gate.data + at, n), u(up.data + at, n);
      Chunk f;
      value<A>(z, f);
      f.numbers *= u.numbers;
      f.write(y.data + at, n);
    });
  }
  template <Activation A>
  static void gated_backward(Context<P>& ctx, In<P> gate, In<P> up, In<P> dy, Out<P> dgate, Out<P> dup) {
    each_chunk(ctx, gate.size(), [&](std::size_t at, std::size_t n) {
      const Chunk z(gate.data + at, n), g(dy.data + at, n), u(up.data + at, n);
      Chunk f;
      slope<A>(z, f);
      f.numbers *= g.numbers * u.numbers;
      f.write(dgate.data + at, n);
      value<A>(z, f);
      f.numbers *= g.numbers;
      f.write(dup.data + at, n);
    });
  }

 private:
  using Chunk = kernels::Chunk<R>;

  template <Activation A>
  static void value(const Chunk& z, Chunk& f) {
    f.numbers = detail::value<A>(z.numbers);
  }
  template <Activation A>
  static void slope(const Chunk& z, Chunk& f) {
    f.numbers = detail::slope<A>(z.numbers);
  }

  template <class F>
  static void each_chunk(Context<P>& ctx, std::size_t size, const F& f) {
    parallel_pieces(ctx.threads(), size, 8192, [&](std::size_t first, std::size_t count) {
      kernels::each_chunk(count, [&](std::size_t at, std::size_t n) { f(first + at, n); });
    });
  }
};

}  // namespace flamingo::kernels
