#include <flamingo/model/vision/nfnet_fold.hpp>

#include <catch2/catch.hpp>
#include <cstring>

#include <flamingo/cpu.hpp>

#include "support/layer.hpp"

namespace nfnet_fold_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<float>;
// Of one width, so that few kinds of blocks are compiled.
constexpr NfNet mini{
    .depths = {2, 1, 1, 1}, .widths = {16, 16, 16, 16}, .stem = 16, .group = 4, .head = 20, .classes = 3};
using Net = model::NormFreeNet<mini, P>;
using Folded = model::NormFreeNet<folded(mini), P>;

/// Features of two pictures.
template <class Layer, class W>
Tensor<float> features(Context<P>& ctx, const W& weights) {
  const std::vector<Grid> grids{{0, 33, 40}, {1320, 20, 9}};
  const auto x = Tensor<float>::random(1500, 3, 1, -2, 2);
  Tensor<float> y(5, Layer::D);
  Layer::forward(ctx, weights, x.rows_on<P, 3>(), grids, y.rows_on<P, Layer::D>());
  return y;
}

}  // namespace

TEST_CASE("a folded encoder gives the features of the one it was made of", "[nfnet]") {
  Context<P> ctx(2);
  const auto w = drawn<Net, P>(1);
  const auto expected = features<Net>(ctx, w.views);
  const auto floats = fold<mini>(ctx, w.views);
  CHECK(features<Folded>(ctx, floats.views) == expected);  // the same numbers in the same products
  CHECK(std::memcmp(floats.views.classifier.data, w.views.classifier.data, 3 * 20 * sizeof(float)) == 0);
  CHECK(floats.views.head.weight.format == Format::f32);
  CHECK(ctx.arena().scratched() == 0);

  const auto halves = fold<mini>(ctx, w.views, Held::as_bf16);
  CHECK(halves.views.head.weight.format == Format::bf16);
  const double distant = distance(features<Folded>(ctx, halves.views), expected).relative;
  CHECK((distant > 0 && distant < 0.02));
  CHECK_THROWS_WITH(fold<mini>(ctx, w.views, Held::as_stored),
                    "[fold] folded weights lie in no file: choose how they are held");
  CHECK(parameter_count<Folded>() < parameter_count<Net>());  // it has no gains
}

}  // namespace nfnet_fold_test
