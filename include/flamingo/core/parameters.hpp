/// What a layer says about its parameters, and what a parameter can be: stored, packed, frozen, or an adapter's.
///
/// A layer declares `template <class S> struct Parameters` with members named by role (Matrix<S, O, D>, Vector<S, D>,
/// Table<S, V, D>, Learned<S, N, D>, Added<S, V, D>) and lists them once in `each`. The storage policy S decides what a
/// member is.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <flamingo/core/check.hpp>
#include <flamingo/core/view.hpp>

namespace flamingo {

/// A weight matrix w (O, D), row-major: y = x wᵀ. Also a table of O rows of I features.
template <Platform P, int O, int D, class T = typename P::Real>
struct MatrixView {
  using Element = T;
  static constexpr int out = O, in = D;

  T* data = nullptr;
  [[no_unique_address]] Extent<O> rows{};
  [[no_unique_address]] Extent<D> columns{};

  constexpr std::size_t size() const { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns); }
  constexpr T* row(int o) const { return data + static_cast<std::size_t>(o) * static_cast<std::size_t>(columns); }
};

/// A weight vector of D numbers: scales, biases, gates, all in the accumulation type.
template <Platform P, int D, class T = AccumulateOf<P>>
struct VectorView {
  using Element = T;
  static constexpr int extent = D;

  T* data = nullptr;
  [[no_unique_address]] Extent<D> length{};

  constexpr std::size_t size() const { return static_cast<std::size_t>(length); }
};

/// How the bytes of a packed matrix are to be read. Chosen per tensor, at run time, usually by the file it lies in.
enum class Format : std::uint8_t {
  f32,
  f16,
  bf16,
  int8,  ///< signed bytes, one float scale per row
  q8_0,  ///< blocks of 32: half scale, 32 signed bytes (GGUF)
  q4_0,  ///< blocks of 32: half scale, 32 nibbles less 8 (GGUF)
  q4_1   ///< blocks of 32: half scale, half offset, 32 nibbles (GGUF)
};

/// Numbers in a block of the format, and bytes of that block.
struct FormatSize {
  int numbers, bytes;
};
constexpr FormatSize size_of(Format format) {
  switch (format) {
    case Format::f32:
      return {1, 4};
    case Format::f16:
    case Format::bf16:
      return {1, 2};
    case Format::int8:
      return {1, 1};
    case Format::q8_0:
      return {32, 34};
    case Format::q4_0:
      return {32, 18};
    case Format::q4_1:
      return {32, 20};
  }
  return {1, 4};
}

/// Rows that lie interleaved in a packed matrix of panels.
inline constexpr int panel_rows = 32;

/// A frozen matrix (O, D) in any format: bytes that are perhaps mapped from a file, and scales where the format has
/// them.
template <Platform P, int O, int D>
struct PackedMatrix {
  static constexpr int out = O, in = D;

  const std::byte* data = nullptr;
  const float* scales = nullptr;  ///< (O), for Format::int8 alone
  Format format = Format::f32;
  [[no_unique_address]] Extent<O> rows{};
  [[no_unique_address]] Extent<D> columns{};
  bool panels = false;  ///< its rows lie interleaved as core/panels.hpp tells

  constexpr std::size_t row_bytes() const {
    const FormatSize s = size_of(format);
    return static_cast<std::size_t>(columns / s.numbers) * static_cast<std::size_t>(s.bytes);
  }
};

/// Views into one flat buffer of T: weights, gradients, moments.
template <Platform P, class T = typename P::Real>
struct Stored {
  using Place = P;
  template <int O, int D>
  using Matrix = MatrixView<P, O, D, T>;
  template <int V, int D>
  using Table = MatrixView<P, V, D, T>;
  template <int N, int D>
  using Learned = MatrixView<P, N, D, T>;
  template <int V, int D>
  using Added = MatrixView<P, V, D, T>;
  template <int D>
  using Vector = VectorView<P, D, AccumulateOf<P>>;
};

/// Read-only weights: matrices in a format of their own each, vectors and learned rows as numbers.
template <Platform P>
struct Packed {
  using Place = P;
  template <int O, int D>
  using Matrix = PackedMatrix<P, O, D>;
  template <int V, int D>
  using Table = PackedMatrix<P, V, D>;
  template <int N, int D>
  using Learned = MatrixView<P, N, D, typename P::Real>;
  template <int V, int D>
  using Added = MatrixView<P, V, D, typename P::Real>;
  template <int D>
  using Vector = VectorView<P, D, AccumulateOf<P>>;
};

