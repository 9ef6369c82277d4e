/// What attention on the CPU does in registers: products of a few rows, each number of them one chain; keys turned into
/// columns; a step of the softmax.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/kernels/cpu/panels.hpp>
#include <flamingo/kernels/cpu/vector_math.hpp>

namespace flamingo::kernels {

/// The instruction set is part of the type, so that objects built for different ones share no function.
template <class R, Isa Set>
struct AttentionTile {
  using Math = VectorMath<R, Set>;
  using V = typename Math::Vector;
  static constexpr int lanes = Math::lanes;
  static constexpr int nr = 2 * lanes;                       ///< columns come in twos of vectors
  static constexpr int mr = has_32_registers(Set) ? 12 : 6;  ///< rows, as in a product (Tile)
  static constexpr int block = 128;                          ///< keys between two steps of the softmax
  static constexpr int score_row = block + lanes;  ///< distance of rows of scores: a tile's lie in several banks
  static constexpr R infinity = std::numeric_limits<R>::infinity();
  static constexpr R smallest = sizeof(R) == 4 ? R(-87) : R(-708);  ///< whose exponential is a normal number
  static_assert(block % nr == 0);

  static constexpr int whole(int n, int step = nr) { return (n + step - 1) / step * step; }
  static constexpr int side_by_side = whole(mr, lanes);

  /// Numbers of keys and values, which a cache may hold in bfloat16.
  [[gnu::always_inline]] static V load(const R* from) { return Math::load(from); }
  [[gnu::always_inline]] static V load(const bfloat16* from) {
    return __builtin_convertvector(Neighbours<Set, lanes>::bf16(reinterpret_cast<const std::byte*>(from)), V);
  }
  static R number(R x) { return x; }
  static R number(bfloat16 x) { return static_cast<R>(static_cast<float>(x)); }

  /// `count` numbers of this thread; their place depends on `slot` alone, and grows to the most that was asked for.
  template <int slot>
  static R* memory(int count) {
    static thread_local Line<R> numbers;
    if (numbers.size() < count) numbers.resize(count);
    return numbers.data();
  }

  /// use(row, column, vector of chains Σ a[row * a_row + k * a_step] * right(k)[column ..]), k = 0 .. steps - 1.
  template <int rows, int vectors, int a_row, int a_step, class Right, class Use>
  [[gnu::always_inline]] static void chains(int steps, const R* a, int column, const Right& right, const Use& use) {
    [&]<int... i>(std::integer_sequence<int, i...>) {
      V sums[std::size_t{rows * vectors}] = {};
      const R* left = a;  // in a register: what is captured lies in memory
      for (int k = 0; k < steps; ++k, left += a_step) {
        const auto* b = right(k) + column;
        ((sums[i] += left[i / vectors * a_row] * load(b + i % vectors * lanes)), ...);
      }
      (use(i / vectors, column + i % vectors * lanes, sums[i]), ...);
    }(std::make_integer_sequence<int, rows * vectors>{});
  }
  /// The same for columns 0 .. columns - 1 and 1 .. mr rows. `columns` is a multiple of nr. More rows may be read, and
  /// are dropped: few numbers of rows have code of their own.
  template <int a_row, int a_step, int most = mr, class Right, class Use>
  static void product(int rows, int columns, int steps, const R* a, const Right& right, const Use& use) {
    constexpr int fewer = most > 3 ? most / 2 : most - 1;
    if constexpr (fewer > 0) {
      if (rows <= fewer) return product<a_row, a_step, fewer>(rows, columns, steps, a, right, use);
    }
    const auto use_some = [&](int row, int column, V sum) {
      if (row < rows) use(row, column, sum);
    };
    // Enough chains to hide the latency of a multiply-add.
    int n = 0;
    const auto as_wide = [&]<int wide>() {
      for (; n + wide * lanes <= columns; n += wide * lanes)
        chains<most, wide, a_row, a_step>(steps, a, n, right, use_some);
    };
    if constexpr (most == 1) as_wide.template operator()<8>();
    if constexpr (most <= 2) as_wide.template operator()<4>();
    as_wide.template operator()<2>();
  }

  /// The first `count` lanes of `sum`, at most all, are added to numbers.
  static void add(V sum, R* to, int count) {
    if (count >= lanes) return Math::store(to, Math::load(to) + sum);
    for (int j = 0; j < count; ++j) to[j] += sum[j];
  }

  /// to[k * stride + j] = row(j)[k] for k < K, j < count. Columns up to the next multiple of `lanes` repeat the last.
  template <class Row>
  static void transpose(const Row& row, int count, int K, R* to, int stride) {
    each_rows(row, count, [&](int j, const auto& rows) {
      each_column(rows, K, [&](int k, V column) { Math::store(to + k * stride + j, column); });
    });
  }
  /// to[j] = Σ a[k * a_step] row(j)[k], as product() of a row with these columns, which are in registers alone.
  template <int a_step, class Row>
  static void product_with_rows(const Row& row, int count, int K, const R* a, R* to) {
    each_rows(row, count, [&](int j, const auto& rows) {
      V sum{};
      each_column(rows, K, [&](int k, V column) { sum += a[k * a_step] * column; });
      Math::store(to + j, sum);
    });
  }

