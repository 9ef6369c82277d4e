/// Weights of a layer that processes divide: those of an undivided one, each process its part.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include <flamingo/core/random.hpp>
#include <flamingo/core/store.hpp>

namespace flamingo::test {

/// A number of parameter `name` of the undivided layer, -1 to 1, the same whoever asks.
inline float number_at(std::uint64_t name, std::size_t row, std::size_t column) {
  std::uint64_t x = name + 0x9e3779b97f4a7c15u * (row * 1000003u + column + 1);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return static_cast<float>(static_cast<std::int64_t>(x ^ (x >> 31)) >> 40) * 0x1p-23f;
}

/// Where the numbers of a parameter of one of `parts` processes lie in the undivided one.
struct Place {
  std::size_t row = 0, column = 0, columns = 0;

  Place(const Spec& spec, int rank, int parts) : columns(static_cast<std::size_t>(spec.columns)) {
    const bool vector = spec.role == Role::vector;
    const auto at = static_cast<std::size_t>(rank);
    if (spec.split == Split::none) return;
    if (spec.split == Split::columns || vector) {
      column = at * columns;
      columns *= static_cast<std::size_t>(parts);
    } else {
      row = at * static_cast<std::size_t>(spec.rows);
    }
  }
};

/// Weights of process `rank`, far from where training begins: gates open, norms uneven. What is as large in the layer
/// `Whole` is not divided.
template <class Whole = void, class Layer, Platform P>
void fill(Store<Layer, P>& store, int rank, int parts) {
  std::vector<std::size_t> wholes;
  if constexpr (!std::is_void_v<Whole>) {
    const auto note = [&](const Spec& spec) { wholes.push_back(spec.size()); };
    Whole::each(note);
  }
  std::size_t number = 0;
  auto write = [&](const Spec& spec, auto& leaf) {
    const bool divided = number >= wholes.size() || wholes[number] != spec.size();
    ++number;
    const Place place = divided ? Place(spec, rank, parts) : Place(spec, 0, 1);
    const std::uint64_t name = hash(spec.name);
    const bool vector = spec.role == Role::vector;
    const float middle = spec.init.kind == Init::Kind::one ? 1 : 0,
                reach = vector ? 0.5f : std::sqrt(3.0f / static_cast<float>(place.columns));
    for (std::size_t r = 0, i = 0; r < static_cast<std::size_t>(spec.rows); ++r)
      for (std::size_t c = 0; c < static_cast<std::size_t>(spec.columns); ++c)
        leaf.data[i++] = middle + reach * number_at(name, place.row + r, place.column + c);
  };
  Layer::each(write, store.views);
}

}  // namespace flamingo::test
