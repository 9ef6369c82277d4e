#include <flamingo/model/vision/nfnet.hpp>

#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/cpu.hpp>
#include <flamingo/model/vision/encoder.hpp>

#include "support/gradient_check.hpp"
#include "support/layer.hpp"

namespace nfnet_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<double>;
// Of one width, so that few kinds of blocks are compiled.
constexpr NfNet mini{.depths = {2, 1, 3, 1},
                     .widths = {8, 8, 8, 8},
                     .stem = 8,
                     .group = 2,
                     .head = 10,
                     .classes = 3,
                     .stochastic_depth = 0.5f,
                     .dropout = 0.25f};
constexpr NfNet headless = [] {
  NfNet c = mini;
  c.features = NfNetFeatures::stages;
  c.classes = 0;
  return c;
}();
constexpr NfNet unconvolved = [] {
  NfNet c = mini;
  c.depths = {1, 1, 1, 1};
  c.head = c.classes = 0;
  return c;
}();
using Net = model::NormFreeNet<mini, P>;

struct Pictures {
  std::vector<Grid> grids{{0, 33, 40}, {0, 9, 1}, {0, 64, 31}, {0, 33, 40}};
  std::vector<Grid> features;
  Tensor<double> pixels{0, 3};

  Pictures() {
    int cells = 0, rows = 0;
    for (Grid& grid : grids) {
      grid.first = cells;
      cells += grid.rows();
      features.push_back(Net::features(grid));
      features.back().first = rows;
      rows += features.back().rows();
    }
    pixels = Tensor<double>::random(cells, 3, 1, -2, 2);
  }
};

}  // namespace

TEST_CASE("an NFNet is a vision encoder", "[nfnet]") {
  STATIC_REQUIRE(std::same_as<Encoder<mini, P>, Net>);
  STATIC_REQUIRE(VisionEncoder<Net, P>);
  CHECK(Net::features({0, 320, 320}) == Grid{0, 10, 10});
  CHECK(Net::features({0, 288, 33}) == Grid{0, 9, 2});
  CHECK(Net::features({0, 1, 75}) == Grid{0, 1, 3});
}

TEST_CASE("a picture's features depend on no other picture and no number of threads", "[nfnet]") {
  const Pictures pictures;
  const auto w = drawn<Net, P>(1);
  Context<P> two(2), one(1);
  const auto& x = pictures.pixels;
  Tensor<double> y(cells_of(pictures.features), Net::D);
  const auto saved =
      Net::forward<all_gradients>(two, w.views, x.rows_on<P, 3>(), pictures.grids, y.rows_on<P, Net::D>());
  REQUIRE(y.intact());
  for (std::size_t m = 0; m < pictures.grids.size(); ++m) {
    const Grid &grid = pictures.grids[m], &out = pictures.features[m];
    const std::vector<Grid> alone{{0, grid.height, grid.width}};
    Tensor<double> y_alone(out.rows(), Net::D);
    Net::forward(one, w.views, rows_of(x, grid.first, grid.rows()).rows_on<P, 3>(), alone,
                 y_alone.rows_on<P, Net::D>());
    CHECK(y_alone == rows_of(y, out.first, out.rows()));
  }
  CHECK((two.arena().scratched() == 0 && one.arena().scratched() == 0 && one.arena().kept() == 0));
}

TEST_CASE("gradients of an NFNet equal central differences, in training too", "[nfnet]") {
  const Pictures pictures;
  auto w = drawn<Net, P>(1);
  Store<Net, P> g;
  Context<P> ctx(2);
  auto x = pictures.pixels;
  const int M = 4, rows = cells_of(pictures.features);
  const NfNetDraws draws{.training = true, .seed = 3, .step = 5};
  Tensor<double> y(rows, Net::D), mean(M, Net::D), logits(M, 3), dy(rows, Net::D), part(rows, Net::D),
      dx(x.rows(), 3, 7);
  const auto weight = drawn_rows<double>(rows, Net::D, 2), dlogits = drawn_rows<double>(M, 3, 3);
  const auto classify = [&] {
    Net::classify(ctx, w.views, y.rows_on<P, Net::D>(), pictures.features, draws, mean.rows_on<P, Net::D>(),
                  logits.rows_on<P, 3>());
    return inner(weight, y) + inner(dlogits, logits);
  };
  const auto loss = [&] {
    Net::forward(ctx, w.views, x.rows_on<P, 3>(), pictures.grids, y.rows_on<P, Net::D>(), draws);
    return classify();
  };
  const auto saved =
      Net::forward<all_gradients>(ctx, w.views, x.rows_on<P, 3>(), pictures.grids, y.rows_on<P, Net::D>(), draws);
  const double kept = classify();
  Net::classify_backward(ctx, w.views, mean.rows_on<P, Net::D>(), pictures.features, draws, dlogits.rows_on<P, 3>(),
                         dy.rows_on<P, Net::D>(), g.views);
  for (std::size_t i = 0; i < dy.size(); ++i) dy.data()[i] += weight.data()[i];
  Net::backward(ctx, w.views, saved, pictures.grids, dy.rows_on<P, Net::D>(), dx.rows_on<P, 3>(), g.views);
  REQUIRE(dx.intact());
  CHECK(loss() == kept);
  check_weight_directions<Net, P>(w, g, loss);
  // Pixels along a direction.
  double along = 0;
  Tensor<double> direction = Tensor<double>::random(x.rows(), 3, 9);
  along = inner(direction, dx);
  const double step = difference_step(0);
  const auto at = [&](double distance) {
    for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = pictures.pixels.data()[i] + distance * direction.data()[i];
    return loss();
  };
  CHECK((at(step) - at(-step)) / (2 * step) == Approx(along).epsilon(1e-6));
}

