/// y = x wᵀ for a few rows of x and a matrix in panels, as a step of decoding asks: every panel is read once, widened
/// in registers and multiplied with all rows, so memory alone says how long it takes.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include <flamingo/kernels/cpu/bf16_pairs.hpp>
#include <flamingo/kernels/cpu/gemm.hpp>
#include <flamingo/kernels/cpu/int8_pairs.hpp>
#include <flamingo/kernels/cpu/panels.hpp>

namespace flamingo::kernels {
namespace detail {
/// How a panel's columns are read for a step.
template <Isa Set, class Step, Format F, int n, int parts>
struct ColumnsOf {
  using type = PanelColumns<Set, F, n, parts>;
};
#ifdef __AVX512BF16__
template <Isa Set, Format F, int n, int parts>
struct ColumnsOf<Set, PairProducts<Set>, F, n, parts> {
  using type = PairColumns<Set, n>;
};
#endif
#ifdef FLAMINGO_INT8_PAIRS
template <Isa Set, Format F, int n, int parts>
struct ColumnsOf<Set, IntegerPairs<Set>, F, n, parts> {
  using type = IntegerColumns<Set, n, parts>;
};
#endif
}  // namespace detail

/// The bits are Gemm's: a chain over each block of kc columns, then the sum of the blocks, then scale and bias. Where a
/// step takes two numbers, a column is two of them, x is pairs, and w is of the step's format.
template <Isa Set, class Step = MultiplyAdd<float, Set>>
struct FewRows {
  using G = Gemm<float, Set, Step>;
  static constexpr int most = 8;

  struct Operands {
    const float* x;
    std::size_t x_row;
    float* y;
    std::size_t y_row;
    int rows;  ///< 1 .. most
  };

  template <class W>
  static void run(Threads& threads, const W& w, const Operands& all, const typename G::Finish& finish) {
    const int panels = (w.rows + panel_rows - 1) / panel_rows, tasks = std::min(panels, 4 * threads.count());
    const auto multiply_all = [&]<Format F>() {
      threads.run(tasks, [&](int task) {
        const auto part = [&](int t) { return static_cast<int>(std::int64_t{panels} * t / tasks) * panel_rows; };
        for (int first = part(task); first < part(task + 1); first += panel_rows) {
          Operands some = all;
          some.y += first;
          alignas(64) float ends[std::size_t{2} * panel_rows];
          const int count = std::min(panel_rows, w.rows - first);
          if (finish) finish.template read<panel_rows>(first, count, ends);
          multiply<F>(w.data + static_cast<std::size_t>(first) * w.row_bytes(), w.columns / Step::numbers, some, count,
                      finish ? ends : nullptr);
        }
      });
    };
    if constexpr (Step::numbers == 2)
      multiply_all.template operator()<Step::format>();
    else
      with_format(w.format, multiply_all);
  }

 private:
  static constexpr int n = vector_lanes<float, Set>;
  using N = Neighbours<Set, n>;
  using V = typename N::template Vector<float>;
  using Row = float[panel_rows];

  template <Format F, int parts>
  using ColumnsOf = typename detail::ColumnsOf<Set, Step, F, n, parts>::type;

  /// Rows of x that are multiplied at a time.
  static constexpr int tall = 4;
  static constexpr int registers = has_32_registers(Set) ? 32 : 16;
  /// Vectors of a panel that are summed at a time: as many as registers hold with the sums of all rows, and some of
  /// what turns 4 or 16 bits into numbers.
  template <Format F>
  static constexpr int parts(int rows) {
    constexpr int shared = F == Format::bf16 || F == Format::q4_0 || F == Format::q4_1 ? 1 : 0;
    int parts = panel_rows / n;
    while (parts > 1 && (rows + shared) * parts + std::min(rows, parts) + 1 > registers) parts /= 2;
    return parts;
  }
  /// y (rows, count) = x wᵀ, w the rows of one panel.
  template <Format F>
  static void multiply(const std::byte* panel, int columns, const Operands& all, int count, const float* ends) {
    constexpr std::size_t column =
        static_cast<std::size_t>(panel_rows * size_of(F).bytes) / size_of(F).numbers * Step::numbers;
    alignas(64) Row sums[most], total[most];
    // Part of a panel stays in the first-level cache while all rows pass by.
    const int chunk = parts<F>(all.rows) * n == panel_rows ? G::kc : 64;
    for (int k0 = 0; k0 < columns; k0 += G::kc) {
      const int k1 = std::min(columns, k0 + G::kc);
      std::fill_n(sums[0], all.rows * panel_rows, 0.0f);
      for (int k = k0; k < k1; k += chunk) {
        // Meanwhile memory is asked for what comes two thousand bytes later, evenly.
        const std::byte* next = panel + static_cast<std::size_t>(k) * column + 2048;
        for (int r = 0, rows = 0; r < all.rows; r += rows) {
          rows = all.rows <= tall ? all.rows : r == 0 ? (all.rows + 1) / 2 : all.rows / 2;
          const std::size_t step = column * static_cast<std::size_t>(rows) / static_cast<std::size_t>(all.rows);
          add<F>(rows, all.x + static_cast<std::size_t>(r) * all.x_row + k, all.x_row, panel, k,
                 std::min(chunk, k1 - k), next, step, sums + r);
          next += step * static_cast<std::size_t>(chunk);
        }
      }
      for (int r = 0; r < all.rows; ++r)
        for (int v = 0; v < panel_rows; v += n)
          N::store(total[r] + v,
                   k0 ? load(total[r] + v) + Step::ended(sum_at(sums[r] + v)) : Step::ended(sum_at(sums[r] + v)));
    }
    for (int r = 0; r < all.rows; ++r) {
      if constexpr (ColumnsOf<F, 2>::alternate) in_order<ColumnsOf<F, 2>>(total[r]);
      for (int v = 0; ends && v < panel_rows; v += n)
        N::store(total[r] + v, load(total[r] + v) * load(ends + v) + load(ends + panel_rows + v));
      std::copy_n(total[r], count, all.y + static_cast<std::size_t>(r) * all.y_row);
    }
  }
  static V load(const float* from) { return N::template load<float>(from); }
  /// A sum whose bits stand in a float's place.
  static typename Step::Sum sum_at(const float* from) {
    typename Step::Sum sum;
    std::memcpy(&sum, from, sizeof(sum));
    return sum;
  }
  /// Sums of 2 n rows each that stand elsewhere (PanelColumns::alternate) in the rows' order.
  template <class Columns>
  static void in_order(float* sums) {
    for (int v = 0; v < panel_rows; v += 2 * n) {
      float rows[std::size_t{2 * n}];
      for (int i = 0; i < 2 * n; ++i) rows[i] = sums[v + Columns::place_of(i)];
      std::copy_n(rows, 2 * n, sums + v);
    }
  }

