/// The matrix product of the CPU: panels of B packed on the fly from any format, tiles of C held in registers.
///
/// Every number of C is one chain of fused multiply-adds over k in fixed blocks, whatever the other rows and however
/// many threads: a row's bits depend on that row and on B alone. Eigen's product does not promise this.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

#include <flamingo/kernels/cpu/context.hpp>
#include <flamingo/kernels/cpu/formats.hpp>

namespace flamingo::kernels {

/// Shape of the register tile: mr rows of A by two vectors of B.
template <class R, Isa Set>
struct Tile {
  static constexpr int vector_bytes = Set == Isa::avx512 ? 64 : Set == Isa::avx2 ? 32 : 16;
  static constexpr int lanes = vector_bytes / static_cast<int>(sizeof(R));
  static constexpr int nr = 2 * lanes;
  // Accumulators, two vectors of B and one broadcast must fit the register file: 32 registers with AVX-512 and NEON,
  // 16 else.
  static constexpr int mr = Set == Isa::avx512 || Set == Isa::neon ? 12 : 6;
  static constexpr int kc = 256;  ///< k is cut here: a panel (kc, nr) stays in the first-level cache
  using Vector [[gnu::vector_size(vector_bytes)]] = R;
};

/// C (M, N) = A B or += A B, with A read in place at any strides and B given by a packer.
template <class R, Isa Set>
struct Gemm {
  using Shape = Tile<R, Set>;
  using V = typename Shape::Vector;
  static constexpr int nr = Shape::nr, lanes = Shape::lanes, kc = Shape::kc;
  // A column block is a task of at most `widest` panels, which together stay in the second-level cache.
  static constexpr int widest = 8;
  static constexpr std::size_t block_size = std::size_t{kc} * nr * widest, strip_size = std::size_t{kc} * lanes;

  struct Left {  ///< A[m][k] = data[m * row + k * column]
    const R* data;
    std::size_t row, column;
  };
  struct Result {
    R* data;
    std::size_t row;
    bool add;  ///< C += rather than C =
  };

  static V load(const R* p) {
    V v;
    std::memcpy(&v, p, sizeof(V));
    return v;
  }
  static void store(R* p, V v) { std::memcpy(p, &v, sizeof(V)); }

  /// The first `columns` of a tile's row: C = or C +=.
  static void write(R* at, V low, V high, int columns, bool add) {
    if (columns == nr) {
      store(at, add ? load(at) + low : low);
      store(at + lanes, add ? load(at + lanes) + high : high);
      return;
    }
    std::array<R, std::size_t{nr}> all;
    store(all.data(), low);
    store(all.data() + lanes, high);
    for (int n = 0; n < columns; ++n)
      at[n] = add ? at[n] + all[static_cast<std::size_t>(n)] : all[static_cast<std::size_t>(n)];
  }

  /// One tile: rows r of C over a packed panel (k, nr). Columns beyond `columns` are computed and dropped.
  template <int Rows>
  static void tile(int k, const R* a, std::size_t a_row, std::size_t a_column, const R* panel, R* c, std::size_t c_row,
                   int columns, bool add) {
    [&]<int... r>(std::integer_sequence<int, r...>) {
      V low[std::size_t{Rows}] = {}, high[std::size_t{Rows}] = {};
      for (int i = 0; i < k; ++i, panel += nr, a += a_column) {
        const V b0 = load(panel), b1 = load(panel + lanes);
        ((low[r] += a[static_cast<std::size_t>(r) * a_row] * b0,
          high[r] += a[static_cast<std::size_t>(r) * a_row] * b1),
         ...);
      }
      (write(c + static_cast<std::size_t>(r) * c_row, low[r], high[r], columns, add), ...);
    }(std::make_integer_sequence<int, Rows>{});
  }

  /// A tile of 1 .. mr rows.
  template <int Rows = Shape::mr>
  static void tile_of(int rows, int k, const R* a, std::size_t a_row, std::size_t a_column, const R* panel, R* c,
                      std::size_t c_row, int columns, bool add) {
    if constexpr (Rows > 0) {
      if (rows == Rows)
        tile<Rows>(k, a, a_row, a_column, panel, c, c_row, columns, add);
      else
        tile_of<Rows - 1>(rows, k, a, a_row, a_column, panel, c, c_row, columns, add);
    }
  }

  /// pack(k0, kn, n0, nn, panels): writes B[k0 .. k0 + kn) x [n0 .. n0 + nn) as panels of nr columns, k-major, one
  /// after the other at distance kn * nr; columns beyond N are zero.
  using Pack = FunctionRef<void(int k0, int kn, int n0, int nn, R* panels)>;
  static void run(Threads& threads, int M, int N, int K, Left a, Result c, Pack pack) {
    if (M == 0 || N == 0) return;
    // Wide enough to reuse rows of A, narrow enough that all threads have work.
    const int panels = (N + nr - 1) / nr, per_task = std::clamp(panels / (4 * threads.count()), 1, widest);
    const int tasks = (panels + per_task - 1) / per_task;
    threads.run(tasks, [&](int task) {
      const int n0 = task * per_task * nr;
      columns(M, n0, std::min(N - n0, per_task * nr), K, a, c, pack);
    });
  }

