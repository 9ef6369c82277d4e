/// Loops over numbers a register at a time, and elementary functions of whole registers: exp, tanh, erf and the
/// logistic function, without a table or a branch, so that a number's result depends on that number alone.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include <flamingo/core/platform.hpp>

namespace flamingo::kernels {

/// Numbers of type T in a register.
template <class T, Isa Set>
inline constexpr int vector_lanes = (is_avx512(Set)     ? 64
                                     : Set == Isa::avx2 ? 32
                                                        : 16) /
                                    static_cast<int>(sizeof(T));

namespace detail {

/// Coefficients, lowest power first, fitted to the functions for the smallest largest relative error: exp's to
/// (eʳ - 1 - r) / r² on |r| <= ln 2 / 2 (2⁻²⁸ of eʳ in float, 2⁻⁶⁴ in double), the others' to f(x) / x = p(x²) / q(x²)
/// up to the number from which on f rounds to 1 (below 2⁻²⁵, 2⁻⁵⁴). All are positive: no sum cancels.
template <class T>
struct Fitted;
template <>
struct Fitted<float> {
  using Integer = std::int32_t;
  static constexpr int mantissa = 23, bias = 127;
  static constexpr float ln2_high = 0x1.63p-1f, ln2_low = -2.12194440054690583e-4f;  // high times an exponent is exact
  static constexpr float lowest = -105, highest = 89;  // beyond them eˣ is 0 and infinity
  static constexpr std::array exp{0.49999993441280557f, 0.16666520569662255f, 0.041668389369369291f,
                                  0.0083687226474819967f, 0.0013814534597153704f};
  static constexpr float tanh_one = 9.02f, erf_one = 3.92f;
  static constexpr std::array tanh_p{0.99999997897457052f, 0.13379663031737236f, 0.0034939700707108895f,
                                     2.0582453803741707e-5f, 1.3317720920382079e-8f};
  static constexpr std::array tanh_q{1.f, 0.46712978244739075f, 0.025870825927878335f, 3.2829887707825815e-4f,
                                     7.7614506356421756e-7f};
  static constexpr std::array erf_p{1.1283791461693292f,    0.1904012420334636f,    0.052748032156393603f,
                                    0.0037653957459694921f, 2.8487829882190128e-4f, 2.0501329121079897e-6f};
  static constexpr std::array erf_q{1.f,
                                    0.50207144895071618f,
                                    0.11410695309491153f,
                                    0.014968769380077306f,
                                    0.0011624831169944977f,
                                    3.8091959894318900e-5f};
};
template <>
struct Fitted<double> {
  using Integer = std::int64_t;
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr double ln2_high = 0x1.62e4p-1, ln2_low = 1.42860682030941723e-6;
  static constexpr double lowest = -746, highest = 710;
  static constexpr std::array exp{0.5,
                                  0.16666666666666683424,
                                  0.041666666666666094098,
                                  0.0083333333333170318537,
                                  0.0013888888889115687485,
                                  0.00019841269896388812038,
                                  2.4801587086926548522654e-5,
                                  2.7557234857596794718e-6,
                                  2.7557581903193266024e-7,
                                  2.5112038170390057635e-8,
                                  2.0826613740593845046e-9};
  // π/2 as three numbers of 33 bits, each exact times a whole number below 2²⁰; (sin r / r - 1) / r² and
  // (cos r - 1 + r²/2) / r⁴ in powers of r², |r| <= π/4.
  static constexpr std::array right_angle{0x1.921fb544p+0, 0x1.0b4611a6p-34, 0x1.3198a2e0p-69};
  static constexpr std::array sine{-0.16666666666666666641,   0.0083333333333333228074,  -0.0001984126984125511617,
                                   2.7557319214217430722e-6,  -2.5052104918999119767e-8, 1.6058367612170689564e-10,
                                   -7.5787484319321951546e-13};
  static constexpr std::array cosine{0.041666666666666666615,   -0.0013888888888888874186, 2.4801587301571522621e-5,
                                     -2.7557319215387762567e-7, 2.0876754368919315054e-9,  -1.147029358608684791e-11,
                                     4.7381237043399582997e-14};
  static constexpr double tanh_one = 19.07, erf_one = 5.93;
  static constexpr std::array tanh_p{1.,
                                     0.15345653430684338554,
                                     0.0062242530698746406881,
                                     0.00010330151837126018524,
                                     8.3134568150512651884e-7,
                                     3.4792867156965856681e-9,
                                     7.6513045420565036379e-12,
                                     8.4636665972696633364e-15,
                                     4.1862482164348809114e-18,
                                     7.0585269692063209353e-22,
                                     1.7125051544259079453e-26};
  static constexpr std::array tanh_q{1.,
                                     0.48678986764017671654,
                                     0.035154208949933551541,
                                     0.00088430945124617819531,
                                     1.0083972595015708182e-5,
                                     5.8253344152908644752e-8,
                                     1.7706887945155531957e-10,
                                     2.7873344177252925936e-13,
                                     2.1058770022892484832e-16,
                                     6.3973598021239566013e-20,
                                     5.0051532455185858152e-24};
  static constexpr std::array erf_p{1.1283791670955125369,     0.22016947450466829942,    0.066121100133983968738,
                                    0.0068894148990268886124,  0.0008556499356788547609,  5.6942511779592479133e-5,
                                    3.9003773481234537954e-6,  1.6947911743262728363e-7,  6.7599257761754889989e-9,
                                    1.7198360740158800408e-10, 3.3366502221748335539e-12, 2.2269633254633661547e-14,
                                    1.5713798682492720946e-17};
  static constexpr std::array erf_q{1.,
                                    0.52845344980215237182,
                                    0.13474944921337874175,
                                    0.021986246884392933334,
                                    0.0025646994180331480471,
                                    0.00022609133173868683171,
                                    1.549839759103841426e-5,
                                    8.3501475140437446991e-7,
                                    3.5155403931473843586e-8,
                                    1.124588070207391988e-9,
                                    2.5495197322461947126e-11,
                                    3.3193206371937315906e-13,
                                    8.8513513019645718633e-16};
};

}  // namespace detail

/// Functions of n numbers of type T, each within a few units of the last place; NaN stays NaN. The instruction set is
/// part of the type, so that objects built for different ones share no function.
template <class T, Isa Set, int n = vector_lanes<T, Set>>
struct VectorMath {
  using Vector [[gnu::vector_size(static_cast<std::size_t>(n) * sizeof(T))]] = T;

