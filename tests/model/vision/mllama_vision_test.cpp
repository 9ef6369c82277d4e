#include <flamingo/model/vision/mllama_vision.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include <flamingo/cpu.hpp>

#include "support/layer.hpp"

namespace mllama_vision_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

/// Tiles of 3 x 3 patches: 10 rows, filled up to 16.
constexpr MllamaVision config{.image = 7,
                              .patch = 2,
                              .tiles = 3,
                              .ratios = 4,
                              .dim = 6,
                              .layers = 2,
                              .global_layers = 1,
                              .heads = 2,
                              .hidden = 5,
                              .intermediate = LayerList::of({2, 0})};
constexpr int pixels_of_tile = 49, T = 10, K = 3;

template <Platform P>
struct Case {
  using Layer = model::MllamaVisionTransformer<config, P>;
  using R = typename P::Real;
  static constexpr int features = config.features();

  Context<P> ctx{1, std::size_t{1} << 28};
  Store<Layer, P> weights = drawn<Layer, P>(41), gradients;
  std::vector<TiledPicture> pictures{{2, 3}, {1, 1}, {3, 4}};
  Tensor<R> pixels = drawn_rows<R>(6 * pixels_of_tile, 3, 1);
  Tensor<R> y{0, features}, dy{0, features}, dpixels{0, 3};

  /// Σ y dy
  double run(bool backward = false) {
    const int rows = static_cast<int>(pictures.size()) * K * T;
    y = Tensor<R>(rows, features, R(7));
    if (dy.rows() != rows) dy = drawn_rows<R>(rows, features, 2);
    const auto mark = ctx.arena().kept();
    const auto x = pixels.template rows_on<P, 3>();
    const Rows<P, 3, const R> in{x.data, x.rows, {}};
    const auto out = y.template rows_on<P, features>();
    if (backward) {
      gradients.clear();
      dpixels = Tensor<R>(pixels.rows(), 3, R(7));
      const auto saved = Layer::template forward<all_gradients>(ctx, weights.views, in, pictures, out);
      const auto d = dy.template rows_on<P, features>();
      Layer::backward(ctx, weights.views, saved, {d.data, d.rows, {}}, dpixels.template rows_on<P, 3>(),
                      gradients.views);
    } else {
      Layer::forward(ctx, weights.views, in, pictures, out);
    }
    ctx.arena().release(mark);
    double sum = 0;
    for (int n = 0; n < rows; ++n)
      for (int d = 0; d < features; ++d) sum += static_cast<double>(y(n, d) * dy(n, d));
    return sum;
  }
};

}  // namespace

TEST_CASE("the vision transformer of tiles has the gradients of its differences", "[mllama_vision]") {
  Case<Cpu<double>> c;
  c.run(true);
  check_weight_directions(c.weights, c.gradients, [&] { return c.run(); });
  double norm = 0, error = 0;
  const double whole = c.run();
  for (int n = 0; n < c.pixels.rows(); n += 7) {
    double& x = c.pixels(n, n % 3);
    const double at = x, step = difference_step(at);
    x = at + step;
    const double above = c.run();
    x = at - step;
    const double below = c.run();
    x = at;
    norm += std::pow(c.dpixels(n, n % 3), 2);
    error += std::pow(c.dpixels(n, n % 3) - (above - below) / (2 * step), 2);
  }
  CHECK(std::sqrt(error) < gradient_bound(std::sqrt(norm), whole));
}

TEST_CASE("pictures do not see each other, bit for bit", "[mllama_vision]") {
  Case<Cpu<float>> all;
  all.run();
  int tile = 0;
  for (std::size_t m = 0; m < all.pictures.size(); ++m) {
    Case<Cpu<float>> one;
    one.pictures = {all.pictures[m]};
    one.pixels = rows_of(all.pixels, tile * pixels_of_tile, all.pictures[m].tiles * pixels_of_tile);
    one.run();
    CHECK(one.y == rows_of(all.y, static_cast<int>(m) * K * T, K * T));
    tile += all.pictures[m].tiles;
  }
}

TEST_CASE("tiles see one another, and the shape of their picture", "[mllama_vision]") {
  Case<Cpu<float>> c;
  c.run();
  const auto before = c.y;
  const auto differs = [&](int tile) { return !(rows_of(c.y, tile * T, T) == rows_of(before, tile * T, T)); };
  c.pixels(pixels_of_tile + 5, 1) += 1;  // in the second tile of the first picture, which has two
  c.run();
  CHECK((differs(0) && differs(1) && differs(2)));
  CHECK_FALSE((differs(3) || differs(6)));
  c.pixels(pixels_of_tile + 5, 1) -= 1;
  c.pictures[0].aspect_ratio_id = 2;
  c.run();
  CHECK((differs(0) && differs(1)));
  CHECK_FALSE(differs(3));
}

TEST_CASE("padding sees what is there, and what is there sees padding too", "[mllama_vision]") {
  const std::vector<TiledPicture> pictures{{2, 3}, {3, 4}};
  const auto plan = MllamaVisionPlan::of(config, pictures);
  const int padded = 16, N = 2 * K * padded;
  std::vector<char> there(static_cast<std::size_t>(N), 0);
  for (int m = 0; m < 2; ++m)
    for (int t = 0; t < pictures[static_cast<std::size_t>(m)].tiles; ++t)
      for (int s = 0; s < T; ++s) there[static_cast<std::size_t>((m * K + t) * padded + s)] = 1;
  std::vector<int> spans_of(static_cast<std::size_t>(N), 0);
  for (const Span& span : plan.spans.spans)
    for (int row = span.first_row; row < span.first_row + span.rows; ++row) {
      ++spans_of[static_cast<std::size_t>(row)];
      std::vector<char> seen(static_cast<std::size_t>(N), 0);
      for (int i = span.first_segment; i < span.first_segment + span.segments; ++i) {
        const Segment& s = plan.spans.segments[static_cast<std::size_t>(i)];
        for (int key = s.first; key < s.first + s.count; ++key) ++seen[static_cast<std::size_t>(key)];
      }
      for (int key = 0; key < N; ++key) {
        const auto r = static_cast<std::size_t>(row), k = static_cast<std::size_t>(key);
        REQUIRE(seen[k] == (row / (K * padded) == key / (K * padded) && (there[r] || there[k])));
      }
    }
  CHECK(std::all_of(spans_of.begin(), spans_of.end(), [](int n) { return n == 1; }));
}

TEST_CASE("pictures that the vision transformer of tiles cannot read are refused", "[mllama_vision]") {
  const auto plan = [](TiledPicture picture) { return MllamaVisionPlan::of(config, std::span(&picture, 1)); };
  CHECK_THROWS_WITH(plan({0, 1}), "[vision] picture 0 has 0 tiles, expected 1 to 3");
  CHECK_THROWS_WITH(plan({4, 1}), "[vision] picture 0 has 4 tiles, expected 1 to 3");
  CHECK_THROWS_WITH(plan({1, 5}), "[vision] picture 0 has aspect_ratio_id 5, expected 0 to 4");
  Case<Cpu<float>> c;
  c.pixels = drawn_rows<float>(5 * pixels_of_tile, 3, 1);
  CHECK_THROWS(c.run());
}

}  // namespace mllama_vision_test
