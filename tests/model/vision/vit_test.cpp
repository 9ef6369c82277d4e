#include <catch2/catch.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/model/clip/clip_names.hpp>
#include <flamingo/model/vision/vit.hpp>
#include <flamingo/model/weights.hpp>

#include "check/pictures.hpp"
#include "check/report.hpp"
#include "support/compare.hpp"
#include "support/gradient_check.hpp"
#include "support/platforms.hpp"
#include "support/tensor.hpp"
#include "support/tolerance.hpp"

namespace vit_test {

using namespace flamingo;
using test::Tensor;

namespace {

// CLIP's, and one in which every choice is the other one.
constexpr Vit clip{.image = 10, .patch = 5, .dim = 6, .layers = 2, .heads = 2, .hidden = 7};
constexpr Vit other{.image = 6,
                    .patch = 2,
                    .dim = 6,
                    .layers = 1,
                    .heads = 3,
                    .activation = Activation::gelu,
                    .patch_bias = true,
                    .class_token = true,
                    .pre_norm = false,
                    .post_norm = true,
                    .class_out = true};
constexpr Vit bare{
    .image = 6, .patch = 3, .dim = 4, .layers = 1, .heads = 1, .hidden = 5, .class_token = false, .post_norm = true};
constexpr Vit unfilled = [] {
  Vit c = bare;
  c.image = 8;
  return c;
}();

// Its table of positions is 2 x 2.
constexpr Vit any_size{.image = 4,
                       .patch = 2,
                       .dim = 4,
                       .layers = 1,
                       .heads = 2,
                       .hidden = 5,
                       .class_out = true,
                       .other_sizes = OtherSizes::bicubic};
constexpr Vit averaging = [] {
  Vit c = any_size;
  c.class_out = false;
  c.other_sizes = OtherSizes::antialias;
  return c;
}();
constexpr Vit no_class = [] {
  Vit c = any_size;
  c.class_token = c.class_out = false;
  return c;
}();

/// Pictures of these heights and widths, one after another.
std::vector<Grid> of_sizes(std::initializer_list<std::pair<int, int>> sizes) {
  std::vector<Grid> grids;
  for (const auto& [height, width] : sizes) grids.push_back({cells_of(grids), height, width});
  return grids;
}
std::vector<Grid> pictures(const Vit& c, int count) {
  std::vector<Grid> grids;
  for (int m = 0; m < count; ++m) grids.push_back({m * c.image * c.image, c.image, c.image});
  return grids;
}

/// New weights of a size that no rule of new weights gives, so that no part is lost in rounding.
template <class Net, Platform P>
Store<Net, P> weights() {
  Store<Net, P> store;
  const auto random = Tensor<typename P::Real>::random(1, static_cast<int>(store.flat.size()), 1, -0.5, 0.5);
  std::copy(random.begin(), random.end(), store.flat.begin());
  return store;
}

template <Vit C>
void check_gradients() {
  using P = Cpu<double>;
  using Net = model::VisionTransformer<C, P>;
  Context<P> ctx(1);
  auto w = weights<Net, P>();
  const auto grids = C.other_sizes == OtherSizes::refused ? pictures(C, 2) : of_sizes({{4, 4}, {6, 7}, {2, 5}});
  int rows = 0;
  for (const Grid& grid : grids) rows += Net::features(grid).rows();
  auto x = Tensor<double>::random(cells_of(grids), 3, 2);
  const auto dy = Tensor<double>::random(rows, C.dim, 3);
  Tensor<double> y(rows, C.dim), y_saved(rows, C.dim), dx(x.rows(), 3, 9);
  const auto loss = [&] {
    Net::forward(ctx, w.views, x.template rows_on<P, 3>(), grids, y.template rows_on<P, C.dim>());
    return test::inner(dy, y);
  };
  Store<Net, P> g;
  const auto saved = Net::template forward<all_gradients>(ctx, w.views, x.template rows_on<P, 3>(), grids,
                                                          y_saved.template rows_on<P, C.dim>());
  Net::backward(ctx, w.views, saved, grids, dy.template rows_on<P, C.dim>(), dx.template rows_on<P, 3>(), g.views);
  ctx.arena().release(0);
  loss();
  CHECK(y == y_saved);
  CHECK(test::gradient_check(x, dx, loss).relative < test::difference_bound());

  // Inputs alone, with the weights frozen: the same dx.
  Tensor<double> dx_alone(x.rows(), 3);
  const auto inputs = Net::template forward<input_gradients>(ctx, w.views, x.template rows_on<P, 3>(), grids,
                                                             y_saved.template rows_on<P, C.dim>());
  Net::backward(ctx, w.views, inputs, grids, dy.template rows_on<P, C.dim>(), dx_alone.template rows_on<P, 3>(),
                frozen<Net>);
  ctx.arena().release(0);
  CHECK(dx == dx_alone);
  CHECK(ctx.arena().scratched() == 0);

  std::size_t checked = 0;
  const auto check_leaf = [&](const Spec& spec, auto& leaf, auto& gradient) {
    INFO(std::string(std::string_view(spec.name)));
    std::vector<double> differences, got(gradient.data, gradient.data + spec.size());
    for (std::size_t i = 0; i < spec.size(); ++i) {
      const double at = leaf.data[i], step = test::difference_step(at);
      leaf.data[i] = at + step;
      const double above = loss();
      leaf.data[i] = at - step;
      const double below = loss();
      leaf.data[i] = at;
      differences.push_back((above - below) / (2 * step));
    }
    // A key's bias moves all scores of a query alike: its gradient is zero, and only an absolute bound says something.
    const test::Distance d = test::distance(got.data(), differences.data(), got.size());
    CHECK((d.relative < test::difference_bound() || d.largest < test::difference_bound()));
    checked += spec.size();
  };
  Net::each(check_leaf, w.views, g.views);
  CHECK(checked == parameter_count<Net>());
}

}  // namespace

TEST_CASE("gradients of a vision transformer equal central differences", "[vit]") {
  SECTION("CLIP's") { check_gradients<clip>(); }
  SECTION("every other choice") { check_gradients<other>(); }
  SECTION("without a class token") { check_gradients<bare>(); }
  SECTION("of a size that patches do not fill") { check_gradients<unfilled>(); }
  SECTION("of any size") { check_gradients<any_size>(); }
  SECTION("of any size, averaging, without the class token's row") { check_gradients<averaging>(); }
  SECTION("of any size without a class token") { check_gradients<no_class>(); }
}

TEMPLATE_LIST_TEST_CASE("a picture's features depend on no other picture", "[vit]", test::Platforms) {
  using P = TestType;
  using R = typename P::Real;
  using Net = model::VisionTransformer<clip, P>;
  Context<P> ctx(2);
  const auto w = weights<Net, P>();
  const auto grids = pictures(clip, 5), alone = pictures(clip, 1);
  const int rows = Net::features(grids[0]).rows(), pixels = grids[0].rows();
  const auto x = Tensor<R>::random(5 * pixels, 3, 2);
  Tensor<R> y(5 * rows, clip.dim), one(rows, clip.dim);
  Net::forward(ctx, w.views, x.template rows_on<P, 3>(), grids, y.template rows_on<P, clip.dim>());
  CHECK(y.intact());
  for (int m = 0; m < 5; ++m) {
    const auto part = test::rows_of(x, m * pixels, pixels);
    Net::forward(ctx, w.views, part.template rows_on<P, 3>(), alone, one.template rows_on<P, clip.dim>());
    CHECK(one == test::rows_of(y, m * rows, rows));
  }
}

TEST_CASE("patches that change places with their positions change nothing else", "[vit]") {
  using P = Cpu<double>;
  using Net = model::VisionTransformer<bare, P>;
  Context<P> ctx(1);
  auto w = weights<Net, P>();
  const auto grids = pictures(bare, 2);
  auto x = Tensor<double>::random(cells_of(grids), 3, 2);
  Tensor<double> y(8, bare.dim), swapped(8, bare.dim);
  Net::forward(ctx, w.views, x.rows_on<P, 3>(), grids, y.rows_on<P, bare.dim>());
  // Patches 0 and 3 of 2 x 2: the upper left and the lower right one.
  for (const Grid& g : grids)
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 3; ++j)
        for (int c = 0; c < 3; ++c) std::swap(x(g.first + i * 6 + j, c), x(g.first + (i + 3) * 6 + j + 3, c));
  for (int d = 0; d < bare.dim; ++d) std::swap(w.views.positions.row(0)[d], w.views.positions.row(3)[d]);
  Net::forward(ctx, w.views, x.rows_on<P, 3>(), grids, swapped.rows_on<P, bare.dim>());
  Tensor<double> expected(8, bare.dim);
  for (int m = 0; m < 2; ++m)
    for (int s = 0; s < 4; ++s)
      for (int d = 0; d < bare.dim; ++d) expected(4 * m + s, d) = y(4 * m + (s == 0 ? 3 : s == 3 ? 0 : s), d);
  // Sums over the patches run in another order: the softmax, its mean of values, and what follows of them.
  CHECK(test::distance(swapped, expected).relative < test::chain_bound<double>(100));
  CHECK(test::distance(y, expected).relative > 1e-3);
}

