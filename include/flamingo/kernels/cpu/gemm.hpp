/// The matrix product of the CPU: panels of B packed on the fly from any format, tiles of C held in registers.
///
/// Every number of C is one chain of fused multiply-adds over k in fixed blocks, whatever the other rows and however
/// many threads: a row's bits depend on that row and on B alone. Eigen's product does not promise this.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include <flamingo/kernels/cpu/context.hpp>
#include <flamingo/kernels/cpu/formats.hpp>
#include <flamingo/kernels/cpu/step.hpp>
#include <flamingo/kernels/cpu/vector_math.hpp>

namespace flamingo::kernels {

/// Shape of the register tile: mr rows of A by two vectors of B.
template <class R, Isa Set>
struct Tile {
  static constexpr int lanes = vector_lanes<R, Set>;
  static constexpr int nr = 2 * lanes;
  // Accumulators, two vectors of B and one broadcast must fit the register file: 32 registers with AVX-512 and NEON,
  // 16 else.
  static constexpr int mr = has_32_registers(Set) ? 12 : 6;
  static constexpr int kc = 256;  ///< k is cut here: a panel (kc, nr) stays in the first-level cache
  using Vector = typename VectorMath<R, Set>::Vector;
};

/// C (M, N) = A B or += A B, with A at any strides and B given by a packer. A few rows of A are read in place; many are
/// packed once for all threads. Step: what one step over k does; K and all that is counted in k are steps.
template <class R, Isa Set, class Step = MultiplyAdd<R, Set>>
struct Gemm {
  using Shape = Tile<R, Set>;
  using V = typename Shape::Vector;
  static constexpr int nr = Shape::nr, lanes = Shape::lanes, kc = Shape::kc;
  // A task takes at most `widest` panels at a time and `tall` rows of A, which together stay in the second-level cache.
  static constexpr int widest = 8, tall = 20 * 12;
  static constexpr int first_level_ways = 8;  // lines of one address modulo 4096 that the first-level cache holds
  // So many numbers of A are packed at a time: they stay in the last-level cache.
  static constexpr std::size_t slab_size = (std::size_t{4} << 20) / sizeof(R);
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
  /// What becomes of a finished sum of column n: scales[n] sum + bias[n], as far as they are there.
  struct Finish {
    const float* scales = nullptr;
    const R* bias = nullptr;

    explicit operator bool() const { return scales || bias; }
    /// Those of columns n .. n + count, filled up to `size` columns: scales, then biases.
    template <int size>
    void read(int n, int count, R* to) const {
      std::fill_n(to, size, R(1));
      std::fill_n(to + size, size, R(0));
      for (int i = 0; i < count && scales; ++i) to[i] = static_cast<R>(scales[n + i]);
      for (int i = 0; i < count && bias; ++i) to[size + i] = bias[n + i];
    }
  };

  static V load(const R* p) {
    V v;
    std::memcpy(&v, p, sizeof(V));
    return v;
  }
  static void store(R* p, V v) { std::memcpy(p, &v, sizeof(V)); }

  /// Columns of panels that hold so many.
  static constexpr int whole(int columns) { return up_to(columns, nr); }

  /// C += the first `columns` of a tile's row.
  static void add(R* at, V low, V high, int columns) {
    if (columns == nr) {
      store(at, load(at) + low);
      store(at + lanes, load(at + lanes) + high);
      return;
    }
    std::array<R, std::size_t{nr}> all;
    store(all.data(), low);
    store(all.data() + lanes, high);
    for (int n = 0; n < columns; ++n) at[n] += all[static_cast<std::size_t>(n)];
  }

  /// How A[r][k] of a tile lies.
  enum class Lies {
    side_by_side,  ///< data[k * mr + r]: packed
    in_rows,       ///< data[r * row + k]
    anyhow         ///< data[r * row + k * column]
  };
  struct TileOfA {
    Lies lies;
    const R* data;
    std::size_t row, column;
  };

