/// The parameters of a layer in one flat buffer, in the order of Layer::each: weights, gradients, moments.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <flamingo/core/context.hpp>
#include <flamingo/core/parameters.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/core/threads.hpp>

namespace flamingo {

/// Room of a parameter in a flat buffer: each begins at a multiple of 16, the gaps hold zeros.
constexpr std::size_t flat_size(const Spec& spec) { return (spec.size() + 15) / 16 * 16; }

/// An op takes so many numbers of a flat buffer at a time: an int counts them, and they are whole blocks of any format.
inline constexpr std::size_t most_at_once = std::size_t{1} << 30;

/// Numbers of a layer's flat buffer.
template <class Layer>
constexpr std::size_t flat_size() {
  std::size_t n = 0;
  auto add = [&n](const Spec& spec) { n += flat_size(spec); };
  Layer::each(add);
  return n;
}

/// Points every view of p into a flat buffer of flat_size<Layer>() numbers.
template <class Layer, class T, class Parameters>
void place(T* flat, Parameters& p) {
  auto put = [&flat](const Spec& spec, auto& leaf) {
    if constexpr (wanted<decltype(leaf)>) leaf.data = flat;
    flat += flat_size(spec);
  };
  Layer::each(put, p);
}

namespace detail {
/// to[i] = deviation · normal number i of a stream: a thread draws some of them at a time.
template <class T>
void draw_normal(Threads& threads, const Random& random, float deviation, std::span<T> to) {
  constexpr std::size_t some = 1 << 12;
  threads.run(static_cast<int>((to.size() + some - 1) / some), [&](int task) {
    const std::size_t first = static_cast<std::size_t>(task) * some, count = std::min(some, to.size() - first);
    std::array<float, some> normals;
    random.normals(first, std::span(normals).first(count));
    for (std::size_t i = 0; i < count; ++i) to[first + i] = T(deviation * normals[i]);
  });
}
}  // namespace detail

/// Draws initial values as Layer::each asks; the numbers depend on seed and parameter name alone. A large layer is
/// drawn by all of the machine's threads, which are started for it: a Store has no context, and so no host's executor.
template <class Layer, class Parameters>
void initialise(Parameters& p, std::uint64_t seed) {
  Threads threads(flat_size<Layer>() < std::size_t{1} << 20 ? 1 : 0);
  auto draw = [&](const Spec& spec, auto& leaf) {
    using T = std::remove_reference_t<decltype(*leaf.data)>;
    const std::span<T> numbers(leaf.data, spec.size());
    switch (spec.init.kind) {
      case Init::Kind::one:
        std::ranges::fill(numbers, T(1));
        break;
      case Init::Kind::constant:
        std::ranges::fill(numbers, T(spec.init.deviation));
        break;
      case Init::Kind::normal:
        detail::draw_normal(threads, Random(seed, hash(spec.name)), spec.init.deviation, numbers);
        break;
      case Init::Kind::zero:
      case Init::Kind::given:
        std::ranges::fill(numbers, T(0));
        break;
    }
  };
  Layer::each(draw, p);
}

/// What owns numbers of a Store in P's memory. A platform whose memory is not the host's specialises it: with a type
/// that is made of a number of zeros or of a vector, and has data() and size().
template <Platform P, class T>
struct Buffer : std::type_identity<std::vector<T>> {};

/// Where nothing is computed there are no numbers, and a Store takes no memory.
template <class T>
class CountedNumbers {
 public:
  explicit CountedNumbers(std::size_t count = 0) : count_(count) {}
  T* data() const { return nullptr; }
  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }

 private:
  std::size_t count_;
};
template <Platform P, class T>
struct Buffer<Dry<P>, T> : std::type_identity<CountedNumbers<T>> {};
template <Platform P, class T>
const T* readable(Context<Dry<P>>&, const CountedNumbers<T>&) {
  return nullptr;
}

/// What owns a packed matrix in P's memory, in the order that P's kernels read. A platform whose memory is not the
/// host's specialises it: with a type that is made of the host's matrix, row after row, and points P's to itself.
template <Platform P>
class PackedBuffer;

/// Owns a flat buffer in P's memory and the views into it.
template <class Layer, Platform P, class T = typename P::Real>
struct Store {
  using Views = typename Layer::template Parameters<Stored<P, T>>;
  static constexpr bool computes = !std::is_same_v<typename Buffer<P, T>::type, CountedNumbers<T>>;
  typename Buffer<P, T>::type flat;
  Views views{};

