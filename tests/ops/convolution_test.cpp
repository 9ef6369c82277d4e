#include <catch2/catch.hpp>
#include <flamingo/kernels/cpu/convolution.hpp>

#include "support/compare.hpp"
#include "support/gradient_check.hpp"
#include "support/platforms.hpp"
#include "support/tensor.hpp"
#include "support/tolerance.hpp"

namespace convolution_test {

using namespace flamingo;
using test::Tensor;

namespace {

struct Case {
  const char* name;
  int in, out, groups;
  Window window;
};

// Channels below, at and above two vectors of every instruction set; strides, paddings and edges of each kind.
const std::vector<Case> cases = {
    {"a cell", 17, 19, 1, {}},
    {"a cell, in groups", 34, 38, 2, {}},
    {"dense", 3, 23, 1, square(3, 2)},
    {"dense, more than a block of columns", 31, 5, 1, square(3, 1)},
    {"dense, not square", 5, 7, 1, {2, 3, 1, Padding::valid, 0}},
    {"dense, symmetric", 5, 7, 1, {3, 5, 2, Padding::symmetric, 2}},
    {"strided cell", 7, 11, 1, square(1, 2)},
    {"groups", 6, 15, 3, square(3, 1)},
    {"groups of many channels", 34, 40, 2, square(3, 1)},
    {"groups of many channels with stride", 34, 36, 2, square(3, 2)},
    {"many channels, stride beyond the window", 18, 5, 1, {2, 1, 3, Padding::symmetric, 1}},
    {"depthwise", 37, 37, 37, square(3, 1)},
    {"depthwise, 5 x 5 with stride", 16, 16, 16, square(5, 2)},
    {"depthwise, valid", 9, 9, 9, square(2, 1, Padding::valid)},
    {"two outputs a channel", 5, 10, 5, square(3, 2)},
};

// The first picture is wide enough for several windows at once, the last smaller than a kernel with its border.
std::vector<Grid> pictures(const Window& window) {
  if (window.padding == Padding::valid) return {{0, 5, 13}, {65, 3, 3}};
  return {{0, 7, 13}, {91, 1, 2}, {93, 11, 3}};
}

struct Sizes {
  explicit Sizes(const Case& c)
      : grids(pictures(c.window)),
        cells(cells_of(grids)),
        windows(cells_of(windows_of(grids, c.window))),
        columns(c.window.cells() * c.in / c.groups) {}
  std::vector<Grid> grids;
  int cells, windows, columns;
};

/// Calls f(output row, input row, cell of the window) for each window and each of its cells inside the picture, from
/// the definition.
template <class F>
void each_pair(const Case& c, const std::vector<Grid>& grids, const F& f) {
  int row = 0;
  for (const Grid& g : grids) {
    const WindowsAlong down = windows_along(g.height, c.window.height, c.window),
                       across = windows_along(g.width, c.window.width, c.window);
    for (int i = 0; i < down.count; ++i)
      for (int j = 0; j < across.count; ++j, ++row)
        for (int k = 0; k < c.window.height; ++k)
          for (int l = 0; l < c.window.width; ++l) {
            const int y = i * c.window.stride - down.before + k, x = j * c.window.stride - across.before + l;
            if (y >= 0 && y < g.height && x >= 0 && x < g.width)
              f(row, g.first + y * g.width + x, k * c.window.width + l);
          }
  }
}

template <class T>
Tensor<double> reference(const Case& c, const Sizes& s, const Tensor<T>& x, const Tensor<T>& w, const Tensor<T>& b,
                         bool magnitudes = false) {
  Tensor<double> y(s.windows, c.out);
  const int depth = c.in / c.groups, outputs = c.out / c.groups;
  const auto term = [magnitudes](double v) { return magnitudes ? std::abs(v) : v; };
  for (int n = 0; n < s.windows; ++n)
    for (int o = 0; o < c.out; ++o) y(n, o) = term(static_cast<double>(b(0, o)));
  each_pair(c, s.grids, [&](int n, int cell, int k) {
    for (int o = 0; o < c.out; ++o)
      for (int i = 0; i < depth; ++i)
        y(n, o) +=
            term(static_cast<double>(x(cell, o / outputs * depth + i)) * static_cast<double>(w(o, k * depth + i)));
  });
  return y;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("convolution equals its definition", "[convolution]", test::Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(2);
  for (const Case& c : cases) {
    INFO(c.name);
    const Sizes s(c);
    auto x = Tensor<R>::random(s.cells, c.in, 1), w = Tensor<R>::random(c.out, s.columns, 2);
    auto b = Tensor<R>::random(1, c.out, 3);
    Tensor<R> y(s.windows, c.out), plain(s.windows, c.out), clipped(s.windows, c.out);
    ops::convolution(ctx, x.template rows_on<P>(), s.grids, w.template matrix_on<P>(), b.template vector_on<P>(),
                     c.window, c.groups, y.template rows_on<P>());
    const auto expected = reference(c, s, x, w, b), size = reference(c, s, x, w, b, true);
    for (int n = 0; n < s.windows; ++n)
      for (int o = 0; o < c.out; ++o)
        REQUIRE(std::abs(static_cast<double>(y(n, o)) - expected(n, o)) <=
                test::sum_bound<R>(static_cast<std::size_t>(s.columns), size(n, o)));
    REQUIRE(y.intact());

    ops::convolution(ctx, x.template rows_on<P>(), s.grids, w.template matrix_on<P>(), c.window, c.groups,
                     plain.template rows_on<P>());
    ops::convolution(ctx, x.template rows_on<P>(), s.grids, w.template matrix_on<P>(), b.template vector_on<P>(),
                     c.window, c.groups, clipped.template rows_on<P>(), Clip{-0.25f, 0.5f});
    for (int n = 0; n < s.windows; ++n)
      for (int o = 0; o < c.out; ++o) {
        REQUIRE(plain(n, o) + b(0, o) == y(n, o));
        REQUIRE(clipped(n, o) == std::clamp(y(n, o), R(-0.25), R(0.5)));
      }
  }
}

TEMPLATE_LIST_TEST_CASE("a picture's convolution depends on no other picture and no number of threads", "[convolution]",
                        test::Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> two(2), one(1);
  for (const Case& c : cases) {
    INFO(c.name);
    const Sizes s(c);
    auto x = Tensor<R>::random(s.cells, c.in, 1), w = Tensor<R>::random(c.out, s.columns, 2);
    Tensor<R> y(s.windows, c.out);
    ops::convolution(two, x.template rows_on<P>(), s.grids, w.template matrix_on<P>(), c.window, c.groups,
                     y.template rows_on<P>());
    for (int row = 0; const Grid& g : s.grids) {
      const std::vector<Grid> alone{{0, g.height, g.width}};
      const auto part = test::rows_of(x, g.first, g.rows());
      const int windows = windows_of(g, c.window).rows();
      Tensor<R> y_alone(windows, c.out);
      ops::convolution(one, part.template rows_on<P>(), alone, w.template matrix_on<P>(), c.window, c.groups,
                       y_alone.template rows_on<P>());
      REQUIRE(y_alone == test::rows_of(y, row, windows));
      row += windows;
    }
  }
}

TEST_CASE("gradients of a convolution equal central differences", "[convolution]") {
  using P = Cpu<double>;
  Context<P> ctx(2);
  for (const Case& c : cases) {
    INFO(c.name);
    const Sizes s(c);
    auto x = Tensor<double>::random(s.cells, c.in, 1), w = Tensor<double>::random(c.out, s.columns, 2);
    auto b = Tensor<double>::random(1, c.out, 3);
    const auto dy = Tensor<double>::random(s.windows, c.out, 4);
    Tensor<double> y(s.windows, c.out), dx(s.cells, c.in, 7), dw(c.out, s.columns, 1), db(1, c.out, 1);
    const auto loss = [&] {
      ops::convolution(ctx, x.rows_on<P>(), s.grids, w.matrix_on<P>(), b.vector_on<P>(), c.window, c.groups,
                       y.rows_on<P>());
      return test::inner(dy, y);
    };
    ops::convolution_backward(ctx, x.rows_on<P>(), s.grids, w.matrix_on<P>(), c.window, c.groups, dy.rows_on<P>(),
                              dx.rows_on<P>(), dw.matrix_on<P>(), db.vector_on<P>());
    REQUIRE((dx.intact() && dw.intact() && db.intact()));
    Tensor<double> dx_alone(s.cells, c.in);
    ops::convolution_backward(ctx, x.rows_on<P>(), s.grids, w.matrix_on<P>(), c.window, c.groups, dy.rows_on<P>(),
                              dx_alone.rows_on<P>(), NoGrad{});
    REQUIRE(dx_alone == dx);
    for (double& g : dw) g -= 1;  // gradients of parameters are added to what was there
    for (double& g : db) g -= 1;
    CHECK(test::gradient_check(x, dx, loss).relative < test::difference_bound());
    CHECK(test::gradient_check(w, dw, loss).relative < test::difference_bound());
    CHECK(test::gradient_check(b, db, loss).relative < test::difference_bound());
  }
}

TEST_CASE("gradients of a convolution of more channels than a block of the product", "[convolution]") {
  using P = Cpu<double>;
  Context<P> ctx(2);
  for (const Case& c : {Case{"in", 600, 34, 2, square(3, 2)}, Case{"out", 34, 600, 2, square(3, 2)}}) {
    INFO(c.name);
    const Sizes s(c);
    auto x = Tensor<double>::random(s.cells, c.in, 1), w = Tensor<double>::random(c.out, s.columns, 2);
    const auto dy = Tensor<double>::random(s.windows, c.out, 3);
    Tensor<double> y(s.windows, c.out), dx(s.cells, c.in), dw(c.out, s.columns), none(1, c.out);
    ops::convolution(ctx, x.rows_on<P>(), s.grids, w.matrix_on<P>(), c.window, c.groups, y.rows_on<P>());
    ops::convolution_backward(ctx, x.rows_on<P>(), s.grids, w.matrix_on<P>(), c.window, c.groups, dy.rows_on<P>(),
                              dx.rows_on<P>(), dw.matrix_on<P>());
    CHECK(test::distance(y, reference(c, s, x, w, none)).relative < 1e-13);
    // It is linear in x and in w, so each gradient's product with its variable is dy's with y.
    const double expected = test::inner(dy, y);
    CHECK(test::inner(dx, x) == Approx(expected).epsilon(1e-12));
    CHECK(test::inner(dw, w) == Approx(expected).epsilon(1e-12));
  }
}

TEST_CASE("a convolution reads packed weights", "[convolution]") {
  using P = Cpu<float>;
  Context<P> ctx(2);
  for (const Case& c : cases) {
    INFO(c.name);
    const Sizes s(c);
    const auto x = Tensor<float>::random(s.cells, c.in, 1);
    auto w = Tensor<float>::random(c.out, s.columns, 2);
    const auto halves = w.as<bfloat16>();
    for (std::size_t i = 0; i < w.size(); ++i) w.data()[i] = static_cast<float>(halves.data()[i]);
    const PackedMatrix<P, dynamic, dynamic> packed{reinterpret_cast<const std::byte*>(halves.data()), nullptr,
                                                   Format::bf16, Extent<dynamic>(c.out), Extent<dynamic>(s.columns)};
    Tensor<float> y(s.windows, c.out), y_packed(s.windows, c.out);
    ops::convolution(ctx, x.rows_on<P>(), s.grids, w.matrix_on<P>(), c.window, c.groups, y.rows_on<P>());
    ops::convolution(ctx, x.rows_on<P>(), s.grids, packed, c.window, c.groups, y_packed.rows_on<P>());
    REQUIRE(y == y_packed);
  }
}

TEST_CASE("a convolution refuses shapes that do not fit", "[convolution]") {
  using P = Cpu<float>;
  Context<P> ctx(1);
  Tensor<float> x(35, 6), w(10, 27), y(35, 10), b(1, 7);
  const std::vector<Grid> grids{{0, 5, 7}};
  const auto run = [&](std::vector<Grid> g, Window window, int groups) {
    ops::convolution(ctx, x.rows_on<P>(), g, w.matrix_on<P>(), window, groups, y.rows_on<P>());
  };
  CHECK_THROWS_WITH(run({{0, 5, 6}}, square(3), 2),
                    "[convolution] the pictures have 30 cells together and there are 35 rows");
  CHECK_THROWS_WITH(run({{0, 2, 7}, {13, 3, 7}}, square(3), 2),
                    "[convolution] picture 1 begins at row 13, expected 14: pictures lie one after another");
  CHECK_THROWS_WITH(run({{0, 5, 0}}, square(3), 2),
                    "[convolution] picture 0 is 5 x 0 cells: neither side may be empty");
  CHECK_THROWS_WITH(run(grids, square(3), 4), "[convolution] x has 6 channels and w 10 rows: 4 groups divide not both");
  CHECK_THROWS_WITH(run(grids, square(3), 1), "[convolution] w has 27 columns, expected 3 * 3 * 6");
  CHECK_THROWS_WITH(run(grids, square(3, 2), 2), "[convolution] y is (35, 10), expected (12, 10)");
  CHECK_THROWS_WITH(run(grids, square(7, 1, Padding::valid), 2),
                    "[convolution] a picture of 5 x 7 cells has no room for a window of 7 x 7");
  CHECK_THROWS_WITH(run(grids, square(3, 0), 2),
                    "[convolution] the window is 3 x 3 with stride 0 and border 0: sizes and stride are positive, the "
                    "border is not negative");
  CHECK_THROWS_WITH(
      ops::convolution(ctx, x.rows_on<P>(), grids, w.matrix_on<P>(), b.vector_on<P>(), square(3), 2, y.rows_on<P>()),
      "[convolution] b has 7 numbers, expected 10");
}

}  // namespace convolution_test
