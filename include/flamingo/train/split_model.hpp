/// A model whose blocks several processes divide between them, as a trainer sees it: which of its numbers are a
/// process's own part.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <flamingo/config/flamingo.hpp>
#include <flamingo/core/check.hpp>
#include <flamingo/core/context.hpp>
#include <flamingo/core/platform.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/dist/parts.hpp>

namespace flamingo {

/// The most processes that divide a block of the model.
template <class Vision, class Lm>
constexpr int processes_of(const FlamingoConfig<Vision, Lm>& c) {
  int lm = 1;
  if constexpr (requires { c.lm.split; }) lm = c.lm.split;
  return std::max(c.xattn.split, lm);
}
/// The model undivided.
template <class Vision, class Lm>
constexpr FlamingoConfig<Vision, Lm> undivided(FlamingoConfig<Vision, Lm> c) {
  c.xattn.split = 1;
  if constexpr (requires { c.lm.split; }) c.lm.split = 1;
  return c;
}

/// Ranges of a layer's flat buffer of which each process has another part: the parameters that are larger in the
/// undivided layer. What lies outside of them is the same in all processes.
template <class Layer, class Whole>
std::vector<dist::Range> divided_ranges() {
  std::vector<std::size_t> wholes;
  const auto note = [&](const Spec& spec) { wholes.push_back(spec.size()); };
  Whole::each(note);
  std::vector<dist::Range> ranges;
  std::size_t at = 0, i = 0;
  const auto add = [&](const Spec& spec) {
    const dist::Range range{at, at + flat_size(spec)};
    at = range.end;
    if (spec.size() == wholes.at(i++)) return;
    if (!ranges.empty() && ranges.back().end == range.begin)
      ranges.back().end = range.end;
    else
      ranges.push_back(range);
  };
  Layer::each(add);
  return ranges;
}

/// Whether all processes that divide the model have the same numbers. Each of them asks, and all are told the same.
template <Platform P>
bool same_in_all(Context<P>& ctx, std::span<const std::size_t> numbers) {
  std::vector<double> sums{1};  // Σ 1, Σ x and Σ x² of each: n Σ x² = (Σ x)² where all have the same x
  for (const std::size_t x : numbers)
    sums.insert(sums.end(), {static_cast<double>(x), static_cast<double>(x) * static_cast<double>(x)});
  check(static_cast<bool>(ctx.sum_over_hosts), "split",
        "the model is split but the context has no communicator: dist::join() gives it one");
  ctx.sum_over_hosts(sums);
  bool same = true;
  for (std::size_t i = 1; i < sums.size(); i += 2) same = same && sums[0] * sums[i + 1] == sums[i] * sums[i];
  return same;
}

/// Where nothing is computed there are no others.
template <Platform P>
bool same_in_all(Context<Dry<P>>&, std::span<const std::size_t>) {
  return true;
}

/// What each range has in common with those of another list, in its order.
inline std::vector<dist::Range> common(std::span<const dist::Range> ranges, std::span<const dist::Range> others) {
  std::vector<dist::Range> both;
  for (const dist::Range& range : ranges)
    for (const dist::Range& other : others) {
      const std::size_t begin = std::max(range.begin, other.begin), end = std::min(range.end, other.end);
      if (begin < end) both.push_back({begin, end});
    }
  return both;
}
/// What lies between ascending ranges of a buffer of `size` numbers.
inline std::vector<dist::Range> between(std::span<const dist::Range> ranges, std::size_t size) {
  std::vector<dist::Range> gaps;
  std::size_t at = 0;
  for (const dist::Range& range : ranges) {
    if (at < range.begin) gaps.push_back({at, range.begin});
    at = range.end;
  }
  if (at < size) gaps.push_back({at, size});
  return gaps;
}

}  // namespace flamingo