  /// One tile: rows r of C over a packed panel (k, nr), all columns of it.
  template <Lies lies, int... r>
  static void tile(std::integer_sequence<int, r...>, int k, TileOfA left, const R* panel, R* c, std::size_t c_row,
                   bool add, const R* finish) {
    constexpr bool packed = lies == Lies::side_by_side;
    const std::size_t row = packed ? 1 : left.row, column = packed                  ? Shape::mr
                                                            : lies == Lies::in_rows ? 1
                                                                                    : left.column;
    if (add) (__builtin_prefetch(c + static_cast<std::size_t>(r) * c_row, 1), ...);
    const R* a = left.data;
    typename Step::Sum sum0[sizeof...(r)] = {}, sum1[sizeof...(r)] = {};
    for (int i = 0; i < k; ++i, panel += nr, a += column) {
      const V b0 = load(panel), b1 = load(panel + lanes);
      ((sum0[r] = Step::add(sum0[r], a[static_cast<std::size_t>(r) * row], b0),
        sum1[r] = Step::add(sum1[r], a[static_cast<std::size_t>(r) * row], b1)),
       ...);
    }
    V low[] = {Step::ended(sum0[r])...}, high[] = {Step::ended(sum1[r])...};
    if (add)
      ((low[r] = load(c + static_cast<std::size_t>(r) * c_row) + low[r],
        high[r] = load(c + static_cast<std::size_t>(r) * c_row + lanes) + high[r]),
       ...);
    if (finish) {
      const V scale0 = load(finish), scale1 = load(finish + lanes), bias0 = load(finish + nr),
              bias1 = load(finish + nr + lanes);
      ((low[r] = low[r] * scale0 + bias0, high[r] = high[r] * scale1 + bias1), ...);
    }
    ((store(c + static_cast<std::size_t>(r) * c_row, low[r]),
      store(c + static_cast<std::size_t>(r) * c_row + lanes, high[r])),
     ...);
  }
  template <int Rows = Shape::mr>
  static void whole_tile(int rows, int k, const TileOfA& a, const R* panel, R* c, std::size_t c_row, bool add,
                         const R* finish) {
    if constexpr (Rows > 0) {
      constexpr auto all = std::make_integer_sequence<int, Rows>{};
      if (rows != Rows) return whole_tile<Rows - 1>(rows, k, a, panel, c, c_row, add, finish);
      if (a.lies == Lies::side_by_side) return tile<Lies::side_by_side>(all, k, a, panel, c, c_row, add, finish);
      if (a.lies == Lies::in_rows) return tile<Lies::in_rows>(all, k, a, panel, c, c_row, add, finish);
      tile<Lies::anyhow>(all, k, a, panel, c, c_row, add, finish);
    }
  }

  /// A tile of 1 .. mr rows and 1 .. nr columns: C = or C +=. `finish`: scales and biases of the panel's columns, as
  /// Finish::read writes them.
  static void tile_of(int rows, int k, const TileOfA& a, const R* panel, R* c, std::size_t c_row, int columns, bool add,
                      const R* finish = nullptr) {
    if (columns == nr) return whole_tile(rows, k, a, panel, c, c_row, add, finish);
    alignas(64) R all[std::size_t{Shape::mr} * nr] = {};
    for (int r = 0; add && r < rows; ++r) std::copy_n(c + static_cast<std::size_t>(r) * c_row, columns, all + r * nr);
    whole_tile(rows, k, a, panel, all, nr, add, finish);
    for (int r = 0; r < rows; ++r) std::copy_n(all + r * nr, columns, c + static_cast<std::size_t>(r) * c_row);
  }

  /// pack(k0, kn, n0, nn, panels): writes B[k0 .. k0 + kn) x [n0 .. n0 + nn) as panels of nr columns, k-major, one
  /// after the other at distance kn * nr; columns beyond N are zero.
  using Pack = FunctionRef<void(int k0, int kn, int n0, int nn, R* panels)>;

  /// `together`: how many panels are packed at a time where C has few rows: one, where a panel's numbers lie together.
  static void run(Threads& threads, int M, int N, int K, Left a, Result c, Pack pack, Finish finish = {},
                  int together = widest) {
    run(threads, Job{M, N, K, a, c, pack, finish, M < tall ? together : widest});
  }
  /// The same over panels that lie in memory as `pack` would write them, each K * nr numbers: nothing is packed.
  static void run_in_place(Threads& threads, int M, int N, int K, Left a, Result c, const R* panels,
                           Finish finish = {}) {
    const auto never = [](int, int, int, int, R*) {};
    run(threads, Job{M, N, K, a, c, never, finish, 1, panels});
  }

