/// Where windows and cells lie, asked on the device and in plain loops.
#include <flamingo/kernels/cuda/raw/windows.cuh>

#include <catch2/catch.hpp>

#include <checking.hpp>

#include "pictures.hpp"

namespace windows_test {

using namespace flamingo::raw;
using emulator::DeviceBuffer;
using emulator::started;

namespace {

/// seen[window][k][l]: the cell's row, or -1; inside[window]: how many there are.
static __global__ void see_kernel(Pictures pictures, Window window, int* seen, int* inside) {
  const int n = thread_index();
  const WindowPlace place = place_of_window(pictures, window, n);
  for (int k = 0; k < window.height; ++k)
    for (int l = 0; l < window.width; ++l) seen[(n * window.height + k) * window.width + l] = place.cell(k, l);
  inside[n] = place.cells_inside(window);
}
/// seers[cell][k][l]: the row of the window that sees it there, or -1.
static __global__ void seers_kernel(Pictures pictures, Window window, int* seers) {
  const int n = thread_index();
  for (int k = 0; k < window.height; ++k)
    for (int l = 0; l < window.width; ++l)
      seers[(n * window.height + k) * window.width + l] = place_of_cell(pictures, n).window(k, l, window.stride);
}

void check_places(const std::vector<std::vector<int>>& sizes, const Window& window, int above, int left) {
  const TestPictures pictures(sizes, window, above, left);
  const auto size = [&](int rows) { return static_cast<std::size_t>(rows * window.cells()); };
  const auto at = [&](int row, int k, int l) {
    return static_cast<std::size_t>((row * window.height + k) * window.width + l);
  };
  std::vector<int> want_seen(size(pictures.windows), -1), want_seers(size(pictures.cells), -1),
      want_inside(static_cast<std::size_t>(pictures.windows));
  pictures.each(window, [&](int row, int k, int l, int cell) {
    want_seen[at(row, k, l)] = cell;
    want_seers[at(cell, k, l)] = row;
    ++want_inside[static_cast<std::size_t>(row)];
  });
  DeviceBuffer<int> seen(want_seen.size()), seers(want_seers.size()), inside(want_inside.size());
  started(launch(grid_of(1), pictures.windows, 0, nullptr, see_kernel, pictures.on_device(), window, seen.data(),
                 inside.data()));
  started(launch(grid_of(1), pictures.cells, 0, nullptr, seers_kernel, pictures.on_device(), window, seers.data()));
  CAPTURE(sizes, window.height, window.width, window.stride);
  CHECK(seen.host() == want_seen);
  CHECK(seers.host() == want_seers);
  CHECK(inside.host() == want_inside);
}

}  // namespace

TEST_CASE("windows find their cells and cells their windows", "[raw][windows]") {
  const std::vector<std::vector<int>> alike{{6, 7}, {6, 7}, {6, 7}}, ragged{{3, 3}, {9, 12}, {3, 4}, {5, 3}, {8, 8}};
  for (const auto& sizes : {alike, ragged}) {
    check_places(sizes, {3, 3, 1}, 1, 1);
    check_places(sizes, {3, 3, 2}, 1, 0);
    check_places(sizes, {2, 3, 3}, 0, 1);
    check_places(sizes, {1, 1, 1}, 0, 0);
  }
}

}  // namespace windows_test
