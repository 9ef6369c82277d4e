/// Parameters of the reference implementations in goldens, as ours.
#pragma once
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "support/compare.hpp"
#include "support/golden.hpp"

namespace flamingo::test {

/// "Agrees", as for every golden: relative distances of fp32 outputs and gradients.
inline constexpr double outputs_agree = 1e-5, gradients_agree = 1e-4;

/// Where a parameter of ours lies in a peer's state_dict. Peers stack keys over values in one matrix.
struct PeerPlace {
  std::string name;
  bool second_half = false;
};
using PeerPlaces = std::function<PeerPlace(std::string_view)>;

inline bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}
/// "scale" or "bias" of a norm, "query" ... "out" of an attention.
inline std::string torch_norm(std::string_view ours) { return ours == "scale" ? "weight" : "bias"; }
inline PeerPlace torch_attention(std::string prefix, std::string_view ours) {
  if (ours == "query") return {prefix + "to_q.weight"};
  if (ours == "out") return {prefix + "to_out.weight"};
  return {prefix + "to_kv.weight", ours == "value"};
}

/// The numbers of a golden tensor that belong to a parameter.
inline std::vector<double> peer_numbers(const io::Safetensors& file, std::string_view kind, const Spec& spec,
                                        const PeerPlaces& place_of) {
  const PeerPlace place = place_of(spec.name);
  const std::vector<double> all = numbers<double>(file.at(std::string(kind) + place.name));
  const bool stacked = place.name.ends_with("to_kv.weight");
  INFO(place.name);
  REQUIRE(all.size() == spec.size() * (stacked ? 2 : 1));
  const auto from = all.begin() + static_cast<std::ptrdiff_t>(place.second_half ? spec.size() : 0);
  return {from, from + static_cast<std::ptrdiff_t>(spec.size())};
}

template <class Layer, Platform P>
Store<Layer, P> peer_weights(const io::Safetensors& file, const PeerPlaces& place_of) {
  Store<Layer, P> store;
  auto fill = [&](const Spec& spec, auto& leaf) {
    using T = std::remove_reference_t<decltype(*leaf.data)>;
    const std::vector<double> values = peer_numbers(file, "param.", spec, place_of);
    std::transform(values.begin(), values.end(), leaf.data, [](double x) { return T(x); });
  };
  Layer::each(fill, store.views);
  return store;
}
/// `floor`: what the peer's own float sums leave open, for a gradient whose terms cancel.
template <class Layer, Platform P>
void check_peer_gradients(const io::Safetensors& file, const Store<Layer, P>& gradients, const PeerPlaces& place_of,
                          double floor = 0) {
  auto compare = [&](const Spec& spec, const auto& leaf) {
    INFO(std::string(std::string_view(spec.name)));
    const std::vector<double> expected = peer_numbers(file, "grad.", spec, place_of);
    double norm = 0, error = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      norm += expected[i] * expected[i];
      error += std::pow(static_cast<double>(leaf.data[i]) - expected[i], 2);
    }
    CHECK(std::sqrt(error) <= std::max(gradients_agree * std::sqrt(norm), floor));
  };
  Layer::each(compare, gradients.views);
}

/// A golden tensor as rows of its last axis.
template <class R>
Tensor<R> golden_rows(const io::Safetensors& file, std::string_view name) {
  const io::TensorView& view = file.at(name);
  const int columns = static_cast<int>(view.shape.back());
  Tensor<R> t(static_cast<int>(view.count()) / columns, columns);
  const std::vector<R> values = numbers<R>(view);
  std::copy(values.begin(), values.end(), t.begin());
  return t;
}
template <class R>
void check_golden(const io::Safetensors& file, const std::string& name, const Tensor<R>& ours, double bound) {
  INFO(name);
  const Tensor<double> expected = golden_rows<double>(file, name);
  REQUIRE((ours.rows() == expected.rows() && ours.columns() == expected.columns()));
  CHECK(distance(ours, expected).relative <= bound);
}

}  // namespace flamingo::test
