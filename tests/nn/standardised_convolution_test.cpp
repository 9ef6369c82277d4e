#include <flamingo/nn/standardised_convolution.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>

#include "support/gradient_check.hpp"
#include "support/layer.hpp"

namespace standardised_convolution_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<double>;
const std::vector<Grid> grids{{0, 5, 4}, {20, 2, 3}};
constexpr int N = 26;

template <StandardisedConvolutionConfig C>
void check_layer() {
  using Layer = nn::StandardisedConvolution<C, P>;
  constexpr int D = C.in, O = C.out;
  Context<P> ctx(2, 1 << 20);
  auto w = drawn<Layer, P>(1);
  Store<Layer, P> g;
  const int windows = cells_of(windows_of(grids, C.window()));
  auto x = drawn_rows<double>(N, D, 2);
  const auto dy = drawn_rows<double>(windows, O, 3);
  Tensor<double> y(windows, O), dx(N, D, 7);
  const auto loss = [&] {
    Layer::forward(ctx, w.views, x.rows_on<P, D>(), grids, y.rows_on<P, O>());
    return inner(dy, y);
  };
  Layer::backward(ctx, w.views, x.rows_on<P, D>(), grids, dy.rows_on<P, O>(), dx.rows_on<P, D>(), g.views);
  CHECK(gradient_check(x, dx, loss).relative < difference_bound());
  check_weight_gradients<Layer, P>(w, g, loss);
  CHECK(ctx.arena().scratched() == 0);

  // Filters are what counts: another mean and another size of them are the same layer.
  loss();
  const Tensor<double> before = y;
  for (std::size_t i = 0; i < w.views.weight.size(); ++i) w.views.weight.data[i] = 0.5 + 3 * w.views.weight.data[i];
  loss();
  CHECK(distance(y, before).relative < (C.rule.variance == WeightVariance::floor ? 1e-13 : 1e-2));
}

}  // namespace

TEST_CASE("gradients of a standardised convolution equal central differences", "[nn]") {
  check_layer<{.in = 5, .out = 3}>();
  check_layer<{
      .in = 6, .out = 4, .kernel = 3, .stride = 2, .groups = 2, .rule = {WeightVariance::added, 1e-4f, 1.5f}}>();
}

TEST_CASE("folded filters are taken as they are", "[nn]") {
  constexpr StandardisedConvolutionConfig config{.in = 5, .out = 3, .kernel = 3},
      folded{.in = 5, .out = 3, .kernel = 3, .folded = true};
  using Layer = nn::StandardisedConvolution<config, P>;
  using Folded = nn::StandardisedConvolution<folded, P>;
  Context<P> ctx(2, 1 << 20);
  auto w = drawn<Layer, P>(1);
  Store<Folded, P> f;
  std::copy_n(w.views.bias.data, 3, f.views.bias.data);
  ops::standardise(ctx, config.rule, w.views.weight, w.views.gain, f.views.weight);
  const auto x = drawn_rows<double>(N, 5, 2), dy = drawn_rows<double>(N, 3, 3);
  Tensor<double> y(N, 3), y_folded(N, 3), dx(N, 5), dx_folded(N, 5);
  Layer::forward(ctx, w.views, x.rows_on<P, 5>(), grids, y.rows_on<P, 3>());
  Folded::forward(ctx, f.views, x.rows_on<P, 5>(), grids, y_folded.rows_on<P, 3>());
  CHECK(y == y_folded);
  Layer::backward(ctx, w.views, x.rows_on<P, 5>(), grids, dy.rows_on<P, 3>(), dx.rows_on<P, 5>(), frozen<Layer>);
  Folded::backward(ctx, f.views, x.rows_on<P, 5>(), grids, dy.rows_on<P, 3>(), dx_folded.rows_on<P, 5>(),
                   frozen<Folded>);
  CHECK(dx == dx_folded);
  STATIC_REQUIRE(parameter_count<Folded>() == 3 * 45 + 3);
  STATIC_REQUIRE(parameter_count<Layer>() == 3 * 45 + 3 + 3);
}

TEST_CASE("new filters of n inputs have the deviation 1 / √n", "[nn]") {
  for (const int n : {1, 2, 27, 1152, 1 << 30})
    CHECK(static_cast<double>(nn::inverse_root(n)) == Approx(1 / std::sqrt(double(n))));
}

}  // namespace standardised_convolution_test
