/// The same run on any platform: numbers go there and come back by explicit copies, and each result has a name.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include <flamingo/core/context.hpp>
#include <flamingo/core/store.hpp>

#include "support/layer.hpp"

namespace flamingo::test {

/// What a run computed, as doubles.
struct Result {
  std::string name;
  std::vector<double> numbers;
};
using Results = std::vector<Result>;

template <Platform P>
Context<P> small_context() {
  constexpr std::size_t capacity = std::size_t{1} << 22;
  if constexpr (P::name == Cpu<float>::name)
    return Context<P>(1, capacity);
  else
    return Context<P>(capacity, 4096);
}

/// A context, what is in its memory, and what came out.
template <Platform P>
struct Run {
  using R = typename P::Real;
  using A = AccumulateOf<P>;

  Context<P> ctx = small_context<P>();
  Results results;

  /// Numbers on the platform.
  template <class T>
  T* put(const std::vector<T>& host) {
    T* const at = take_vector<T, true>(ctx, static_cast<int>(host.size())).data;
    upload(ctx, host.data(), host.size(), at);
    return at;
  }
  /// Uniform numbers in [low, high): the same on every platform and in every type.
  template <class T = R>
  std::vector<T> drawn_numbers(std::size_t count, std::uint64_t stream, double low = -1.5, double high = 1.5) {
    Random draw(20221128, stream);
    std::vector<T> numbers(count);
    for (T& x : numbers) x = T(static_cast<float>(low + (high - low) * static_cast<double>(draw.uniform())));
    return numbers;
  }
  template <int D = dynamic>
  Rows<P, D> rows(int count, int width, std::uint64_t stream, double low = -1.5, double high = 1.5) {
    const auto size = static_cast<std::size_t>(count) * static_cast<std::size_t>(width);
    return {put(drawn_numbers(size, stream, low, high)), count, Extent<D>(width)};
  }
  /// Rows to write to, which hold something that must not matter.
  template <int D = dynamic, class T = R>
  Rows<P, D, T> blank(int count, int width = D) {
    const auto size = static_cast<std::size_t>(count) * static_cast<std::size_t>(width);
    return {put(std::vector<T>(size, T(7))), count, Extent<D>(width)};
  }
  template <int D = dynamic>
  VectorView<P, D, A> vector(int length, std::uint64_t stream, double low = -1.5, double high = 1.5) {
    return {put(drawn_numbers<A>(static_cast<std::size_t>(length), stream, low, high)), Extent<D>(length)};
  }
  MatrixView<P, dynamic, dynamic, R> matrix(int out, int in, std::uint64_t stream) {
    return {rows(out, in, stream).data, Extent<dynamic>(out), Extent<dynamic>(in)};
  }

  /// The parameters of a layer, drawn; or all zero, for gradients.
  template <class Layer>
  auto parameters(std::uint64_t seed) {
    typename Layer::template Parameters<Stored<P>> views;
    place<Layer>(put(drawn<Layer, HostOf<P>>(seed).flat), views);
    return views;
  }
  template <class Layer>
  auto gradients() {
    typename Layer::template Parameters<Stored<P, A>> views;
    place<Layer>(put(std::vector<A>(flat_size<Layer>())), views);
    return views;
  }

  template <class T>
  void report(const std::string& name, const T* numbers, std::size_t count) {
    std::vector<std::remove_const_t<T>> host(count);
    download(ctx, numbers, count, host.data());
    std::vector<double> wide;
    for (const auto x : host) {
      if constexpr (std::is_floating_point_v<T>)
        wide.push_back(static_cast<double>(x));
      else
        wide.push_back(static_cast<double>(static_cast<float>(x)));
    }
    results.push_back({name, wide});
  }
  template <class X>
  void report(const std::string& name, const X& x) {
    report(name, x.data, x.size());
  }
  template <class Layer, class Parameters>
  void report_parameters(const std::string& prefix, const Parameters& parameters) {
    auto one = [&](const Spec& spec, const auto& leaf) {
      report(prefix + std::string(std::string_view(spec.name)), leaf.data, spec.size());
    };
    Layer::each(one, parameters);
  }
};

/// The gradient of a bias of all keys is 0 by nature: what rounding leaves of it is held against the queries', which
/// stands before it.
inline void hold_key_biases_to_queries(Results& results) {
  for (std::size_t i = 1; i < results.size(); ++i)
    if (results[i].name.ends_with("key_bias")) {
      std::vector<double>&to = results[i - 1].numbers, &from = results[i].numbers;
      to.insert(to.end(), from.begin(), from.end());
      from.clear();
    }
}

/// The largest relative distance of two runs' results, and where it is.
struct Worst {
  double distance = 0;
  std::string name;
};
inline Worst worst_distance(const Results& got, const Results& expected) {
  if (got.size() != expected.size()) return {std::numeric_limits<double>::infinity(), "how many results there are"};
  Worst worst;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const std::vector<double>&a = got[i].numbers, &b = expected[i].numbers;
    const bool alike = got[i].name == expected[i].name && a.size() == b.size();
    const double d = alike ? distance(a.data(), b.data(), a.size()).relative : std::numeric_limits<double>::infinity();
    if (!(d <= worst.distance)) worst = {d, got[i].name};
  }
  return worst;
}

}  // namespace flamingo::test