  /// sums[r] += x[r][k ..] times some columns of a panel, for 1 .. tall rows.
  template <Format F, int Rows = tall>
  static void add(int rows, const float* x, std::size_t x_row, const std::byte* panel, int k, int kn,
                  const std::byte* next, std::size_t step, Row* sums) {
    if constexpr (Rows > 0) {
      constexpr int wide = parts<F>(Rows), passes = panel_rows / n / wide;
      if (rows < Rows) return add<F, Rows - 1>(rows, x, x_row, panel, k, kn, next, step, sums);
      for (int j = 0; j < panel_rows; j += wide * n, next += step * static_cast<std::size_t>(kn) / passes)
        tile<F, Rows>(std::make_integer_sequence<int, Rows * wide>{}, x, x_row, panel, j, k, kn, next, step / passes,
                      sums);
    }
  }
  /// One of its tiles: sum c is row c % rows and vector c / rows. Their chains stay in registers.
  template <Format F, int rows, int... c>
  static void tile(std::integer_sequence<int, c...>, const float* x, std::size_t x_row, const std::byte* panel, int j,
                   int k, int kn, const std::byte* next, std::size_t step, Row* sums) {
    using Columns = ColumnsOf<F, sizeof...(c) / rows>;
    // Two columns at a time save instructions where registers are left.
    constexpr bool in_twos = !Columns::in_blocks && 2 * sizeof...(c) <= registers;
    // Bytes of a column in a panel's part.
    constexpr int column = n * int{sizeof...(c)} / rows * size_of(F).bytes / size_of(F).numbers * Step::numbers;
    typename Step::Sum chain[] = {sum_at(sums[c % rows] + j + c / rows * n)...};
    for (const int end = k + kn; k < end;) {
      const int some = Columns::together(k, end - k);
      const auto shared = Columns::shared(panel, k, j);
      const std::byte* from = Columns::column(panel, k, j);
      const auto ask = [&](int count) {
        if constexpr (F != Format::f32 || rows > 1)  // else the processor asks for them itself
          for (int line = 0; line < (count * column + 63) / 64; ++line) __builtin_prefetch(next + line * 64);
      };
      int i = 0;
      for (; in_twos && i + 2 <= some; i += 2, from += 2 * Columns::step, next += 2 * step, x += 2) {
        ask(2);
        (add_product<Columns, rows, c>(chain[c], x, x_row, shared, from), ...);
        (add_product<Columns, rows, c>(chain[c], x + 1, x_row, shared, from + Columns::step), ...);
      }
      for (; i < some; ++i, from += Columns::step, next += step, ++x) {
        ask(1);
        (add_product<Columns, rows, c>(chain[c], x, x_row, shared, from), ...);
      }
      k += some;
    }
    (std::memcpy(sums[c % rows] + j + c / rows * n, &chain[c], sizeof(chain[c])), ...);
  }
  template <class Columns, int rows, int c>
  [[gnu::always_inline]] static void add_product(typename Step::Sum& sum, const float* x, std::size_t x_row,
                                                 const typename Columns::Shared& shared, const std::byte* from) {
    sum = Step::add(sum, x[static_cast<std::size_t>(c % rows) * x_row],
                    Columns::template in_any_order<c / rows>(shared, from));
  }
};

}  // namespace flamingo::kernels
