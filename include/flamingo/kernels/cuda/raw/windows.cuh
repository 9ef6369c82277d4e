/// Pictures as rows, and the windows that convolution and pooling move over them, on raw pointers.
///
/// A picture's cells are rows of x, line by line, its windows rows of y; pictures lie one after another. Window (i, j)
/// begins at cell (i stride - above, j stride - left), which may lie beyond the edge.
#pragma once
#include "tile.cuh"

namespace flamingo::raw {

struct Picture {
  int first_cell, height, width;
  int first_window, lines, columns;
  int above, left;
};
/// All pictures of a call. Where all are of one size, `first` stands for all; else there is a list in the device's
/// memory.
struct Pictures {
  const Picture* list;  ///< or null
  Picture first;
  int count, cells, windows;

  __device__ Picture at(int m) const {
    if (list) return list[m];
    Picture p = first;
    p.first_cell += m * p.height * p.width;
    p.first_window += m * p.lines * p.columns;
    return p;
  }
};
struct Window {
  int height, width, stride;
  __host__ __device__ int cells() const { return height * width; }
};

/// The picture that a window's row, or a cell's, belongs to.
template <bool OfWindow>
__device__ inline int picture_of(const Pictures& pictures, int row) {
  const Picture& one = pictures.first;
  if (!pictures.list) return row / (OfWindow ? one.lines * one.columns : one.height * one.width);
  int at = 0;
  for (int end = pictures.count; end - at > 1;) {
    const int middle = (at + end) / 2;
    if ((OfWindow ? pictures.list[middle].first_window : pictures.list[middle].first_cell) <= row)
      at = middle;
    else
      end = middle;
  }
  return at;
}

/// A window among the cells of its picture.
struct WindowPlace {
  int first_cell, height, width;
  int line, column;  ///< where it begins

  /// The row of its cell (k, l), or -1 beyond the picture's edge.
  __device__ int cell(int k, int l) const {
    const int i = line + k, j = column + l;
    return i >= 0 && i < height && j >= 0 && j < width ? first_cell + i * width + j : -1;
  }
  /// Calls f(row) for its cells inside the picture, line by line.
  template <class F>
  __device__ void each_cell(const Window& window, const F& f) const {
    for (int k = 0; k < window.height; ++k)
      for (int l = 0; l < window.width; ++l)
        if (const int row = cell(k, l); row >= 0) f(row);
  }
  __device__ int cells_inside(const Window& window) const {
    const auto inside = [](int begin, int size, int extent) {
      const int from = begin > 0 ? begin : 0, to = begin + size < extent ? begin + size : extent;
      return to - from;
    };
    return inside(line, window.height, height) * inside(column, window.width, width);
  }
};
__device__ inline WindowPlace place_of_window(const Pictures& pictures, const Window& window, int row) {
  const Picture p = pictures.at(picture_of<true>(pictures, row));
  const int n = row - p.first_window;
  return {p.first_cell, p.height, p.width, n / p.columns * window.stride - p.above,
          n % p.columns * window.stride - p.left};
}

/// A cell among the windows of its picture.
struct CellPlace {
  int first_window, lines, columns;
  int line, column;  ///< from where the first window begins

  /// The row of the window that sees it as its cell (k, l), or -1.
  __device__ int window(int k, int l, int stride) const {
    int i = line - k, j = column - l;
    if (i < 0 || j < 0) return -1;
    if (stride != 1) {
      if (i % stride != 0 || j % stride != 0) return -1;
      i /= stride;
      j /= stride;
    }
    return i < lines && j < columns ? first_window + i * columns + j : -1;
  }
  /// Calls f(row, k, l) for the windows that see it.
  template <class F>
  __device__ void each_window(const Window& moving, const F& f) const {
    for (int k = 0; k < moving.height; ++k)
      for (int l = 0; l < moving.width; ++l)
        if (const int row = window(k, l, moving.stride); row >= 0) f(row, k, l);
  }
};
__device__ inline CellPlace place_of_cell(const Pictures& pictures, int row) {
  const Picture p = pictures.at(picture_of<false>(pictures, row));
  const int n = row - p.first_cell;
  return {p.first_window, p.lines, p.columns, n / p.width + p.above, n % p.width + p.left};
}

}  // namespace flamingo::raw
