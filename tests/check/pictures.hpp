/// The pictures of a golden file.
#pragma once
#include <cstddef>
#include <vector>

#include <flamingo/core/view.hpp>
#include <flamingo/ops/grid.hpp>

#include "support/golden.hpp"

namespace flamingo::test {

/// (pictures, 3, height, width) as pixels (rows, 3) and their grids.
template <class R>
struct GoldenPictures {
  std::vector<R> pixels;
  std::vector<Grid> grids;

  explicit GoldenPictures(const io::TensorView& tensor) : pixels(numbers<R>(tensor)) {
    const std::vector<R> planes = pixels;
    const auto axis = [&](std::size_t from_end) {
      return static_cast<int>(tensor.shape[tensor.shape.size() - from_end]);
    };
    check(tensor.shape.size() >= 4 && axis(3) == 3, "golden", tensor.name, " has shape ", io::shape_text(tensor.shape),
          ", expected (.., 3, height, width)");
    const auto cells = static_cast<std::size_t>(axis(2)) * static_cast<std::size_t>(axis(1));
    for (std::size_t i = 0; i < pixels.size(); ++i)
      pixels[i] = planes[i / (3 * cells) * 3 * cells + i % 3 * cells + i / 3 % cells];
    for (std::size_t m = 0; m < pixels.size() / 3 / cells; ++m)
      grids.push_back({static_cast<int>(m * cells), axis(2), axis(1)});
  }
  template <Platform P>
  Rows<P, 3, const R> rows() const {
    return {pixels.data(), static_cast<int>(pixels.size() / 3), {}};
  }
};

}  // namespace flamingo::test
