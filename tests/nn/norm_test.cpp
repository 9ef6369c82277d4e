#include <flamingo/nn/norm.hpp>

#include <catch2/catch.hpp>

#include <flamingo/kernels/cpu/linear.hpp>
#include <flamingo/kernels/cpu/norm.hpp>

#include "support/gradient_check.hpp"
#include "support/layer.hpp"
#include "support/platforms.hpp"

namespace norm_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int N = 5, D = 11;
constexpr float epsilon_of_test = 1e-3f;

template <class Layer, Platform P>
struct NormLayerCase {
  using R = typename P::Real;
  Context<P> ctx{1, 1 << 20};
  Store<Layer, P> weights = drawn<Layer, P>(7), gradients;
  Tensor<R> x = drawn_rows<R>(N, D, 1), y{N, D, R(7)}, dy = drawn_rows<R>(N, D, 2), dx{N, D, R(7)};

  template <Need need>
  auto run() {
    return Layer::template forward<need>(ctx, weights.views, epsilon_of_test, x.template rows_on<P, D>(),
                                         y.template rows_on<P, D>());
  }
  void backward() {
    const auto saved = run<all_gradients>();
    Layer::backward(ctx, weights.views, saved, dy.template rows_on<P, D>(), dx.template rows_on<P, D>(),
                    gradients.views);
    ctx.arena().release(0);
  }
};

template <class Layer>
void check_differences() {
  NormLayerCase<Layer, Cpu<double>> c;
  c.backward();
  const auto loss = [&] {
    const auto scope = c.ctx.scope();
    c.template run<no_gradients>();
    return inner(c.dy, c.y);
  };
  CHECK(gradient_check(c.x, c.dx, loss).relative < difference_bound());
  check_weight_gradients(c.weights, c.gradients, loss);
}

template <class Layer, Platform P>
void check_needs() {
  NormLayerCase<Layer, P> all, none;
  all.backward();
  none.template run<no_gradients>();
  CHECK(none.y == all.y);
  CHECK(none.ctx.arena().kept() == 0);
  const auto saved = none.template run<input_gradients>();
  Layer::backward(none.ctx, none.weights.views, saved, none.dy.template rows_on<P, D>(),
                  none.dx.template rows_on<P, D>(), frozen<Layer>);
  CHECK(none.dx == all.dx);
  CHECK(all_zero(none.gradients.flat));
  std::vector<typename P::Real> twice = all.gradients.flat;
  for (auto& g : twice) g *= 2;
  all.backward();  // gradients of weights add up
  CHECK(distance(all.gradients.flat.data(), twice.data(), twice.size()).relative <
        chain_bound<typename P::Real>(2 * N));
}

}  // namespace

TEST_CASE("norm layers' gradients are those of finite differences", "[nn]") {
  check_differences<nn::LayerNorm<D, Cpu<double>>>();
  check_differences<nn::RmsNorm<D, Cpu<double>>>();
  check_differences<nn::RmsNorm<D, Cpu<double>, true>>();
}
TEMPLATE_LIST_TEST_CASE("norm layers keep and compute what is asked for, nothing else", "[nn]", Platforms) {
  check_needs<nn::LayerNorm<D, TestType>, TestType>();
  check_needs<nn::RmsNorm<D, TestType>, TestType>();
  check_needs<nn::RmsNorm<D, TestType, true>, TestType>();
}
TEMPLATE_LIST_TEST_CASE("UnitNorm gives rows of length 1, and leaves zeros alone", "[nn]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  using Layer = nn::UnitNorm<D, P>;
  Context<P> ctx(1, 1 << 20);
  auto x = drawn_rows<R>(N, D, 1);
  for (int i = 0; i < D; ++i) x(2, i) = 0;
  Tensor<R> y(N, D, R(7));
  Layer::template forward<no_gradients>(ctx, x.template rows_on<P, D>(), y.template rows_on<P, D>());
  CHECK(ctx.arena().kept() == 0);
  Tensor<double> expected(N, D);
  for (int n = 0; n < N; ++n) {
    double square = 0;
    for (int i = 0; i < D; ++i) square += std::pow(static_cast<double>(x(n, i)), 2);
    for (int i = 0; i < D; ++i) expected(n, i) = n == 2 ? 0 : static_cast<double>(x(n, i)) / std::sqrt(square);
  }
  CHECK(distance(y, expected).relative < chain_bound<R>(D + 6));
  CHECK(all_zero(rows_of(y, 2, 1)));
}
TEST_CASE("UnitNorm's gradient is that of finite differences", "[nn]") {
  using P = Cpu<double>;
  using Layer = nn::UnitNorm<D, P>;
  Context<P> ctx(1, 1 << 20);
  auto x = drawn_rows<double>(N, D, 1), dy = drawn_rows<double>(N, D, 2);
  Tensor<double> y(N, D), dx(N, D, 7);
  const auto saved = Layer::forward<input_gradients>(ctx, x.rows_on<P, D>(), y.rows_on<P, D>());
  Layer::backward(ctx, saved, dy.rows_on<P, D>(), dx.rows_on<P, D>());
  const auto loss = [&] {
    const auto scope = ctx.scope();
    Layer::forward<no_gradients>(ctx, x.rows_on<P, D>(), y.rows_on<P, D>());
    return inner(dy, y);
  };
  CHECK(gradient_check(x, dx, loss).relative < difference_bound());
}
TEST_CASE("norm layers name and begin their parameters as they say", "[nn]") {
  using P = Cpu<float>;
  const Store<nn::LayerNorm<D, P>, P> layer(1);
  for (std::size_t i = 0; i < D; ++i) CHECK((layer.views.scale.data[i] == 1 && layer.views.bias.data[i] == 0));
  CHECK(parameter_count<nn::LayerNorm<D, P>>() == 2 * D);
  CHECK(parameter_count<nn::RmsNorm<D, P>>() == D);
  CHECK(parameter_count<nn::Norm<NormKind::rms_biased, D, P>>() == 2 * D);
}

}  // namespace norm_test