TEST_CASE("pixels that fill no patch are not seen", "[vit]") {
  using P = Cpu<float>;
  using Net = model::VisionTransformer<unfilled, P>;
  using Filled = model::VisionTransformer<bare, P>;
  Context<P> ctx(1);
  const auto x = Tensor<float>::random(8 * 8, 3, 2);
  Tensor<float> inner(6 * 6, 3), y(4, bare.dim), expected(4, bare.dim);
  for (int line = 0; line < 6; ++line)
    for (int column = 0; column < 6; ++column)
      for (int colour = 0; colour < 3; ++colour) inner(line * 6 + column, colour) = x(line * 8 + column, colour);
  Net::forward(ctx, weights<Net, P>().views, x.rows_on<P, 3>(), pictures(unfilled, 1), y.rows_on<P, bare.dim>());
  Filled::forward(ctx, weights<Filled, P>().views, inner.rows_on<P, 3>(), pictures(bare, 1),
                  expected.rows_on<P, bare.dim>());
  CHECK(y == expected);
}

TEST_CASE("a picture of the table's size is computed as without other sizes, beside others too", "[vit]") {
  using P = Cpu<float>;
  constexpr Vit same = [] {
    Vit c = any_size;
    c.other_sizes = OtherSizes::refused;
    return c;
  }();
  using Net = model::VisionTransformer<any_size, P>;
  Context<P> ctx(1);
  const auto w = weights<Net, P>();
  const auto x = Tensor<float>::random(5 * 9 + 16, 3, 2), own = test::rows_of(x, 45, 16);
  Tensor<float> y(9 + 5, 4), expected(5, 4);
  const auto grids = of_sizes({{5, 9}, {4, 4}}), one = pictures(same, 1);
  CHECK(Net::features(grids[0]) == Grid{0, 1, 9});
  Net::forward(ctx, w.views, x.rows_on<P, 3>(), grids, y.rows_on<P, 4>());
  using Same = model::VisionTransformer<same, P>;
  Same::forward(ctx, weights<Same, P>().views, own.rows_on<P, 3>(), one, expected.rows_on<P, 4>());
  CHECK(test::rows_of(y, 9, 5) == expected);
}

