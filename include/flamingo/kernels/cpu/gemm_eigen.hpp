/// The matrix product of the CPU by Eigen: the interface of Gemm, for Cpu<R, Set, Products::eigen>.
///
/// Eigen promises nothing about a row's bits, but it keeps what we ask of it: columns of B in whole register tiles
/// (`unit`), k in our blocks, and at least four rows of A. Then every number of C is one chain of multiply-adds over k
/// whatever M is, as ours: its kernels of four rows and of one add in the same order, and where it divides the work it
/// divides between whole tiles. Fewer rows than four are filled up; what that costs is in docs/benchmarks.md.
/// A host that turns on OpenMP gives Eigen threads of its own beside ours (EIGEN_DONT_PARALLELIZE forbids them).
#pragma once
#include <algorithm>
#include <cstddef>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/kernels/cpu/formats.hpp>
#include <flamingo/kernels/cpu/gemm.hpp>

namespace flamingo::kernels {

/// C (M, N) = A B or += A B, with A's rows or columns side by side and B given by a packer, or as a source.
template <class R, Isa Set>
struct EigenGemm {
  // Whole tiles of Eigen's kernels are three vectors of columns, two without fused multiply-adds; this holds both.
  static constexpr int unit = Set == Isa::avx2 ? 24 : 48;
  static constexpr int nr = 192;  ///< the width of a panel: wide enough that Eigen's own copy of A costs little
  // k is cut here, and by Eigen nowhere: its own cuts, where a tile's panels fill its notion of the first-level cache,
  // would depend on how much of k there is.
  static constexpr int kc = (Set == Isa::neon ? 512 : 1024) / static_cast<int>(sizeof(R));
  static constexpr int least = 4;  ///< rows of A that Eigen is given, at least

  using Left = typename Gemm<R, Set>::Left;
  using Result = typename Gemm<R, Set>::Result;

  /// Columns of panels that hold so many: the last panel has whole units alone.
  static constexpr int whole(int columns) { return (columns + unit - 1) / unit * unit; }

  /// pack(k0, kn, n0, nn, panels): writes B[k0 .. k0 + kn) x [n0 .. n0 + nn) as panels of nr columns, k-major, one
  /// after the other at distance kn * nr; the last one is as wide as whole(nn) leaves it, columns beyond nn are zero.
  using Pack = FunctionRef<void(int k0, int kn, int n0, int nn, R* panels)>;
  static void run(Threads& threads, int M, int N, int K, Left a, Result c, Pack pack) {
    threads.run((N + nr - 1) / nr,
                [&](int task) { columns(M, task * nr, std::min(N - task * nr, nr), K, a, c, pack); });
  }

  /// The same on the caller's thread: the same bits.
  static void run_here(int M, int N, int K, Left a, Result c, Pack pack) {
    for (int n0 = 0; n0 < N; n0 += nr) columns(M, n0, std::min(N - n0, nr), K, a, c, pack);
  }

  /// B = source, or its transpose: Eigen reads it where it lies, if it does.
  template <bool transposed>
  static void run_source(Threads& threads, int M, int N, int K, Left a, Result c, const AnySource<R>& b, Pack pack) {
    const int per_task = whole((N + threads.count() - 1) / threads.count());
    threads.run(N > 0 ? (N + per_task - 1) / per_task : 0, [&](int task) {
      const int end = std::min(N, (task + 1) * per_task);
      int n = task * per_task;
      if (const int plain = b.is_plain && K > 0 ? (end - n) / unit * unit : 0; plain > 0) {
        clear(M, n, plain, c);
        for (int k0 = 0; k0 < K; k0 += kc)
          add_product(transposed ? Operand{b.at(n, k0), b.at(1, 0) - b.at(0, 0), true}
                                 : Operand{b.at(k0, n), b.at(1, 0) - b.at(0, 0), false},
                      M, plain, std::min(kc, K - k0), from(a, k0), c.data + n, c.row);
        n += plain;
      }
      for (; n < end; n += nr) columns(M, n, std::min(end - n, nr), K, a, c, pack);
    });
  }

  /// Packs rows of a row-major B (K, N).
  template <class Source>
  static void pack_rows(const Source& b, int k0, int kn, int n0, int nn, R* panels) {
    for (int n = 0; n < nn; n += nr) {
      const int count = std::min(nr, nn - n);
      for (int k = 0; k < kn; ++k, panels += whole(count)) {
        b.read(k0 + k, n0 + n, count, panels);
        std::fill(panels + count, panels + whole(count), R(0));
      }
    }
  }

  /// Packs columns of Bᵀ given row-major B (N, K): rows of B become columns of a panel.
  template <class Source>
  static void pack_columns(const Source& b, int k0, int kn, int n0, int nn, R* panels) {
    constexpr int together = 8;
    alignas(64) R rows[std::size_t{kc} * together];
    for (int n = 0; n < whole(nn); n += together) {
      const int count = std::clamp(nn - n, 0, together);
      for (int j = 0; j < count; ++j) b.read(n0 + n + j, k0, kn, rows + j * kc);
      std::fill(rows + count * kc, rows + together * kc, R(0));
      const int first = n / nr * nr, width = std::min(nr, whole(nn) - first);
      R* to = panels + static_cast<std::size_t>(first) * static_cast<std::size_t>(kn) + n - first;
      for (int k = 0; k < kn; ++k, to += width)
        for (int j = 0; j < together; ++j) to[j] = rows[j * kc + k];
    }
  }