  /// Rows of (count, K) as a product reads them: mr rows side by side, feature after feature. Row i is at
  /// beside(i, K).
  template <class Row>
  static void set_side_by_side(const Row& row, int count, int K, R* to) {
    for (int i = 0; i < count; i += mr)
      transpose([&](int j) { return row(i + j); }, std::min(mr, count - i), K, to + beside(i, K), side_by_side);
  }
  static constexpr int beside(int i, int K) { return i / mr * side_by_side * K + i % mr; }

  /// Where the softmax of a row stands: its maximum so far, and in lanes the sum of its weights.
  /// `scores` (columns, a multiple of nr) become weights; returns what weighed values have to be multiplied with.
  static R softmax_step(R* scores, int columns, R& maximum, R* sum) {
    V high = Math::load(scores), higher = Math::load(scores + lanes);
    for (int j = nr; j < columns; j += nr) {
      const V a = Math::load(scores + j), b = Math::load(scores + j + lanes);
      high = a > high ? a : high;
      higher = b > higher ? b : higher;
    }
    high = higher > high ? higher : high;
    R most = maximum;
    for (int j = 0; j < lanes; ++j) most = std::max(most, high[j]);
    const R subtracted = most == -infinity ? R(0) : most;  // -∞ - -∞ is no number
    const R rescale = most == maximum ? R(1) : weight(V{} + (maximum - subtracted))[0];
    maximum = most;
    V total{};
    for (int j = 0; j < columns; j += lanes) {
      const V weights = weight(Math::load(scores + j) - subtracted);
      Math::store(scores + j, weights);
      total += weights;
    }
    Math::store(sum, Math::load(sum) * rescale + total);
    return rescale;
  }
  /// eˣ for x <= 0, or 0 where it is less than any normal number: half the instructions of exp for all x.
  [[gnu::always_inline]] static V weight(V x) {
    using F = detail::Fitted<R>;
    using Integers [[gnu::vector_size(sizeof(V))]] = typename F::Integer;
    constexpr R log2_e = R(1.4426950408889634074), round = R(3) * R(std::uint64_t{1} << (F::mantissa - 1));
    const V rounded = x * log2_e + round, k = rounded - round, r = (x - k * F::ln2_high) - k * F::ln2_low;
    V e = Math::all(F::exp.back());
    for (std::size_t i = F::exp.size() - 1; i-- > 0;) e = e * r + F::exp[i];
    e = (e * r + R(1)) * r + R(1);
    const Integers power = std::bit_cast<Integers>(rounded) << F::mantissa;
    return x < smallest ? V{} : std::bit_cast<V>(std::bit_cast<Integers>(e) + power);
  }
  static R sum_of_lanes(const R* sum) {
    R total = 0;
    for (int j = 0; j < lanes; ++j) total += sum[j];
    return total;
  }

 private:
  /// use(j, rows j .. j + lanes - 1), the last one as often as it takes.
  template <class Row, class Use>
  [[gnu::always_inline]] static void each_rows(const Row& row, int count, const Use& use) {
    for (int first = 0; first < count; first += lanes) {
      std::array<const std::remove_pointer_t<decltype(row(0))>*, std::size_t{lanes}> rows;
      for (int j = 0; j < lanes; ++j) rows[static_cast<std::size_t>(j)] = row(std::min(first + j, count - 1));
      use(first, rows);
    }
  }
  /// use(k, the numbers k of these rows), k = 0 .. K - 1.
  template <class T, class Use>
  [[gnu::always_inline]] static void each_column(const std::array<const T*, std::size_t{lanes}>& rows, int K,
                                                 const Use& use) {
    int k = 0;
    if constexpr (std::is_same_v<T, bfloat16> && sizeof(R) == 4) {  // two neighbours move as one number
      using Bits [[gnu::vector_size(sizeof(V))]] = typename detail::Fitted<R>::Integer;
      for (; k + 2 * lanes <= K; k += 2 * lanes) {
        V square[std::size_t{lanes}];
        for (int j = 0; j < lanes; ++j) std::memcpy(&square[j], rows[static_cast<std::size_t>(j)] + k, sizeof(V));
        Math::transpose(square);
        for (int j = 0; j < lanes; ++j) {
          const Bits pair = std::bit_cast<Bits>(square[j]);
          use(k + 2 * j, std::bit_cast<V>(pair << 16));
          use(k + 2 * j + 1, std::bit_cast<V>(pair & ~0xffff));
        }
      }
    }
    for (; k + lanes <= K; k += lanes) {
      V square[std::size_t{lanes}];
      for (int j = 0; j < lanes; ++j) square[j] = load(rows[static_cast<std::size_t>(j)] + k);
      Math::transpose(square);
      for (int j = 0; j < lanes; ++j) use(k + j, square[j]);
    }
    for (; k < K; ++k) {
      V column{};
      for (int j = 0; j < lanes; ++j) column[j] = number(rows[static_cast<std::size_t>(j)][k]);
      use(k, column);
    }
  }
};

}  // namespace flamingo::kernels