TEST_CASE("pictures of another size agree with transformers' Idefics", "[vit]") {
  using P = Cpu<float>;
  constexpr Vit c{.image = 30,
                  .patch = 10,
                  .dim = 24,
                  .layers = 2,
                  .heads = 3,
                  .hidden = 40,
                  .activation = Activation::gelu,
                  .class_out = true,
                  .other_sizes = OtherSizes::bicubic};
  using Net = model::VisionTransformer<c, P>;
  const io::Safetensors file(test::golden_path("idefics_vision.safetensors"));
  Store<Net, P> w;
  load_numbers<Net>(file, w.views, hugging_face_vit_names().within("", "param."));
  const test::GoldenPictures<float> hires(file.at("in.hires_pixel_values"));
  REQUIRE(hires.grids[0].height == 40);
  Tensor<float> y(17, c.dim);
  Context<P> ctx(1);
  Net::forward(ctx, w.views, hires.rows<P>(), hires.grids, y.rows_on<P, c.dim>());
  test::Report report(file);
  report.output("out.hires_vision_last_hidden_state", y,
                test::numbers<float>(file.at("out.hires_vision_last_hidden_state")));
  INFO(report.text());
  CHECK(report.agrees());
}

TEST_CASE("a vision transformer refuses pictures of another size", "[vit]") {
  using P = Cpu<float>;
  using Net = model::VisionTransformer<clip, P>;
  Context<P> ctx(1);
  const auto w = weights<Net, P>();
  Tensor<float> x(110, 3), y(4, clip.dim);
  const std::vector<Grid> wrong{{0, 10, 11}}, right{{0, 10, 10}};
  CHECK_THROWS_WITH(Net::forward(ctx, w.views, x.rows_on<P, 3>(), wrong, y.rows_on<P, clip.dim>()),
                    "[vit] a picture has 10 x 11 pixels, expected 10 x 10");
  const Rows<P, clip.dim> few{y.data(), 3, {}};
  const Rows<P, 3> picture{x.data(), 100, {}};
  CHECK_THROWS_WITH(Net::forward(ctx, w.views, picture, right, few), "[vit] y is (3, 6), expected (4, 6)");

  using Any = model::VisionTransformer<any_size, P>;
  const auto any_weights = weights<Any, P>();
  const std::vector<Grid> flat{{0, 1, 100}}, uneven{{0, 10, 10}};
  const Rows<P, any_size.dim> out{y.data(), 6, {}};
  CHECK_THROWS_WITH(Any::forward(ctx, any_weights.views, picture, flat, out),
                    "[vit] a picture has 1 x 100 pixels, expected at least 2 x 2");
  CHECK_THROWS_WITH(Any::forward(ctx, any_weights.views, picture, uneven, out), "[vit] y is (6, 4), expected (26, 4)");
}

}  // namespace vit_test
