/// Pictures and windows (ops/grid.hpp) as the raw kernels take them.
#pragma once
#include <span>
#include <vector>

#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/raw/windows.cuh>
#include <flamingo/ops/grid.hpp>

namespace flamingo::kernels {

inline raw::Window raw_of(const Window& window) { return {window.height, window.width, window.stride}; }

/// Pictures and their windows for one op, whose scope gives back the list that pictures of several sizes need.
template <Real R>
raw::Pictures on_device(Context<Cuda<R>>& ctx, std::span<const Grid> grids, const Window& window = {}) {
  std::vector<raw::Picture> list;
  list.reserve(grids.size());
  raw::Pictures all{nullptr, {}, static_cast<int>(grids.size()), 0, 0};
  bool alike = true;
  for (const Grid& grid : grids) {
    const Grid out = windows_of(grid, window, all.windows);
    list.push_back({grid.first, grid.height, grid.width, out.first, out.height, out.width,
                    windows_along(grid.height, window.height, window).before,
                    windows_along(grid.width, window.width, window).before});
    all.cells += grid.rows();
    all.windows += out.rows();
    alike = alike && grid.height == grids[0].height && grid.width == grids[0].width;
  }
  if (alike) {
    if (!list.empty()) all.first = list[0];
    return all;
  }
  const auto device = take_vector<raw::Picture>(ctx, all.count);
  upload(ctx, list.data(), list.size(), device.data);
  all.list = device.data;
  return all;
}

}  // namespace flamingo::kernels