/// Nothing: the gradients of a part that is not trained.
struct Frozen {
  template <int O, int D>
  using Matrix = NoGrad;
  template <int V, int D>
  using Table = NoGrad;
  template <int N, int D>
  using Learned = NoGrad;
  template <int V, int D>
  using Added = NoGrad;
  template <int D>
  using Vector = NoGrad;
};

/// The gradients of a frozen part of which only the added rows and adapters are trained.
template <Platform P, class T = AccumulateOf<P>>
struct Adapters {
  using Place = P;
  template <int O, int D>
  using Matrix = NoGrad;
  template <int V, int D>
  using Table = NoGrad;
  template <int N, int D>
  using Learned = NoGrad;
  template <int V, int D>
  using Added = MatrixView<P, V, D, T>;
  template <int D>
  using Vector = NoGrad;
};

template <class S, int O, int D>
using Matrix = typename S::template Matrix<O, D>;
template <class S, int V, int D>
using Table = typename S::template Table<V, D>;
/// Rows that are read as they are: latents, positions, class tokens.
template <class S, int N, int D>
using Learned = typename S::template Learned<N, D>;
template <class S, int V, int D>
using Added = typename S::template Added<V, D>;
template <class S, int D>
using Vector = typename S::template Vector<D>;

/// A frozen matrix with an addition of low rank (Hu et al. 2021, LoRA): w + b a. `linear` alone takes it.
template <class W, class A, class B>
struct LowRankMatrix {
  static constexpr int out = W::out, in = W::in, rank = A::out;

  W base;
  A lora_a;  ///< (rank, D)
  B lora_b;  ///< (O, rank)
};
/// The two factors alone: what is stored and trained of such a matrix.
template <class A, class B>
struct LowRankFactors {
  A lora_a;
  B lora_b;
};

/// A parameter's name, dotted: "layers.3.norm.scale". Built while compiling where it can be.
struct Name {
  std::array<char, 120> text{};
  std::size_t size = 0;

  constexpr Name() = default;
  constexpr Name(std::string_view s) { append(s); }
  constexpr Name(const char* s) : Name(std::string_view(s)) {}
  constexpr operator std::string_view() const { return {text.data(), size}; }

  constexpr void append(std::string_view s) {
    for (const char c : s) {
      if (size == text.size()) fail("name", "'", std::string_view(*this), "' is as long as a parameter's name can be");
      text[size++] = c;
    }
  }
  /// this.child, or child where this is empty
  constexpr Name dot(std::string_view child) const {
    Name joined = *this;
    if (size && !child.empty()) joined.append(".");
    joined.append(child);
    return joined;
  }
  constexpr Name dot(int index) const {
    std::array<char, 12> digits{};
    std::size_t n = digits.size();
    for (unsigned rest = static_cast<unsigned>(index); n == digits.size() || rest; rest /= 10)
      digits[--n] = static_cast<char>('0' + rest % 10);
    return dot(std::string_view(digits.data() + n, digits.size() - n));
  }
};

/// How a new parameter begins.
struct Init {
  enum class Kind : std::uint8_t { zero, one, constant, normal, given } kind = Kind::zero;
  float deviation = 0;  ///< of Kind::normal; the number itself of Kind::constant

  static constexpr Init zero() { return {}; }
  static constexpr Init one() { return {Kind::one, 0}; }
  static constexpr Init constant(float number) { return {Kind::constant, number}; }
  static constexpr Init normal(float deviation) { return {Kind::normal, deviation}; }
  /// Never drawn: it comes from a checkpoint (frozen parts).
  static constexpr Init given() { return {Kind::given, 0}; }
};

/// The axis along which several processes divide a parameter between them.
enum class Split : std::uint8_t { none, rows, columns };

enum class Role : std::uint8_t { matrix, table, added, vector };

/// One line of a layer's list: what the parameter is called, what it is, how large, how it begins, how it splits.
struct Spec {
  Name name;
  Role role = Role::matrix;
  int rows = 0;     ///< O or V; 1 for a vector
  int columns = 0;  ///< I or D
  Init init{};
  Split split = Split::none;

  constexpr std::size_t size() const { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns); }
  constexpr std::array<int, 2> shape() const { return {rows, columns}; }
};

constexpr Spec matrix_spec(Name name, int out, int in, Init init, Split split = Split::none) {
  return {name, Role::matrix, out, in, init, split};
}
constexpr Spec table_spec(Name name, int entries, int width, Init init, Split split = Split::none) {
  return {name, Role::table, entries, width, init, split};
}
constexpr Spec added_spec(Name name, int entries, int width, Init init) {
  return {name, Role::added, entries, width, init, Split::none};
}
constexpr Spec vector_spec(Name name, int width, Init init, Split split = Split::none) {
  return {name, Role::vector, 1, width, init, split};
}