  static constexpr int lanes = n;

  [[gnu::always_inline]] static Vector load(const T* from) {
    Vector v;
    std::memcpy(&v, from, sizeof(v));
    return v;
  }
  [[gnu::always_inline]] static void store(T* to, Vector v) { std::memcpy(to, &v, sizeof(v)); }
  /// Rows of a square become its columns: halves of pairs of rows change places, then quarters, ... : n log2(n)
  /// shuffles.
  template <int step = n / 2>
  [[gnu::always_inline]] static void transpose(Vector* rows) {
    if constexpr (step > 0) {
      for (int j = 0; j < n; ++j)
        if (!(j & step)) {
          const Vector a = rows[j], b = rows[j + step];
          [&]<int... i>(std::integer_sequence<int, i...>) {
            rows[j] = __builtin_shufflevector(a, b, (i & step ? n + i - step : i)...);
            rows[j + step] = __builtin_shufflevector(a, b, (i & step ? n + i : i + step)...);
          }(std::make_integer_sequence<int, n>{});
        }
      transpose<step / 2>(rows);
    }
  }
  [[gnu::always_inline]] static Vector all(T x) { return Vector{} + x; }
  [[gnu::always_inline]] static Vector max(Vector a, Vector b) { return a > b ? a : b; }
  [[gnu::always_inline]] static Vector min(Vector a, Vector b) { return a < b ? a : b; }

  /// The numbers [first, first + count) of a row, at most a register of them.
  struct Part {
    std::size_t first, count;

    /// Lanes beyond the last number are `rest`.
    [[gnu::always_inline]] Vector load(const T* row, T rest = 0) const {
      if (count == static_cast<std::size_t>(n)) return VectorMath::load(row + first);
      std::array<T, std::size_t{n}> some;
      some.fill(rest);
      std::copy_n(row + first, count, some.data());
      return VectorMath::load(some.data());
    }
    [[gnu::always_inline]] void store(T* row, Vector v) const {
      if (count == static_cast<std::size_t>(n)) return VectorMath::store(row + first, v);
      std::array<T, std::size_t{n}> some;
      VectorMath::store(some.data(), v);
      std::copy_n(some.data(), count, row + first);
    }
  };
  /// Calls f(Part) over 0 .. size. The last numbers go through the same instructions as all others: a number's bits do
  /// not depend on where it lies.
  template <class F>
  [[gnu::always_inline]] static void each(std::size_t size, const F& f) {
    for (std::size_t i = 0; i < size; i += n) f(Part{i, std::min<std::size_t>(n, size - i)});
  }
  /// The same along a row from its beginning, where a column is in the same register of every row, so that the last
  /// ones may have instructions of their own: no question is asked of whole registers.
  template <class F>
  [[gnu::always_inline]] static void along(std::size_t size, const F& f) {
    constexpr std::size_t lanes_ = n;
    std::size_t i = 0;
    for (; i + lanes_ <= size; i += lanes_) f(Part{i, lanes_});
    if (i < size) f(Part{i, size - i});
  }
  /// Σ of the lanes of f(Part) over 0 .. size, in an order that depends on size alone. f says what lanes beyond the
  /// last number add.
  template <class F>
  [[gnu::always_inline]] static T sum(std::size_t size, const F& f) {
    constexpr std::size_t chains = 4, lanes_ = n;
    Vector sums[chains] = {};
    std::size_t i = 0;
    for (; i + chains * lanes_ <= size; i += chains * lanes_)
      for (std::size_t c = 0; c < chains; ++c) sums[c] += f(Part{i + c * lanes_, lanes_});
    for (std::size_t c = 0; i < size; i += lanes_, ++c) sums[c] += f(Part{i, std::min(lanes_, size - i)});
    return total((sums[0] + sums[1]) + (sums[2] + sums[3]));
  }
  /// Σ of all lanes, halves added until one is left.
  [[gnu::always_inline]] static T total(Vector v) {
    std::array<T, std::size_t{n}> some;
    store(some.data(), v);
    for (int half = n / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) some[static_cast<std::size_t>(i)] += some[static_cast<std::size_t>(i + half)];
    return some[0];
  }

