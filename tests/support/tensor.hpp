/// Numbers of a test between two guard zones, their random values, and the views that ops take.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <ostream>
#include <vector>

#include <flamingo/core/parameters.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/core/view.hpp>

namespace flamingo::test {

/// (rows, columns) numbers that begin at an address aligned to nothing but T, with a pattern before and after them.
template <class T>
class Tensor {
 public:
  Tensor(int rows, int columns, T value = T(0))
      : rows_(rows), columns_(columns), all_(size() + 2 * guard), pattern_(guard) {
    std::memset(static_cast<void*>(pattern_.data()), 0xa5, guard * sizeof(T));
    std::copy(pattern_.begin(), pattern_.end(), all_.begin());
    std::copy(pattern_.begin(), pattern_.end(), all_.end() - guard);
    std::fill_n(data(), size(), value);
  }
  /// One row of the numbers given.
  static Tensor of(std::initializer_list<T> numbers) {
    Tensor t(1, static_cast<int>(numbers.size()));
    std::copy(numbers.begin(), numbers.end(), t.data());
    return t;
  }

  /// Uniform in [low, high), from stream `stream` of a fixed seed: the same for every T but for rounding.
  static Tensor random(int rows, int columns, std::uint64_t stream, double low = -1, double high = 1) {
    Tensor t(rows, columns);
    Random draw(20221128, stream);
    for (T& x : t) x = T(static_cast<float>(low + (high - low) * static_cast<double>(draw.uniform())));
    return t;
  }
  /// The same numbers in another type.
  template <class U>
  Tensor<U> as() const {
    Tensor<U> t(rows_, columns_);
    std::transform(begin(), end(), t.begin(), [](T x) { return static_cast<U>(x); });
    return t;
  }

  int rows() const { return rows_; }
  int columns() const { return columns_; }
  std::size_t size() const { return static_cast<std::size_t>(rows_) * static_cast<std::size_t>(columns_); }
  T* data() { return all_.data() + guard; }
  const T* data() const { return all_.data() + guard; }
  T* begin() { return data(); }
  T* end() { return data() + size(); }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size(); }
  T& operator()(int row, int column) {
    return data()[static_cast<std::size_t>(row) * static_cast<std::size_t>(columns_) +
                  static_cast<std::size_t>(column)];
  }
  const T& operator()(int row, int column) const { return const_cast<Tensor&>(*this)(row, column); }

  /// Whether nobody wrote before or after the numbers.
  bool intact() const {
    const auto same = [&](const T* at) { return std::memcmp(at, pattern_.data(), guard * sizeof(T)) == 0; };
    return same(all_.data()) && same(all_.data() + guard + size());
  }
  /// Bit for bit.
  friend bool operator==(const Tensor& a, const Tensor& b) {
    return a.rows_ == b.rows_ && a.columns_ == b.columns_ && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
  }
  friend std::ostream& operator<<(std::ostream& out, const Tensor& t) {
    return out << "Tensor(" << t.rows_ << ", " << t.columns_ << ')';
  }

  template <Platform P, int D = dynamic>
  Rows<P, D, T> rows_on() {
    return {data(), rows_, Extent<D>(columns_)};
  }
  template <Platform P, int D = dynamic>
  Rows<P, D, const T> rows_on() const {
    return {data(), rows_, Extent<D>(columns_)};
  }
  template <Platform P, int O = dynamic, int I = dynamic>
  MatrixView<P, O, I, T> matrix_on() {
    return {data(), Extent<O>(rows_), Extent<I>(columns_)};
  }
  template <Platform P, int D = dynamic>
  VectorView<P, D, T> vector_on() {
    return {data(), Extent<D>(static_cast<int>(size()))};
  }
  template <Platform P>
  View<P, 1, T> view_on() {
    return {data(), {static_cast<int>(size())}};
  }
  template <Platform P>
  View<P, 1, const T> view_on() const {
    return {data(), {static_cast<int>(size())}};
  }

 private:
  static constexpr std::size_t guard = 19;  // odd: what follows is aligned for no vector

  int rows_, columns_;
  std::vector<T> all_, pattern_;
};

/// Rows [first, first + count) as a tensor of their own.
template <class T>
Tensor<T> rows_of(const Tensor<T>& t, int first, int count) {
  Tensor<T> part(count, t.columns());
  std::copy_n(t.data() + static_cast<std::size_t>(first) * static_cast<std::size_t>(t.columns()), part.size(),
              part.data());
  return part;
}

}  // namespace flamingo::test
