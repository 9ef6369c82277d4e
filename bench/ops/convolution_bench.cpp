#include <flamingo/ops/convolution.hpp>

#include <memory>
#include <string>
#include <vector>

#include <flamingo/kernels/cpu/convolution.hpp>

#include "support/op.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

/// Four pictures of side x side cells.
bool time_convolution(const std::string& name, int side, int in, int out, Window window, int groups) {
  const auto grids = std::make_shared<std::vector<Grid>>();
  for (int m = 0; m < 4; ++m) grids->push_back({m * side * side, side, side});
  const int cells = cells_of(*grids), windows = cells_of(windows_of(*grids, window)),
            columns = window.cells() * in / groups;
  return time_op("convolution/" + name, {.operations = 2.0 * windows * out * columns}, [=](Context<bench::P>& ctx) {
    const auto x = filled(ctx, cells, in), y = filled(ctx, windows, out);
    const MatrixView<bench::P, dynamic, dynamic> w{filled(ctx, out, columns).data, Extent<dynamic>(out),
                                                   Extent<dynamic>(columns)};
    return [=, &ctx] { ops::convolution(ctx, x, *grids, w, window, groups, y, Clip::relu6()); };
  });
}

/// The gradients of a 3 x 3 convolution of groups, over four pictures.
bool time_gradient(const std::string& name, int side, int channels, int groups, bool of_weights) {
  const auto grids = std::make_shared<std::vector<Grid>>();
  for (int m = 0; m < 4; ++m) grids->push_back({m * side * side, side, side});
  const int cells = cells_of(*grids), columns = 9 * channels / groups;
  return time_op("convolution/" + name, {.operations = 2.0 * cells * channels * columns}, [=](Context<bench::P>& ctx) {
    const auto x = filled(ctx, cells, channels), dy = filled(ctx, cells, channels), dx = filled(ctx, cells, channels);
    const auto matrix = [&] {
      return MatrixView<bench::P, dynamic, dynamic>{filled(ctx, channels, columns).data, Extent<dynamic>(channels),
                                                    Extent<dynamic>(columns)};
    };
    const auto w = matrix(), dw = matrix();
    return [=, &ctx] {
      if (of_weights)
        ops::convolution_backward(ctx, x, *grids, w, square(3), groups, dy, NoGrad{}, dw);
      else
        ops::convolution_backward(ctx, x, *grids, w, square(3), groups, dy, dx, NoGrad{});
    };
  });
}

// Layers of EfficientNet-Lite0 at 160 x 160 pixels, and a dense and a grouped kernel, which it has in its stem alone.
const bool registered =
    time_convolution("stem", 160, 3, 32, square(3, 2), 1) &&
    time_convolution("depthwise_3x3", 80, 32, 32, square(3), 32) &&
    time_convolution("depthwise_3x3_stride_2", 80, 96, 96, square(3, 2), 96) &&
    time_convolution("depthwise_5x5", 20, 240, 240, square(5), 240) &&
    time_convolution("depthwise_5x5_wide", 5, 1152, 1152, square(5), 1152) &&
    time_convolution("expand", 80, 16, 96, Window{}, 1) && time_convolution("project", 10, 672, 112, Window{}, 1) &&
    time_convolution("head", 5, 320, 1280, Window{}, 1) && time_convolution("dense_3x3", 20, 64, 64, square(3), 1) &&
    time_convolution("grouped_3x3", 20, 64, 64, square(3), 4);

// Layers of NFNet-F6 at 320 x 320 pixels: of its stem, its second, third and fourth stage.
const bool nfnet = time_convolution("nfnet/stem", 160, 16, 32, square(3), 1) &&
                   time_convolution("nfnet/stride_2", 80, 256, 256, square(3, 2), 2) &&
                   time_convolution("nfnet/third", 20, 768, 768, square(3), 6) &&
                   time_convolution("nfnet/fourth", 10, 768, 768, square(3), 6) &&
                   time_gradient("nfnet/third_input", 20, 768, 6, false) &&
                   time_gradient("nfnet/third_weight", 20, 768, 6, true);

}  // namespace
