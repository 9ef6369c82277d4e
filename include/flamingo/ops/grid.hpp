/// Pictures as rows: where each lies and how large it is, and the windows that convolution and pooling move over them.
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>

namespace flamingo {

/// A picture among rows: `height` lines of `width` cells from row `first` on, one row a cell.
struct Grid {
  int first = 0, height = 0, width = 0;

  constexpr int rows() const { return height * width; }
  friend constexpr bool operator==(const Grid&, const Grid&) = default;
};

/// What a window sees beyond a picture's edge: zeros for convolution, nothing for pooling.
enum class Padding : std::uint8_t {
  valid,            ///< none: windows lie inside
  symmetric,        ///< Window::border cells on each side
  same_tensorflow,  ///< ceil(size / stride) windows; an odd extra cell lies below or at the right
};

/// A window of height x width cells that moves by `stride` along both axes.
struct Window {
  int height = 1, width = 1, stride = 1;
  Padding padding = Padding::valid;
  int border = 0;

  /// Whether each window is one cell and all cells are visited.
  constexpr bool is_cell() const { return height == 1 && width == 1 && stride == 1 && border == 0; }
  constexpr int cells() const { return height * width; }
};

constexpr Window square(int kernel, int stride = 1, Padding padding = Padding::same_tensorflow, int border = 0) {
  return {kernel, kernel, stride, padding, border};
}

/// Windows along one axis: window i covers cells [i * stride - before, i * stride - before + kernel).
struct WindowsAlong {
  int count, before;
};
constexpr WindowsAlong windows_along(int size, int kernel, const Window& window) {
  if (window.padding == Padding::same_tensorflow) {
    const int count = (size + window.stride - 1) / window.stride;
    return {count, std::max(0, (count - 1) * window.stride + kernel - size) / 2};
  }
  const int border = window.padding == Padding::symmetric ? window.border : 0, room = size + 2 * border - kernel;
  return {room < 0 ? 0 : room / window.stride + 1, border};
}

/// The grid of a picture's windows; it begins at row `first`.
constexpr Grid windows_of(const Grid& grid, const Window& window, int first = 0) {
  return {first, windows_along(grid.height, window.height, window).count,
          windows_along(grid.width, window.width, window).count};
}
/// The grids of all pictures' windows, one after another.
inline std::vector<Grid> windows_of(std::span<const Grid> grids, const Window& window) {
  std::vector<Grid> out;
  out.reserve(grids.size());
  for (int first = 0; const Grid& grid : grids) {
    out.push_back(windows_of(grid, window, first));
    first += out.back().rows();
  }
  return out;
}

/// Cells of all pictures together.
constexpr int cells_of(std::span<const Grid> grids) {
  int cells = 0;
  for (const Grid& grid : grids) cells += grid.rows();
  return cells;
}

/// Throws unless the pictures lie one after another and fill `rows` rows.
inline void check_grids(std::string_view where, std::span<const Grid> grids, int rows) {
  int first = 0;
  for (std::size_t i = 0; i < grids.size(); ++i) {
    const Grid& grid = grids[i];
    check(grid.height > 0 && grid.width > 0, where, "picture ", i, " is ", grid.height, " x ", grid.width,
          " cells: neither side may be empty");
    check(grid.first == first, where, "picture ", i, " begins at row ", grid.first, ", expected ", first,
          ": pictures lie one after another");
    first += grid.rows();
  }
  check(first == rows, where, "the pictures have ", first, " cells together and there are ", rows, " rows");
}

/// check_grids, and throws where a picture has room for no window. Returns the number of windows.
inline int check_windows(std::string_view where, std::span<const Grid> grids, const Window& window, int rows) {
  check(window.height > 0 && window.width > 0 && window.stride > 0 && window.border >= 0, where, "the window is ",
        window.height, " x ", window.width, " with stride ", window.stride, " and border ", window.border,
        ": sizes and stride are positive, the border is not negative");
  check_grids(where, grids, rows);
  int count = 0;
  for (const Grid& grid : grids) {
    const Grid out = windows_of(grid, window);
    check(out.rows() > 0, where, "a picture of ", grid.height, " x ", grid.width, " cells has no room for a window of ",
          window.height, " x ", window.width);
    count += out.rows();
  }
  return count;
}

}  // namespace flamingo