  /// The same on the caller's thread: the same bits.
  static void run_here(int M, int N, int K, Left a, Result c, Pack pack) {
    if (M > 0) Job{M, N, K, a, c, pack, {}, widest}.run(0, M, 0, N);
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
  static constexpr int up_to(int n, int step) { return (n + step - 1) / step * step; }
  static int part(int all, int parts, int i) { return static_cast<int>(std::int64_t{all} * i / parts); }

  struct Job {
    int M, N, K;
    Left a;
    Result c;
    Pack pack;
    Finish finish;
    int together;
    const R* in_place = nullptr;  // panels of B, none of which is packed
    // Rows first .. of A, packed: tile after tile of mr rows, `slab` rows in all, in blocks of kc columns.
    const R* packed = nullptr;
    int first = 0, slab = 0;

    /// Numbers of a row of A that lie far apart are brought together where more than one panel reads them. So are
    /// others where there are many: a row in place has to be fetched again for every panel, from its own page. And
    /// rows a multiple of 4096 bytes apart, which are the same few lines of a first-level cache.
    bool packs_left() const {
      if (a.column != 1) return N > nr && M >= Shape::mr;
      const bool same_lines = Shape::mr > first_level_ways && a.row * sizeof(R) % 4096 == 0;
      return N >= widest * nr && M >= (same_lines ? 2 * Shape::mr : 2 * tall);
    }
    /// Packs rows m0 .. m1 of A, in memory of the calling thread's.
    void pack_left(Threads& threads, int m0, int m1) {
      static thread_local std::vector<R> numbers;
      first = m0;
      slab = up_to(m1 - m0, Shape::mr);
      if (const auto size = static_cast<std::size_t>(slab) * static_cast<std::size_t>(K); numbers.size() < size) {
        numbers.clear();
        numbers.resize(size);
      }
      R* const to = numbers.data();
      packed = to;
      const int tiles = slab / Shape::mr, tasks = std::min(tiles, 4 * threads.count());
      threads.run(tasks, [&](int task) {
        const int begin = m0 + part(tiles, tasks, task) * Shape::mr,
                  end = std::min(m1, m0 + part(tiles, tasks, task + 1) * Shape::mr);
        for (int k = 0; k < K; k += kc) {
          const int kn = std::min(kc, K - k);
          R* block = to + static_cast<std::size_t>(k) * static_cast<std::size_t>(slab) +
                     static_cast<std::size_t>(begin - m0) * static_cast<std::size_t>(kn);
          if (a.column == 1)
            for (int m = begin; m < end; m += Shape::mr, block += kn * Shape::mr)
              set_side_by_side(at(m, k), a.row, std::min(Shape::mr, end - m), kn, block);
          else
            for (int i = 0; i < kn; ++i, block += Shape::mr) {
              const R* from = at(begin, k + i);
              for (int m = begin; m < end; ++m, from += a.row)
                block[(m - begin) / Shape::mr * Shape::mr * kn + (m - begin) % Shape::mr] = *from;
            }
        }
      });
    }

    /// Rows m0 .. m1 of C on all threads.
    void share(Threads& threads, int m0, int m1) const {
      // Enough tasks that threads end together.
      const int panels = (N + nr - 1) / nr, count = threads.count(), tiles = (m1 - m0 + Shape::mr - 1) / Shape::mr;
      const int least = packed ? std::max(count, std::min(8 * count, panels / 2)) : 4 * count;
      const int across = std::min(panels, up_to(std::max(least, (panels + widest - 1) / widest), count));
      // Where there are too few columns for all threads, rows are divided too.
      const int down = across < count ? std::clamp(tiles / 4, 1, 4 * count / across) : 1;
      threads.run(across * down, [&](int task) {
        const int i = task % across, j = task / across;
        run(m0 + part(tiles, down, j) * Shape::mr, std::min(m1, m0 + part(tiles, down, j + 1) * Shape::mr),
            part(panels, across, i) * nr, std::min(N, part(panels, across, i + 1) * nr));
      });
    }
    /// Rows m0 .. m1 and columns n0 .. n1 of C.
    void run(int m0, int m1, int n0, int n1) const {
      for (int m = m0; K == 0 && !c.add && m < m1; ++m)
        for (int n = n0; n < n1; ++n)
          c.data[static_cast<std::size_t>(m) * c.row + static_cast<std::size_t>(n)] =
              finish.bias ? finish.bias[n] : R(0);
      alignas(64) R panels[block_size];
      for (int n = n0; n < n1; n += widest * nr)
        for (int k = 0; k < K; k += kc)
          for (int i = n, wide = 0; i < std::min(n1, n + widest * nr); i += wide) {
            wide = std::min({n1 - i, n + widest * nr - i, together * nr});
            const int kn = std::min(kc, K - k);
            const R* b = panels;
            if (in_place)
              b = in_place + static_cast<std::size_t>(i) * static_cast<std::size_t>(K) +
                  static_cast<std::size_t>(k) * nr;
            else
              pack(k, kn, i, wide, panels);
            for (int m = m0; m < m1; m += tall) rows(m, std::min(m1, m + tall), k, kn, i, wide, b);
          }
    }
    const R* at(int m, int k) const {
      return a.data + static_cast<std::size_t>(m) * a.row + static_cast<std::size_t>(k) * a.column;
    }
    /// A[m .., k .. k + kn) as a tile reads it.
    TileOfA tile_at(int m, int k, int kn) const {
      if (!packed) return {a.column == 1 ? Lies::in_rows : Lies::anyhow, at(m, k), a.row, a.column};
      return {Lies::side_by_side,
              packed + static_cast<std::size_t>(k) * static_cast<std::size_t>(slab) +
                  static_cast<std::size_t>(m - first) * static_cast<std::size_t>(kn),
              0, 0};
    }

    /// Rows m0 .. m1 of C += A[.., k .. k + kn) times the packed columns n .. n + nn.
    void rows(int m0, int m1, int k, int kn, int n, int nn, const R* panels) const {
      const int tiles = (m1 - m0 + Shape::mr - 1) / Shape::mr,
                high = packed ? Shape::mr : (m1 - m0 + tiles - 1) / tiles;
      const bool add = c.add || k > 0, ends = finish && k + kn == K;
      alignas(64) R finishing[std::size_t{2} * nr];
      for (int i = 0; i < nn; i += nr) {
        const int columns = std::min(nr, nn - i);
        if (ends) finish.template read<nr>(n + i, columns, finishing);
        const R* panel = panels + static_cast<std::size_t>(i) * static_cast<std::size_t>(kn);
        for (int m = m0; m < m1; m += high)
          tile_of(std::min(high, m1 - m), kn, tile_at(m, k, kn), panel,
                  c.data + static_cast<std::size_t>(m) * c.row + n + i, c.row, columns, add,
                  ends ? finishing : nullptr);
      }
    }
  };

  static void run(Threads& threads, Job job) {
    if (job.M == 0 || job.N == 0) return;
    if (!job.packs_left()) return job.share(threads, 0, job.M);
    const int most = std::max(Shape::mr, static_cast<int>(slab_size / static_cast<std::size_t>(std::max(job.K, 1))));
    const int slabs = (job.M + most - 1) / most, high = up_to((job.M + slabs - 1) / slabs, Shape::mr);
    for (int m = 0; m < job.M; m += high) {
      job.pack_left(threads, m, std::min(job.M, m + high));
      job.share(threads, m, std::min(job.M, m + high));
    }
  }

  /// to[k * mr + j] = from[j * row + k] for j < count, k < kn; numbers of the other j < mr are anything.
  template <int j0 = 0>
  static void set_side_by_side(const R* from, std::size_t row, int count, int kn, R* to) {
    constexpr int mr = Shape::mr, some = std::min(lanes, mr - j0);
    const R* rows[std::size_t{lanes}];
    for (int j = 0; j < lanes; ++j) rows[j] = from + static_cast<std::size_t>(std::min(j0 + j, count - 1)) * row;
    int k = 0;
    for (; k + lanes <= kn; k += lanes) {
      V square[std::size_t{lanes}];
      for (int j = 0; j < lanes; ++j) square[j] = load(rows[j] + k);
      VectorMath<R, Set>::transpose(square);
      for (int j = 0; j < lanes; ++j) std::memcpy(to + (k + j) * mr + j0, &square[j], some * sizeof(R));
    }
    for (; k < kn; ++k)
      for (int j = 0; j < some; ++j) to[k * mr + j0 + j] = rows[j][k];
    if constexpr (j0 + lanes < mr) set_side_by_side<j0 + lanes>(from, row, count, kn, to);
  }

  /// A square of lanes x lanes numbers.
  static void transpose(const R* from, int from_row, R* to) {
    V rows[std::size_t{lanes}];
    for (int j = 0; j < lanes; ++j) rows[j] = load(from + j * from_row);
    VectorMath<R, Set>::transpose(rows);
    for (int j = 0; j < lanes; ++j) store(to + j * nr, rows[j]);
  }
};

}  // namespace flamingo::kernels
