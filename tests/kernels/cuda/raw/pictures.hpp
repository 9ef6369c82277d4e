/// Pictures and windows for the tests of raw kernels, with where each window lies in plain loops.
#pragma once
#include <deque>
#include <vector>

#include <device_buffer.hpp>
#include <flamingo/kernels/cuda/raw/windows.cuh>

namespace flamingo::raw {

/// Pictures one after another, on the host and on the device. A border lies around each.
struct TestPictures {
  std::vector<Picture> list;
  int cells = 0, windows = 0;

  TestPictures(const std::vector<std::vector<int>>& sizes, const Window& window, int above, int left) {
    for (const std::vector<int>& size : sizes) {
      const int h = size[0], w = size[1], lines = (h + 2 * above - window.height) / window.stride + 1,
                columns = (w + 2 * left - window.width) / window.stride + 1;
      list.push_back({cells, h, w, windows, lines, columns, above, left});
      cells += h * w;
      windows += lines * columns;
    }
    device.emplace_back(list);
  }
  /// With a list where their sizes differ.
  Pictures on_device() const {
    bool alike = true;
    for (const Picture& p : list) alike = alike && p.height == list[0].height && p.width == list[0].width;
    return {alike ? nullptr : device[0].data(), list[0], static_cast<int>(list.size()), cells, windows};
  }

  /// Calls f(window's row, k, l, cell's row) for all cells of all windows that lie in a picture, in their order.
  template <class F>
  void each(const Window& window, const F& f) const {
    for (const Picture& p : list)
      for (int n = 0; n < p.lines * p.columns; ++n)
        for (int k = 0; k < window.height; ++k)
          for (int l = 0; l < window.width; ++l) {
            const int i = n / p.columns * window.stride - p.above + k, j = n % p.columns * window.stride - p.left + l;
            if (i >= 0 && i < p.height && j >= 0 && j < p.width)
              f(p.first_window + n, k, l, p.first_cell + i * p.width + j);
          }
  }

 private:
  std::deque<emulator::DeviceBuffer<Picture>> device;  // which does not move
};

}  // namespace flamingo::raw
