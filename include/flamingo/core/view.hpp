/// Non-owning, contiguous, row-major tensors. The platform is part of the type, so a host pointer cannot reach a CUDA
/// op.
#pragma once
#include <array>
#include <concepts>
#include <cstddef>
#include <type_traits>

#include <flamingo/core/check.hpp>
#include <flamingo/core/platform.hpp>

namespace flamingo {

/// An extent that is known only at run time.
inline constexpr int dynamic = -1;

/// Whether two extents can be equal: equal numbers, or one of them dynamic.
constexpr bool agree(int a, int b) { return a == b || a == dynamic || b == dynamic; }

/// An extent that takes no room where it is static.
template <int N>
struct Extent {
  constexpr Extent() = default;
  constexpr explicit Extent(int) {}
  constexpr operator int() const { return N; }
};
template <>
struct Extent<dynamic> {
  int value = 0;
  constexpr Extent() = default;
  constexpr explicit Extent(int n) : value(n) {}
  constexpr operator int() const { return value; }
};

/// A tensor of any rank, for what is neither rows nor weights: positions, ids, spans, statistics.
template <Platform P, int Rank, class T = typename P::Real>
struct View {
  T* data = nullptr;
  std::array<int, static_cast<std::size_t>(Rank)> shape{};

  constexpr std::size_t size() const {
    std::size_t n = 1;
    for (const int extent : shape) n *= static_cast<std::size_t>(extent);
    return n;
  }
  template <std::same_as<const T> U>
  constexpr operator View<P, Rank, U>() const {
    return {data, shape};
  }
};

/// Rows of D features (N, D): patches, pixels, latents, tokens. D stands in the type where a layer writes it down.
template <Platform P, int D = dynamic, class T = typename P::Real>
struct Rows {
  using Element = T;
  static constexpr int static_width = D;

  T* data = nullptr;
  int rows = 0;
  [[no_unique_address]] Extent<D> width{};

  constexpr std::size_t size() const { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(width); }
  constexpr std::array<int, 2> shape() const { return {rows, width}; }
  constexpr T* row(int n) const { return data + static_cast<std::size_t>(n) * static_cast<std::size_t>(width); }

  /// `count` rows from `first` on.
  constexpr Rows slice(int first, int count) const { return {row(first), count, width}; }

  template <int E, class U>
    requires((E == D || E == dynamic) && (std::same_as<U, T> || std::same_as<U, const T>) &&
             !(E == D && std::same_as<U, T>))
  constexpr operator Rows<P, E, U>() const {
    return {data, rows, Extent<E>(width)};
  }
};

/// What kernels take: rows whose width is a run-time number.
template <Platform P, class T = typename P::Real>
using In = Rows<P, dynamic, const T>;
template <Platform P, class T = typename P::Real>
using Out = Rows<P, dynamic, T>;

/// Stands where a gradient could be written and none is wanted: no memory, no branch, no compiled code.
struct NoGrad {
  static constexpr int static_width = dynamic;
};

/// Takes the place of a member that a config or a wanted gradient does not ask for. Anything may be assigned to it.
struct Nothing {
  constexpr Nothing() = default;
  template <class T>
  constexpr Nothing(const T&) {}
};

/// A member's type: T if wanted, else Nothing.
template <bool Wanted, class T>
using If = std::conditional_t<Wanted, T, Nothing>;

/// Whether a gradient goes somewhere.
template <class S>
inline constexpr bool wanted =
    !std::same_as<std::remove_cvref_t<S>, NoGrad> && !std::same_as<std::remove_cvref_t<S>, Nothing>;

namespace detail {
template <class X>
struct RowsTraits {
  static constexpr bool is = false;
};
template <class P, int D, class T>
struct RowsTraits<Rows<P, D, T>> {
  static constexpr bool is = true;
  using Place = P;
};
}  // namespace detail

/// Rows on platform P, of any width and element type.
template <class X, class P>
concept RowsOn = detail::RowsTraits<std::remove_cvref_t<X>>::is &&
                 std::same_as<typename detail::RowsTraits<std::remove_cvref_t<X>>::Place, P>;

/// Rows to write a gradient to, or NoGrad.
template <class X, class P>
concept RowsSink = RowsOn<X, P> || !wanted<X>;

/// The width that X carries in its type.
template <class X>
inline constexpr int width_of = std::remove_cvref_t<X>::static_width;

/// A mutable sink as the kernels take it.
template <Platform P, int D, class T>
constexpr Rows<P, dynamic, T> any(const Rows<P, D, T>& x) {
  return {x.data, x.rows, Extent<dynamic>(x.width)};
}

}  // namespace flamingo
