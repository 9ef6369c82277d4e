#include <algorithm>
#include <catch2/catch.hpp>
#include <flamingo/kernels/cpu/pooling.hpp>

#include "support/compare.hpp"
#include "support/gradient_check.hpp"
#include "support/platforms.hpp"
#include "support/tensor.hpp"
#include "support/tolerance.hpp"

namespace pooling_test {

using namespace flamingo;
using test::Tensor;

namespace {

constexpr int D = 11;
const std::vector<Window> windows = {square(2, 2, Padding::valid), square(3, 2), square(3, 1),
                                     Window{3, 2, 2, Padding::symmetric, 1}};
const std::vector<Grid> grids = {{0, 5, 7}, {35, 2, 3}, {41, 11, 2}};
constexpr int cells = 63;

/// The cells of each window that lie inside its picture, from the definition.
std::vector<std::vector<int>> members(const Window& window) {
  std::vector<std::vector<int>> all;
  for (const Grid& g : grids) {
    const WindowsAlong down = windows_along(g.height, window.height, window),
                       across = windows_along(g.width, window.width, window);
    for (int i = 0; i < down.count; ++i)
      for (int j = 0; j < across.count; ++j) {
        all.emplace_back();
        for (int k = 0; k < window.height; ++k)
          for (int l = 0; l < window.width; ++l) {
            const int y = i * window.stride - down.before + k, x = j * window.stride - across.before + l;
            if (y >= 0 && y < g.height && x >= 0 && x < g.width) all.back().push_back(g.first + y * g.width + x);
          }
      }
  }
  return all;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("pooling equals its definition", "[pooling]", test::Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(2);
  const auto x = Tensor<R>::random(cells, D, 1);
  for (const Window& window : windows) {
    const auto all = members(window);
    const int N = static_cast<int>(all.size());
    Tensor<R> largest(N, D), average(N, D);
    ops::max_pool(ctx, x.template rows_on<P>(), grids, window, largest.template rows_on<P>());
    ops::average_pool(ctx, x.template rows_on<P>(), grids, window, average.template rows_on<P>());
    REQUIRE((largest.intact() && average.intact()));
    for (int n = 0; n < N; ++n)
      for (int c = 0; c < D; ++c) {
        const auto& window_cells = all[static_cast<std::size_t>(n)];
        double top = -2, sum = 0, magnitude = 0;
        for (const int cell : window_cells) {
          top = std::max(top, static_cast<double>(x(cell, c)));
          sum += static_cast<double>(x(cell, c));
          magnitude += std::abs(static_cast<double>(x(cell, c)));
        }
        const auto count = static_cast<double>(window_cells.size());
        REQUIRE(static_cast<double>(largest(n, c)) == top);
        REQUIRE(std::abs(static_cast<double>(average(n, c)) - sum / count) <=
                test::sum_bound<R>(window_cells.size() + 1, magnitude / count));
      }
  }
  Tensor<R> mean(3, D);
  ops::picture_mean(ctx, x.template rows_on<P>(), grids, mean.template rows_on<P>());
  for (int m = 0; m < 3; ++m)
    for (int c = 0; c < D; ++c) {
      const Grid& g = grids[static_cast<std::size_t>(m)];
      double sum = 0, magnitude = 0;
      for (int n = g.first; n < g.first + g.rows(); ++n) {
        sum += static_cast<double>(x(n, c));
        magnitude += std::abs(static_cast<double>(x(n, c)));
      }
      REQUIRE(std::abs(static_cast<double>(mean(m, c)) - sum / g.rows()) <=
              test::sum_bound<R>(static_cast<std::size_t>(g.rows()) + 1, magnitude / g.rows()));
    }
}

TEST_CASE("gradients of pooling equal central differences", "[pooling]") {
  using P = Cpu<double>;
  Context<P> ctx(2);
  auto x = Tensor<double>::random(cells, D, 1);
  for (const Window& window : windows) {
    const int N = cells_of(windows_of(grids, window));
    const auto dy = Tensor<double>::random(N, D, 2);
    Tensor<double> y(N, D), dx(cells, D, 5);
    ops::max_pool_backward(ctx, x.rows_on<P>(), grids, window, dy.rows_on<P>(), dx.rows_on<P>());
    CHECK(test::gradient_check(x, dx, [&] {
            ops::max_pool(ctx, x.rows_on<P>(), grids, window, y.rows_on<P>());
            return test::inner(dy, y);
          }).relative < test::difference_bound());
    ops::average_pool_backward(ctx, grids, window, dy.rows_on<P>(), dx.rows_on<P>());
    CHECK(test::gradient_check(x, dx, [&] {
            ops::average_pool(ctx, x.rows_on<P>(), grids, window, y.rows_on<P>());
            return test::inner(dy, y);
          }).relative < test::difference_bound());
    REQUIRE(dx.intact());
  }
  const auto dy = Tensor<double>::random(3, D, 3);
  Tensor<double> y(3, D), dx(cells, D, 5);
  ops::picture_mean_backward(ctx, grids, dy.rows_on<P>(), dx.rows_on<P>());
  CHECK(test::gradient_check(x, dx, [&] {
          ops::picture_mean(ctx, x.rows_on<P>(), grids, y.rows_on<P>());
          return test::inner(dy, y);
        }).relative < test::difference_bound());
}

TEST_CASE("the first of equal numbers gets a maximum's gradient", "[pooling]") {
  using P = Cpu<float>;
  Context<P> ctx(1);
  const auto x = Tensor<float>::of({3, 7, 7, 5, 7, 1, 1, 1, 1, 1, 1, 1}), dy = Tensor<float>::of({2, 11});
  Tensor<float> dx(12, 1, 13);
  const std::vector<Grid> two{{0, 2, 3}, {6, 2, 3}};
  const Rows<P, dynamic, const float> column{x.data(), 12, Extent<dynamic>(1)}, top{dy.data(), 2, Extent<dynamic>(1)};
  ops::max_pool_backward(ctx, column, two, Window{2, 3, 1, Padding::valid, 0}, top, dx.rows_on<P>());
  CHECK(std::vector<float>(dx.begin(), dx.end()) == std::vector<float>{0, 2, 0, 0, 0, 0, 11, 0, 0, 0, 0, 0});
}

TEST_CASE("pooling refuses shapes that do not fit", "[pooling]") {
  using P = Cpu<float>;
  Context<P> ctx(1);
  Tensor<float> x(35, 3), y(12, 3), mean(2, 3);
  const std::vector<Grid> one{{0, 5, 7}};
  CHECK_THROWS_WITH(ops::max_pool(ctx, x.rows_on<P>(), one, square(2, 2), x.rows_on<P>()),
                    "[max_pool] y is (35, 3), expected (12, 3)");
  CHECK_THROWS_WITH(ops::average_pool(ctx, x.rows_on<P>(), one, Window{2, 2, 2, Padding::symmetric, 2}, y.rows_on<P>()),
                    "[average_pool] the border is 2 and the window 2 x 2: the border must be smaller");
  CHECK_THROWS_WITH(ops::picture_mean(ctx, x.rows_on<P>(), one, mean.rows_on<P>()),
                    "[picture_mean] y is (2, 3), expected (1, 3)");
}

}  // namespace pooling_test