  /// The same on the caller's thread: the same bits.
  static void run_here(int M, int N, int K, Left a, Result c, Pack pack) {
    for (int n0 = 0; M > 0 && n0 < N; n0 += widest * nr) columns(M, n0, std::min(N - n0, widest * nr), K, a, c, pack);
  }

  /// Packs rows of a row-major B (K, N): the columns of a panel lie side by side already.
  template <class Source>
  static void pack_rows(const Source& b, int k0, int kn, int n0, int nn, R* panels) {
    for (int n = 0; n < nn; n += nr) {
      R* to = panels + static_cast<std::size_t>(n) * static_cast<std::size_t>(kn);
      const int count = std::min(nr, nn - n);
      for (int k = 0; k < kn; ++k, to += nr) {
        if constexpr (requires { b.at(0, 0); })  // two vectors, without a call
          if (b.is_plain && count == nr) {
            const R* from = b.at(k0 + k, n0 + n);
            const V low = load(from), high = load(from + lanes);
            store(to, low);
            store(to + lanes, high);
            continue;
          }
        b.read(k0 + k, n0 + n, count, to);
        std::fill(to + count, to + nr, R(0));
      }
    }
  }

  /// Packs columns of Bᵀ given row-major B (N, K): rows of B become columns of a panel.
  template <class Source>
  static void pack_columns(const Source& b, int k0, int kn, int n0, int nn, R* panels) {
    alignas(64) R rows[strip_size];
    for (int n = 0; n < nn; n += lanes) {
      const int count = std::min(lanes, nn - n);
      for (int j = 0; j < count; ++j) b.read(n0 + n + j, k0, kn, rows + j * kc);
      for (int j = count; j < lanes; ++j) std::fill_n(rows + j * kc, kn, R(0));
      R* to = panels + static_cast<std::size_t>(n / nr * nr) * static_cast<std::size_t>(kn) + n % nr;
      int k = 0;
      for (; k + lanes <= kn; k += lanes) transpose(rows + k, kc, to + static_cast<std::size_t>(k * nr));
      for (; k < kn; ++k)
        for (int j = 0; j < lanes; ++j) to[k * nr + j] = rows[j * kc + k];
    }
    if ((nn + lanes - 1) / lanes % 2) {  // the last panel has only its low half
      R* to = panels + static_cast<std::size_t>(nn / nr * nr) * static_cast<std::size_t>(kn) + lanes;
      for (int k = 0; k < kn; ++k) std::fill_n(to + k * nr, lanes, R(0));
    }
  }

 private:
  /// Columns n0 .. n0 + nn of C, at most `widest` panels.
  static void columns(int M, int n0, int nn, int K, Left a, Result c, Pack pack) {
    if (K == 0 && !c.add)
      for (int m = 0; m < M; ++m) std::fill_n(c.data + static_cast<std::size_t>(m) * c.row + n0, nn, R(0));
    alignas(64) R packed[block_size];
    for (int k0 = 0; k0 < K; k0 += kc) {
      const int kn = std::min(kc, K - k0);
      pack(k0, kn, n0, nn, packed);
      const bool add = c.add || k0 > 0;
      for (int m = 0; m < M; m += Shape::mr)
        for (int n = 0; n < nn; n += nr)
          tile_of(std::min(Shape::mr, M - m), kn,
                  a.data + static_cast<std::size_t>(m) * a.row + static_cast<std::size_t>(k0) * a.column, a.row,
                  a.column, packed + static_cast<std::size_t>(n) * static_cast<std::size_t>(kn),
                  c.data + static_cast<std::size_t>(m) * c.row + n0 + n, c.row, std::min(nr, nn - n), add);
    }
  }
  /// A square of lanes x lanes numbers, in log2(lanes) rounds of exchanges between rows that the compiler turns into
  /// shuffles.
  static void transpose(const R* from, int from_row, R* to) {
    V rows[std::size_t{lanes}];
    for (int j = 0; j < lanes; ++j) rows[j] = load(from + j * from_row);
    exchange<1>(rows);
    for (int j = 0; j < lanes; ++j) store(to + j * nr, rows[j]);
  }
  template <int Step>
  static void exchange(V* rows) {
    if constexpr (Step < lanes) {
      for (int j = 0; j < lanes; ++j)
        if (!(j & Step)) {
          const V a = rows[j], b = rows[j + Step];
          [&]<int... i>(std::integer_sequence<int, i...>) {
            rows[j] = __builtin_shufflevector(a, b, (i & Step ? lanes + i - Step : i)...);
            rows[j + Step] = __builtin_shufflevector(a, b, (i & Step ? lanes + i : i + Step)...);
          }(std::make_integer_sequence<int, lanes>{});
        }
      exchange<2 * Step>(rows);
    }
  }
};

}  // namespace flamingo::kernels