TEST_CASE("features of the last stage are what the head reads", "[nfnet]") {
  using Stages = model::NormFreeNet<headless, P>;
  STATIC_REQUIRE(Stages::D == 8);
  const Pictures pictures;
  const auto w = drawn<Net, P>(1);
  Store<Stages, P> same;
  std::copy_n(w.flat.begin(), same.flat.size(), same.flat.begin());  // the head's parameters come last
  Context<P> ctx(2);
  Tensor<double> y(cells_of(pictures.features), Net::D), last(y.rows(), 8);
  const auto saved = Net::forward<all_gradients>(ctx, w.views, pictures.pixels.rows_on<P, 3>(), pictures.grids,
                                                 y.rows_on<P, Net::D>());
  Stages::forward(ctx, same.views, pictures.pixels.rows_on<P, 3>(), pictures.grids, last.rows_on<P, 8>());
  CHECK(std::equal(last.begin(), last.end(), saved.last.data));
}

TEST_CASE("a head without a convolution is the non-linearity alone", "[nfnet]") {
  using Bare = model::NormFreeNet<unconvolved, P>;
  STATIC_REQUIRE(Bare::D == 8);
  const Pictures pictures;
  auto w = drawn<Bare, P>(1);
  Store<Bare, P> g;
  Context<P> ctx(1);
  const auto& x = pictures.pixels;
  Tensor<double> y(cells_of(pictures.features), 8);
  const auto loss = [&] {
    Bare::forward(ctx, w.views, x.rows_on<P, 3>(), pictures.grids, y.rows_on<P, 8>());
    double sum = 0;
    for (const double value : y) sum += value * value / 2;
    return sum;
  };
  const auto saved = Bare::forward<all_gradients>(ctx, w.views, x.rows_on<P, 3>(), pictures.grids, y.rows_on<P, 8>());
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double z = saved.last.data[i],
                 gelu = z / 2 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (z + 0.044715 * z * z * z)));
    REQUIRE(y.data()[i] / gelu == Approx(1.7015043497085571));  // so that a normal z leaves it with variance 1
  }
  Bare::backward(ctx, w.views, saved, pictures.grids, y.rows_on<P, 8>(), NoGrad{}, g.views);
  check_weight_directions<Bare, P>(w, g, loss);
}

TEST_CASE("stochastic depth drops a block's branch more often the deeper it is", "[nfnet]") {
  constexpr int steps = 2000;
  for (const int k : {0, 1, 3, 6}) {
    int dropped = 0;
    for (std::uint64_t step = 0; step < steps; ++step)
      dropped += !NfNetDraws{.training = true, .seed = 7, .step = step}.keeps(mini, k, 2);
    const double rate = 0.5 * k / 7;
    CHECK(std::abs(dropped - steps * rate) <= 4 * std::sqrt(steps * rate * (1 - rate)));
  }
  const NfNetDraws all{.training = true, .seed = 7, .step = 4},
      late{.training = true, .seed = 7, .step = 4, .first = 3};
  int differ = 0, same = 0;
  for (int m = 0; m < 100; ++m) {
    CHECK(late.keeps(mini, 6, m) == all.keeps(mini, 6, m + 3));  // a batch computed in parts
    differ += all.keeps(mini, 6, m) != all.keeps(mini, 5, m);
    same += all.keeps(mini, 6, m) == NfNetDraws{.training = true, .seed = 8, .step = 4}.keeps(mini, 6, m);
    CHECK(NfNetDraws{.seed = 7}.keeps(mini, 6, m));  // not in training
  }
  CHECK((differ > 10 && same < 90));

  const Pictures pictures;
  const auto plan = NfNetPlan<double>::of(mini, pictures.grids, all);
  REQUIRE(plan.amounts.size() == 7 * 4);
  for (std::size_t i = 0; i < plan.amounts.size(); ++i)
    CHECK(plan.amounts[i] ==
          (all.keeps(mini, static_cast<int>(i / 4), static_cast<int>(i % 4)) ? Approx(0.4) : Approx(0)));
}

TEST_CASE("an NFNet refuses rows that do not fit its pictures", "[nfnet]") {
  Context<P> ctx(1);
  const Store<Net, P> w;
  Tensor<double> x(35, 3), y(2, Net::D);
  CHECK_THROWS_WITH(Net::forward(ctx, w.views, x.rows_on<P, 3>(), std::vector<Grid>{{0, 5, 7}}, y.rows_on<P, Net::D>()),
                    "[nfnet] y is (2, 10), expected (1, 10)");
}

}  // namespace nfnet_test