  /// All zero: gradients, moments.
  Store();
  /// As the layer asks: new weights.
  explicit Store(std::uint64_t seed);
  /// The numbers of another Store of the layer, on whatever platform.
  explicit Store(std::vector<T> host);

  Store(Store&&) = default;
  Store& operator=(Store&&) = default;
  Store(const Store&) = delete;  // views point into flat
  Store& operator=(const Store&) = delete;

  /// Zeros, in the order of what P is asked to do; without a context, where the host can write them.
  void clear(Context<P>& ctx) { clear_numbers(ctx, flat.data(), flat.size()); }
  void clear() { std::fill(flat.begin(), flat.end(), T(0)); }

 private:
  static typename Buffer<P, T>::type drawn(std::uint64_t seed);
};

// Outside of the class, so that they are not inline: they walk over all parameters, and `extern template` keeps them
// out of a translation unit (docs/performance.md).
template <class Layer, Platform P, class T>
Store<Layer, P, T>::Store() : flat(flat_size<Layer>()) {
  if constexpr (computes) place<Layer>(flat.data(), views);
}
template <class Layer, Platform P, class T>
Store<Layer, P, T>::Store(std::uint64_t seed) : flat(drawn(seed)) {
  if constexpr (computes) place<Layer>(flat.data(), views);
}
template <class Layer, Platform P, class T>
Store<Layer, P, T>::Store(std::vector<T> host) : flat(std::move(host)) {
  check(flat.size() == flat_size<Layer>(), "store", flat.size(), " numbers for a layer of ", flat_size<Layer>());
  place<Layer>(flat.data(), views);
}
template <class Layer, Platform P, class T>
typename Buffer<P, T>::type Store<Layer, P, T>::drawn(std::uint64_t seed) {
  using Numbers = typename Buffer<P, T>::type;
  if constexpr (computes) {
    std::vector<T> host(flat_size<Layer>());
    Views on_host{};
    place<Layer>(host.data(), on_host);
    initialise<Layer>(on_host, seed);
    return Numbers(std::move(host));
  } else {
    return Numbers(flat_size<Layer>());
  }
}

/// Owns weights that are read alone, each in P's own type: matrices in Real, vectors in the type of sums, rounded from
/// a Store of the latter. So a model runs in bfloat16.
template <class Layer, Platform P>
class RoundedStore {
 public:
  using Views = typename Layer::template Parameters<Stored<P>>;
  Views views{};

  explicit RoundedStore(const Store<Layer, HostOf<P>, AccumulateOf<P>>& source) : bytes_(rounded(source.views, views)) {
    place_in(bytes_.data(), views);
  }

 private:
  using Source = typename Layer::template Parameters<Stored<HostOf<P>, AccumulateOf<P>>>;

  /// Points every view into bytes, each at a multiple of 64; returns how many there are.
  static std::size_t place_in(std::byte* bytes, Views& p) {
    std::size_t at = 0;
    auto put = [&](const Spec& spec, auto& leaf) {
      leaf.data = bytes ? reinterpret_cast<decltype(leaf.data)>(bytes + at) : nullptr;
      at += (spec.size() * sizeof(*leaf.data) + 63) / 64 * 64;
    };
    Layer::each(put, p);
    return at;
  }
  static std::vector<std::byte> rounded(const Source& source, Views& p) {
    std::vector<std::byte> bytes(place_in(nullptr, p));
    place_in(bytes.data(), p);
    auto round = [](const Spec& spec, const auto& from, auto& to) {
      for (std::size_t i = 0; i < spec.size(); ++i)
        to.data[i] = static_cast<std::remove_reference_t<decltype(to.data[i])>>(from.data[i]);
    };
    Layer::each(round, source, p);
    return bytes;
  }

  typename Buffer<P, std::byte>::type bytes_;
};

/// A Store where the host can read it: itself, or a copy where P has memory of its own.
template <class Layer, Platform P, class T>
decltype(auto) host_copy(Context<P>& ctx, const Store<Layer, P, T>& store) {
  if constexpr (std::is_same_v<HostOf<P>, P>)
    return (store);
  else
    return Store<Layer, HostOf<P>, T>(host_copy(ctx, store.flat.data(), store.flat.size()));
}

}  // namespace flamingo
