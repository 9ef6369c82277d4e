/// What tests of layers share: two processes of a split layer as threads, and parameters divided between them.
#pragma once
#include <algorithm>
#include <array>
#include <barrier>
#include <thread>
#include <vector>

#include <flamingo/core/context.hpp>

#include "support/layer.hpp"

namespace flamingo::test {

inline constexpr int processes = 2;

/// Runs f(rank, context) on two threads whose contexts sum over both.
template <Platform P, class F>
void on_two_processes(const F& f) {
  using R = typename P::Real;
  std::barrier meet(processes);
  std::array<R*, processes> parts{};
  const auto process = [&](std::size_t rank) {
    Context<P> ctx(1, std::size_t{1} << 24);
    std::vector<R> total;
    ctx.sum_over_processes = [&](R* data, std::size_t count) {
      parts[rank] = data;
      meet.arrive_and_wait();
      total.assign(count, R(0));
      for (const R* part : parts)
        for (std::size_t i = 0; i < count; ++i) total[i] += part[i];
      meet.arrive_and_wait();  // nobody writes before both have read
      std::copy(total.begin(), total.end(), data);
    };
    f(static_cast<int>(rank), ctx);
  };
  std::thread second(process, 1);
  process(0);
  second.join();
}

/// Calls f(number of the part, number of the whole) over a parameter of one process and of the undivided layer, where
/// `spec` is the part's.
template <class F>
void each_divided(const Spec& spec, int rank, int whole_columns, const F& f) {
  const bool by_columns = spec.split == Split::columns || (spec.split == Split::rows && spec.role == Role::vector);
  const int row0 = spec.split == Split::rows && spec.role != Role::vector ? rank * spec.rows : 0,
            column0 = by_columns ? rank * spec.columns : 0;
  for (int r = 0; r < spec.rows; ++r)
    for (int c = 0; c < spec.columns; ++c)
      f(static_cast<std::size_t>(r * spec.columns + c),
        static_cast<std::size_t>((row0 + r) * whole_columns + column0 + c));
}
template <class Leaf>
int columns_of(const Leaf& leaf) {
  if constexpr (requires { leaf.columns; })
    return leaf.columns;
  else
    return leaf.length;
}

/// The parameters of process `rank`, out of those of the undivided layer.
template <class Part, Platform P, class Whole>
Store<Part, P> divided(Store<Whole, P>& whole, int rank) {
  Store<Part, P> part;
  auto take_part = [&](const Spec& spec, auto& leaf, auto& all) {
    each_divided(spec, rank, columns_of(all), [&](std::size_t i, std::size_t j) { leaf.data[i] = all.data[j]; });
  };
  Part::each(take_part, part.views, whole.views);
  return part;
}
/// The largest relative distance of a process's gradients from the undivided layer's.
template <class Part, Platform P, class Whole>
double divided_distance(Store<Part, P>& part, Store<Whole, P>& whole, int rank) {
  using R = typename P::Real;
  double worst = 0;
  auto compare = [&](const Spec& spec, auto& leaf, auto& all) {
    std::vector<R> expected(spec.size());
    each_divided(spec, rank, columns_of(all), [&](std::size_t i, std::size_t j) { expected[i] = all.data[j]; });
    worst = std::max(worst, distance(leaf.data, expected.data(), expected.size()).relative);
  };
  Part::each(compare, part.views, whole.views);
  return worst;
}

}  // namespace flamingo::test
