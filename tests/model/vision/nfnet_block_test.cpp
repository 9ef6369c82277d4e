#include <flamingo/model/vision/nfnet_block.hpp>

#include <catch2/catch.hpp>
#include <tuple>

#include <flamingo/cpu.hpp>

#include "support/gradient_check.hpp"
#include "support/layer.hpp"

namespace nfnet_block_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<double>;
constexpr NfNet rules{};
constexpr NfNet other{
    .activation = Activation::silu, .gamma_in_weights = true, .variance = WeightVariance::added, .epsilon = 1e-3f};
constexpr NfNetBlock plain{.in = 6, .middle = 4, .out = 6, .groups = 2, .squeeze = 3, .stride = 1},
    wider{.in = 3, .middle = 4, .out = 6, .groups = 1, .squeeze = 3, .stride = 1},
    strided{.in = 6, .middle = 4, .out = 6, .groups = 2, .squeeze = 3, .stride = 2};

template <NfNet C, NfNetBlock B>
void check_gradients() {
  using Block = model::NfBlock<C, B, P>;
  const std::vector<Grid> grids{{0, 4, 3}, {12, 3, 5}, {27, 1, 2}}, out = windows_of(grids, Block::moved);
  const int N = 29, windows = cells_of(out);
  constexpr double beta = 0.8;
  const auto amounts = Tensor<double>::of({0.4, 0, 0.4});  // the second picture's branch is dropped
  Context<P> ctx(2, 1 << 22);
  auto w = drawn<Block, P>(1);
  Store<Block, P> g;
  auto x = drawn_rows<double>(N, B.in, 2);
  const auto dy = drawn_rows<double>(windows, B.out, 3);
  Tensor<double> y(windows, B.out), again(windows, B.out), dx(N, B.in, 7);
  const auto run = [&]<Need need>(Tensor<double>& to) {
    return Block::template forward<need>(ctx, w.views, x.rows_on<P, B.in>(), grids, out, beta, amounts.view_on<P>(),
                                         to.template rows_on<P, B.out>());
  };
  const auto saved = run.template operator()<all_gradients>(y);
  run.template operator()<no_gradients>(again);
  CHECK(y == again);  // inference computes in place what training keeps
  Block::backward(ctx, w.views, saved, grids, out, beta, amounts.view_on<P>(), dy.rows_on<P, B.out>(),
                  dx.rows_on<P, B.in>(), g.views);
  CHECK(ctx.arena().scratched() == 0);
  const auto loss = [&] {
    run.template operator()<no_gradients>(again);
    return inner(dy, again);
  };
  CHECK(gradient_check(x, dx, loss).relative < difference_bound());
  check_weight_gradients<Block, P>(w, g, loss);

  // Frozen: the same dx, and nothing else.
  Tensor<double> dx_alone(N, B.in);
  const auto kept = ctx.kept_scope();
  const auto saved_alone = run.template operator()<input_gradients>(y);
  Block::backward(ctx, w.views, saved_alone, grids, out, beta, amounts.view_on<P>(), dy.rows_on<P, B.out>(),
                  dx_alone.rows_on<P, B.in>(), frozen<Block>);
  CHECK(dx_alone == dx);
}

}  // namespace

TEST_CASE("gradients of an NFNet's block equal central differences", "[nfnet]") {
  check_gradients<rules, plain>();
  check_gradients<rules, wider>();
  check_gradients<other, strided>();
}

TEST_CASE("a new block without a transition changes nothing", "[nfnet]") {
  using Block = model::NfBlock<rules, plain, P>;
  Context<P> ctx(1, 1 << 22);
  const Store<Block, P> w(1);
  const auto x = drawn_rows<double>(12, 6, 2), amounts = Tensor<double>::of({0.4});
  Tensor<double> y(12, 6);
  const std::vector<Grid> grids{{0, 4, 3}};
  Block::forward<no_gradients>(ctx, w.views, x.rows_on<P, 6>(), grids, grids, 1, amounts.view_on<P>(),
                               y.rows_on<P, 6>());
  CHECK(y == x);
}

TEST_CASE("an activation's gain makes the variance of its outputs 1", "[nfnet]") {
  Random random(1);
  for (const Activation f : {Activation::relu, Activation::relu6}) {
    double sum = 0, squares = 0;
    constexpr int n = 200000;
    for (int i = 0; i < n; ++i) {
      const double z = static_cast<double>(random.normal());
      const double y = model::variance_gain(f) * std::clamp(z, 0.0, f == Activation::relu6 ? 6.0 : 1e9);
      sum += y / n;
      squares += y * y / n;
    }
    CHECK(squares - sum * sum == Approx(1).epsilon(0.02));
  }
  STATIC_REQUIRE(model::variance_gain(Activation::squared_relu) == 0);
}

}  // namespace nfnet_block_test
