/// The only file that includes Eigen, and how views become Eigen's maps.
#pragma once
#include <Eigen/Core>
#include <algorithm>
#include <type_traits>
#include <unsupported/Eigen/SpecialFunctions>

#include <flamingo/core/parameters.hpp>
#include <flamingo/core/view.hpp>
#include <flamingo/kernels/cpu/context.hpp>

namespace flamingo::kernels {

template <class T>
using RowMajor = Eigen::Array<std::remove_const_t<T>, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using Line = Eigen::Array<std::remove_const_t<T>, Eigen::Dynamic, 1>;

/// `size` numbers as an Eigen array; const where T is.
template <class T>
auto line(T* data, std::size_t size) {
  return Eigen::Map<std::conditional_t<std::is_const_v<T>, const Line<T>, Line<T>>>(data,
                                                                                    static_cast<Eigen::Index>(size));
}
template <Platform P, int D, class T>
auto line(const VectorView<P, D, T>& v) {
  return line(v.data, v.size());
}
/// All numbers of rows as one line.
template <Platform P, int D, class T>
auto line(const Rows<P, D, T>& x) {
  return line(x.data, x.size());
}
/// Row n as a line.
template <Platform P, int D, class T>
auto line(const Rows<P, D, T>& x, int n) {
  return line(x.row(n), static_cast<std::size_t>(x.width));
}

/// Σ of an array's numbers in an order that depends on their count alone. Eigen begins the sum of a map at its first
/// aligned number, so that the same row would have other bits at another address; expressions have no address.
template <class Array>
auto sum(const Array& x) {
  return (x + typename Array::Scalar(0)).sum();
}
template <class Array>
auto mean(const Array& x) {
  return sum(x) / static_cast<typename Array::Scalar>(x.size());
}

/// Up to 256 numbers copied to aligned memory of a fixed size, so that each goes through vector instructions. At the
/// ends of an unaligned line Eigen calls scalar functions, which round differently: a number's bits would depend on
/// where it lies and on how the work was divided.
template <class T>
struct Chunk {
  static constexpr std::size_t size = 256;  // a few of them lie in the first-level cache
  using Numbers = Eigen::Array<T, static_cast<int>(size), 1>;
  Numbers numbers = Numbers::Zero();

  Chunk() = default;
  Chunk(const T* from, std::size_t n) { std::copy_n(from, n, numbers.data()); }
  void write(T* to, std::size_t n) const { std::copy_n(numbers.data(), n, to); }
};
/// Calls f(first, count) over 0 .. n, each count at most a chunk.
template <class F>
void each_chunk(std::size_t n, const F& f) {
  constexpr std::size_t size = Chunk<float>::size;
  for (std::size_t done = 0; done < n; done += size) f(done, std::min(size, n - done));
}

/// Calls f(first, count) over 0 .. n in pieces that the pool's threads share, each of at least `grain`.
inline void parallel_pieces(Threads& threads, std::size_t n, std::size_t grain,
                            FunctionRef<void(std::size_t, std::size_t)> f) {
  const auto most = static_cast<std::size_t>(threads.count()) * 4;
  const std::size_t pieces = std::max<std::size_t>(1, std::min(most, n / std::max<std::size_t>(1, grain)));
  const std::size_t step = (n + pieces - 1) / pieces;
  threads.run(static_cast<int>(pieces), [&](int piece) {
    const std::size_t first = std::min(n, static_cast<std::size_t>(piece) * step);
    f(first, std::min(n, first + step) - first);
  });
}
/// Calls f(first, count) over rows of `width` numbers in pieces, small ones on the caller's thread.
inline void parallel_rows(Threads& threads, int rows, int width, FunctionRef<void(int, int)> f) {
  parallel_pieces(threads, static_cast<std::size_t>(rows), 1 + 16384 / (1 + static_cast<std::size_t>(width)),
                  [&](std::size_t first, std::size_t count) { f(static_cast<int>(first), static_cast<int>(count)); });
}
/// Calls f(first, count) over the columns of `rows` rows in pieces of whole cache lines: for sums over rows, each of
/// which keeps its order.
inline void parallel_columns(Threads& threads, int rows, int columns, FunctionRef<void(std::size_t, std::size_t)> f) {
  constexpr std::size_t wide = 64;
  const auto all = static_cast<std::size_t>(columns);
  parallel_pieces(threads, (all + wide - 1) / wide, 1 + 256 / (1 + static_cast<std::size_t>(rows)),
                  [&](std::size_t first, std::size_t count) {
                    f(first * wide, std::min(all, (first + count) * wide) - std::min(all, first * wide));
                  });
}

}  // namespace flamingo::kernels