 private:
  using Index = Eigen::Index;
  template <int Order>
  using Map = Eigen::Map<const Eigen::Matrix<R, Eigen::Dynamic, Eigen::Dynamic, Order>, 0, Eigen::OuterStride<>>;
  using ResultMap = Eigen::Map<Eigen::Matrix<R, Eigen::Dynamic, Eigen::Dynamic>, 0, Eigen::OuterStride<>>;

  /// A matrix of which rows, or else columns, lie side by side at distance `outer`.
  struct Operand {
    const R* data;
    Index outer;
    bool by_row;
  };

  static Left from(Left a, int k0) { return {a.data + static_cast<std::size_t>(k0) * a.column, a.row, a.column}; }

  static void clear(int M, int n0, int nn, Result c) {
    for (int m = 0; m < M && !c.add; ++m) std::fill_n(c.data + static_cast<std::size_t>(m) * c.row + n0, nn, R(0));
  }

  /// Columns n0 .. n0 + nn of C, at most a panel.
  static void columns(int M, int n0, int nn, int K, Left a, Result c, Pack pack) {
    clear(M, n0, nn, c);
    if (M == 0) return;
    alignas(64) R packed[std::size_t{kc} * nr];
    for (int k0 = 0; k0 < K; k0 += kc) {
      const int kn = std::min(kc, K - k0);
      pack(k0, kn, n0, nn, packed);
      add_product({packed, whole(nn), false}, M, nn, kn, from(a, k0), c.data + n0, c.row);
    }
  }

  /// c += a b over `kn` of k, given bᵀ, which has columns up to a whole unit.
  static void add_product(const Operand& b, int M, int nn, int kn, Left a, R* c, std::size_t c_row) {
    const int direct = M >= least ? nn / unit * unit : 0;
    if (direct > 0) multiply(b, direct, M, kn, left(a), c, c_row);
    // Where Eigen would write beyond C, it adds to a copy of it.
    constexpr int rows = 32;
    R filled[std::size_t{least} * kc], copy[std::size_t{rows} * nr] = {};
    for (int m = 0; m < M; m += rows) {
      const int count = std::min(rows, M - m);
      Left own{a.data + static_cast<std::size_t>(m) * a.row, a.row, a.column};
      if (count < least) own = fill_up(own, count, kn, filled);
      for (int n = direct; n < nn; n += nr) {
        const int width = std::min(nr, nn - n);
        const auto row = [&](int i) { return c + static_cast<std::size_t>(m + i) * c_row + n; };
        for (int i = 0; i < count; ++i) std::copy_n(row(i), width, copy + i * nr);
        multiply({b.data + (b.by_row ? n * b.outer : n), b.outer, b.by_row}, whole(width), std::max(count, least), kn,
                 left(own), copy, nr);
        for (int i = 0; i < count; ++i) std::copy_n(copy + i * nr, width, row(i));
      }
    }
  }
  static Left fill_up(Left a, int rows, int kn, R* to) {
    std::fill_n(to, least * kc, R(0));
    for (int m = 0; m < rows; ++m)
      for (int k = 0; k < kn; ++k)
        to[m * kc + k] = a.data[static_cast<std::size_t>(m) * a.row + static_cast<std::size_t>(k) * a.column];
    return {to, std::size_t{kc}, 1};
  }
  /// Aᵀ (k, m).
  static Operand left(Left a) {
    return a.column == 1 ? Operand{a.data, static_cast<Index>(a.row), false}
                         : Operand{a.data, static_cast<Index>(a.column), true};
  }

  /// cᵀ (n, m) += b (n, k) a (k, m): the only call of Eigen's product.
  static void multiply(const Operand& b, int n, int m, int k, const Operand& a, R* c, std::size_t c_row) {
    ResultMap result(c, n, m, Eigen::OuterStride<>(static_cast<Index>(c_row)));
    as_map(b, n, k,
           [&](const auto& left) { as_map(a, k, m, [&](const auto& right) { result.noalias() += left * right; }); });
  }
  template <class Use>
  static void as_map(const Operand& x, int rows, int columns, const Use& use) {
    if (x.by_row)
      use(Map<Eigen::RowMajor>(x.data, rows, columns, Eigen::OuterStride<>(x.outer)));
    else
      use(Map<Eigen::ColMajor>(x.data, rows, columns, Eigen::OuterStride<>(x.outer)));
  }
};

namespace detail {
template <class P>
struct GemmOn;
template <class R, Isa Set>
struct GemmOn<Cpu<R, Set, Products::own>> {
  using type = Gemm<R, Set>;
};
template <class R, Isa Set>
struct GemmOn<Cpu<R, Set, Products::eigen>> {
  using type = EigenGemm<R, Set>;
};
}  // namespace detail
/// The product that P multiplies with.
template <class P>
using GemmOf = typename detail::GemmOn<P>::type;

}  // namespace flamingo::kernels
