#include <catch2/catch.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/model/vision/efficientnet.hpp>

#include "support/platforms.hpp"
#include "support/tensor.hpp"

namespace efficientnet_test {

using namespace flamingo;
using test::Tensor;

namespace {

constexpr EfficientNetLite lite0{};
constexpr EfficientNetLite small{.stem = 5,
                                 .stages = {{{1, 3, 1, 1, 3},
                                             {2, 5, 2, 2, 7},
                                             {1, 3, 2, 3, 5},
                                             {1, 3, 1, 1, 5},
                                             {1, 3, 1, 2, 3},
                                             {1, 5, 2, 2, 7},
                                             {1, 3, 1, 2, 11}}},
                                 .head = 13,
                                 .classes = 17};

}  // namespace

TEST_CASE("EfficientNet-Lite0 has the published blocks and parameters", "[efficientnet]") {
  const std::vector<int> strides{1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1},
      widths{16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320},
      kernels{3, 3, 3, 5, 5, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 3};
  REQUIRE(lite0.blocks() == 16);
  for (int i = 0, in = 32; i < 16; ++i) {
    const model::MobileBlock b = model::block_of(lite0, i);
    const auto at = static_cast<std::size_t>(i);
    INFO(i);
    CHECK(b.in == in);
    CHECK(b.out == widths[at]);
    CHECK(b.stride == strides[at]);
    CHECK(b.kernel == kernels[at]);
    CHECK(b.widening == (i == 0 ? 1 : 6));
    CHECK(b.skips() == (b.stride == 1 && in == b.out));
    in = b.out;
  }
  // 4,652,008 in all, less the 21,008 scales of batch norms that are folded; 1,281,000 are the classifier's.
  using P = Cpu<float>;
  CHECK(parameter_count<model::EfficientNet<lite0, P>>() == 4652008 - 21008 - 1281000);
  CHECK(parameter_count<model::EfficientNetClassifier<lite0, P>>() == 1281000);
}

TEST_CASE("a feature row stands for 32 x 32 pixels, or what is left of them", "[efficientnet]") {
  using Net = model::EfficientNet<lite0, Cpu<float>>;
  CHECK(Net::features({0, 224, 224}) == Grid{0, 7, 7});
  CHECK(Net::features({0, 160, 160}) == Grid{0, 5, 5});
  CHECK(Net::features({0, 128, 96}) == Grid{0, 4, 3});
  CHECK(Net::features({0, 1, 33}) == Grid{0, 1, 2});
}

TEMPLATE_LIST_TEST_CASE("a picture's features depend on no other picture, however many are computed at a time",
                        "[efficientnet]", test::Platforms) {
  using P = TestType;
  using R = typename P::Real;
  using Net = model::EfficientNet<small, P>;
  Context<P> two(2), one(1);
  Store<Net, P> w;
  const auto random = Tensor<R>::random(1, static_cast<int>(w.flat.size()), 1, -0.5, 0.5);
  std::copy(random.begin(), random.end(), w.flat.begin());
  // The third is so large that it is computed by itself.
  std::vector<Grid> grids{{0, 37, 41}, {0, 5, 64}, {0, 331, 317}, {0, 1, 2}, {0, 37, 41}};
  int pixels = 0, rows = 0;
  for (Grid& g : grids) {
    g.first = pixels;
    pixels += g.rows();
    rows += Net::features(g).rows();
  }
  const auto x = Tensor<R>::random(pixels, 3, 2);
  Tensor<R> y(rows, Net::D);
  Net::forward(two, w.views, x.template rows_on<P, 3>(), grids, y.template rows_on<P, Net::D>());
  REQUIRE(y.intact());
  int row = 0;
  for (const Grid& g : grids) {
    const std::vector<Grid> alone{{0, g.height, g.width}};
    const auto part = test::rows_of(x, g.first, g.rows());
    const int count = Net::features(g).rows();
    Tensor<R> y_alone(count, Net::D);
    Net::forward(one, w.views, part.template rows_on<P, 3>(), alone, y_alone.template rows_on<P, Net::D>());
    CHECK(y_alone == test::rows_of(y, row, count));
    row += count;
  }
  CHECK(two.arena().scratched() == 0);
}

TEST_CASE("an EfficientNet refuses rows that do not fit its pictures", "[efficientnet]") {
  using P = Cpu<float>;
  using Net = model::EfficientNet<small, P>;
  Context<P> ctx(1);
  const Store<Net, P> w;
  Tensor<float> x(35, 3), y(2, Net::D);
  const std::vector<Grid> grids{{0, 5, 7}};
  CHECK_THROWS_WITH(Net::forward(ctx, w.views, x.rows_on<P, 3>(), grids, y.rows_on<P, Net::D>()),
                    "[efficientnet] y is (2, 13), expected (1, 13)");
}

}  // namespace efficientnet_test