/// The visitor that a layer hands to a part of its own: it puts the part's name before each name.
template <class Visit>
struct Within {
  Visit& visit;
  Name prefix;
  template <class... Leaf>
  constexpr void operator()(Spec spec, Leaf&... leaf) const {
    spec.name = prefix.dot(spec.name);
    visit(spec, leaf...);
  }
};
template <class Visit>
constexpr Within<Visit> within(Visit& visit, Name prefix) {
  return {visit, prefix};
}
template <class Visit>
constexpr Within<Visit> within(Visit& visit, Name prefix, int index) {
  return {visit, prefix.dot(index)};
}

/// Numbers in all parameters of a layer.
template <class Layer>
constexpr std::size_t parameter_count() {
  std::size_t n = 0;
  auto add = [&n](const Spec& spec) { n += spec.size(); };
  Layer::each(add);
  return n;
}

/// Passed as the gradients of a layer that is not trained.
template <class Layer>
inline constexpr typename Layer::template Parameters<Frozen> frozen{};

namespace detail {
template <class W>
struct WeightTraits {
  static constexpr bool is = false;
};
template <class P, int O, int D, class T>
struct WeightTraits<MatrixView<P, O, D, T>> {
  static constexpr bool is = true;
  using Place = P;
};
template <class P, int O, int D>
struct WeightTraits<PackedMatrix<P, O, D>> {
  static constexpr bool is = true;
  using Place = P;
};
template <class W>
struct LowRankTraits {
  static constexpr bool is = false;
};
template <class W, class A, class B>
struct LowRankTraits<LowRankMatrix<W, A, B>> {
  static constexpr bool is = true;
  using Base = W;
};
template <class V>
struct VectorTraits {
  static constexpr bool is = false;
};
template <class P, int D, class T>
struct VectorTraits<VectorView<P, D, T>> {
  static constexpr bool is = true;
};
}  // namespace detail

/// A matrix of weights on platform P, stored or packed.
template <class W, class P>
concept WeightOn = detail::WeightTraits<std::remove_cvref_t<W>>::is &&
                   std::same_as<typename detail::WeightTraits<std::remove_cvref_t<W>>::Place, P>;
/// The same with an addition of low rank.
template <class W, class P>
concept LowRankOn = detail::LowRankTraits<std::remove_cvref_t<W>>::is &&
                    WeightOn<typename detail::LowRankTraits<std::remove_cvref_t<W>>::Base, P>;
/// A matrix to add a gradient to, or NoGrad.
template <class W, class P>
concept WeightSink = WeightOn<W, P> || !wanted<W>;
template <class V>
concept VectorSink = detail::VectorTraits<std::remove_cvref_t<V>>::is || !wanted<V>;

/// Weights as the kernels take them: a kernel is compiled once, not once for each pair of widths.
template <Platform P, int O, int D, class T>
constexpr MatrixView<P, dynamic, dynamic, T> any(const MatrixView<P, O, D, T>& w) {
  return {w.data, Extent<dynamic>(w.rows), Extent<dynamic>(w.columns)};
}
template <Platform P, int O, int D>
constexpr PackedMatrix<P, dynamic, dynamic> any(const PackedMatrix<P, O, D>& w) {
  return {w.data, w.scales, w.format, Extent<dynamic>(w.rows), Extent<dynamic>(w.columns), w.panels};
}
template <Platform P, int D, class T>
constexpr VectorView<P, dynamic, T> any(const VectorView<P, D, T>& v) {
  return {v.data, Extent<dynamic>(v.length)};
}
template <class V>
  requires(!wanted<V>)
constexpr V any(const V& none) {
  return none;
}

/// Rows [first, first + count) of a matrix: the part of a vocabulary.
template <Platform P, int O, int D, class T>
constexpr MatrixView<P, dynamic, D, T> slice(const MatrixView<P, O, D, T>& w, int first, int count) {
  return {w.row(first), Extent<dynamic>(count), w.columns};
}
/// In panels `first` must begin one.
template <Platform P, int O, int D>
constexpr PackedMatrix<P, dynamic, D> slice(const PackedMatrix<P, O, D>& w, int first, int count) {
  check(!w.panels || first % panel_rows == 0, "slice", "row ", first, " begins no panel of ", panel_rows, " rows");
  return {w.data + static_cast<std::size_t>(first) * w.row_bytes(),
          w.scales ? w.scales + first : nullptr,
          w.format,
          Extent<dynamic>(count),
          w.columns,
          w.panels};
}

}  // namespace flamingo