  /// eˣ: 0 at -∞, subnormal where it is.
  [[gnu::always_inline]] static Vector exp(Vector x) {
    x = x < F::lowest ? all(F::lowest) : x;
    x = x > F::highest ? all(F::highest) : x;
    // eˣ = 2^k eʳ, 2^k in two factors, each of which a number can hold.
    constexpr T log2_e = T(1.4426950408889634074);
    const Vector halved = x * (log2_e / 2) + rounding, rounded = x * log2_e + rounding;
    const Vector k = rounded - rounding;
    const Vector r = (x - k * F::ln2_high) - k * F::ln2_low;
    const Vector e = polynomial(F::exp, r) * (r * r) + r + T(1);
    return e * power_of_2(bits(halved)) * power_of_2(bits(rounded) - bits(halved));
  }
  [[gnu::always_inline]] static Vector tanh(Vector x) { return odd(x, F::tanh_one, F::tanh_p, F::tanh_q); }
  [[gnu::always_inline]] static Vector erf(Vector x) { return odd(x, F::erf_one, F::erf_p, F::erf_q); }
  /// 1 / (1 + e⁻ˣ)
  [[gnu::always_inline]] static Vector logistic(Vector x) {
    const Vector e = exp(x < T(0) ? x : -x);  // at most 1
    return (x < T(0) ? e : all(T(1))) / (e + T(1));
  }
  /// Both in double, for |x| < 2²⁰.
  [[gnu::always_inline]] static void sine_and_cosine(const Vector& x, Vector& sine, Vector& cosine)
    requires(sizeof(T) == 8)
  {
    // x = r + k π/2: a quarter turn exchanges the two, and the second bit of k says which of them changes its sign.
    const Vector rounded = x * T(0.63661977236758134308) + rounding, k = rounded - rounding;
    const Vector r = ((x - k * F::right_angle[0]) - k * F::right_angle[1]) - k * F::right_angle[2], square = r * r;
    const Vector s = polynomial(F::sine, square) * (square * r) + r,
                 c = polynomial(F::cosine, square) * (square * square) + (square * T(-0.5) + T(1));
    const Integers quarter = bits(rounded);
    sine = (quarter & 1) != 0 ? c : s;
    cosine = (quarter & 1) != 0 ? s : c;
    sine = (quarter & 2) != 0 ? -sine : sine;
    cosine = ((quarter + 1) & 2) != 0 ? -cosine : cosine;
  }

 private:
  using F = detail::Fitted<T>;
  /// A sum with it is rounded to a whole number, which its lowest bits then are.
  static constexpr T rounding = T(3) * T(std::uint64_t{1} << (F::mantissa - 1));
  using Integer = typename F::Integer;
  using Integers [[gnu::vector_size(static_cast<std::size_t>(n) * sizeof(T))]] = Integer;

  [[gnu::always_inline]] static Integers bits(Vector x) {
    Integers i;
    std::memcpy(&i, &x, sizeof(i));
    return i;
  }
  [[gnu::always_inline]] static Vector numbers(Integers i) {
    Vector x;
    std::memcpy(&x, &i, sizeof(x));
    return x;
  }
  /// 2^k of the lowest bits of k: what lies above them is shifted out.
  [[gnu::always_inline]] static Vector power_of_2(Integers k) { return numbers((k + Integer{F::bias}) << F::mantissa); }
  template <std::size_t count>
  [[gnu::always_inline]] static Vector polynomial(const std::array<T, count>& c, Vector x) {
    Vector sum = all(c[count - 1]);
    for (std::size_t i = count - 1; i-- > 0;) sum = sum * x + c[i];
    return sum;
  }
  /// x p(x²) / q(x²) up to |x| = one, ±1 from there on.
  template <std::size_t count>
  [[gnu::always_inline]] static Vector odd(Vector x, T one, const std::array<T, count>& p,
                                           const std::array<T, count>& q) {
    const Vector low = x < -one ? all(-one) : x, inside = low > one ? all(one) : low, square = inside * inside;
    const Vector f = inside * polynomial(p, square) / polynomial(q, square);
    return x >= one ? all(T(1)) : x <= -one ? all(T(-1)) : f;
  }
};

}  // namespace flamingo::kernels
