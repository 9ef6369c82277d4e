/// A square table of learned positions read at the cells of a grid of another size: bicubic interpolation as
/// torch.nn.functional.interpolate does it with align_corners false.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/ops/arrange.hpp>

namespace flamingo {

/// How one axis is read: cell i of `to` lies at (i + 1/2) step - 1/2 among the `from` entries.
struct CubicAxis {
  int from = 0, to = 0;
  double step = 0;  ///< entries between two cells; from / to where both cover the same picture
  bool antialias = false;

  /// Entries that one cell reads at most.
  constexpr int taps() const { return antialias ? 2 * static_cast<int>(std::ceil(support())) + 1 : 4; }
  /// How far from a cell its entries lie at most: further apart cells average more of them.
  constexpr double support() const { return antialias ? 2 * std::max(step, 1.0) : 2; }
};

namespace detail {

/// Keys' cubic convolution kernel (1981).
constexpr double cubic(double x, double a) {
  x = x < 0 ? -x : x;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((x - 5) * x + 8) * a * x - 4 * a;
  return 0;
}

/// The `axis.taps()` entries of cell i; those beyond the edge are the edge's, those beyond the window weigh nothing.
inline std::vector<Tap> taps_along(const CubicAxis& axis, int i) {
  std::vector<Tap> taps(static_cast<std::size_t>(axis.taps()));
  const double at = (i + 0.5) * axis.step - 0.5;
  if (!axis.antialias) {
    const int first = static_cast<int>(std::floor(at)) - 1;
    for (int k = 0; k < 4; ++k)
      taps[static_cast<std::size_t>(k)] = {std::clamp(first + k, 0, axis.from - 1),
                                           static_cast<float>(cubic(first + k - at, -0.75))};
    return taps;
  }
  // As Pillow: a = -1/2, entries whose middle lies within the support, weights that sum to 1.
  const double support = axis.support(), middle = at + 0.5;
  const int first = std::max(0, static_cast<int>(middle - support + 0.5)),
            last = std::min(axis.from, static_cast<int>(middle + support + 0.5));
  const auto weight = [&](int entry) { return cubic((entry - at) / std::max(axis.step, 1.0), -0.5); };
  double sum = 0;
  for (int entry = first; entry < last; ++entry) sum += weight(entry);
  for (int entry = first; entry < last; ++entry)
    taps[static_cast<std::size_t>(entry - first)] = {entry, static_cast<float>(weight(entry) / sum)};
  return taps;
}

}  // namespace detail

/// Appends the taps of all cells of a grid, line by line, `room` of them a cell, into a table whose square grid begins
/// at row `first`. `room` is at least down.taps() * across.taps().
inline void append_cubic(const CubicAxis& down, const CubicAxis& across, int first, int room, std::vector<Tap>& taps) {
  check(down.taps() * across.taps() <= room, "positions", "a cell reads ", down.taps() * across.taps(),
        " entries and has room for ", room);
  std::vector<std::vector<Tap>> columns;
  for (int j = 0; j < across.to; ++j) columns.push_back(detail::taps_along(across, j));
  for (int i = 0; i < down.to; ++i) {
    const std::vector<Tap> lines = detail::taps_along(down, i);
    for (const std::vector<Tap>& column : columns) {
      const std::size_t end = taps.size() + static_cast<std::size_t>(room);
      for (const Tap& line : lines)
        for (const Tap& cell : column)
          taps.push_back({first + line.row * across.from + cell.row, line.weight * cell.weight});
      taps.resize(end, {first, 0});
    }
  }
}

}  // namespace flamingo
