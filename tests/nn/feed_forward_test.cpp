#include <flamingo/nn/feed_forward.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>

#include "nn/layer_case.hpp"
#include "support/gradient_check.hpp"
#include "support/platforms.hpp"

namespace feed_forward_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int N = 5, D = 7, F = 22;

/// Layer is FeedForward or GatedFeedForward.
template <class Layer, Platform P>
struct DenseCase {
  using R = typename P::Real;
  Store<Layer, P> weights, gradients;
  Tensor<R> x = drawn_rows<R>(N, D, 1), y{N, D, R(7)}, dy = drawn_rows<R>(N, D, 2), dx{N, D, R(7)};

  explicit DenseCase(Store<Layer, P> w) : weights(std::move(w)) {}

  template <Need need>
  auto run(Context<P>& ctx) {
    return Layer::template forward<need>(ctx, weights.views, x.template rows_on<P, D>(), y.template rows_on<P, D>());
  }
  void backward(Context<P>& ctx) {
    const auto saved = run<all_gradients>(ctx);
    Layer::backward(ctx, weights.views, saved, dy.template rows_on<P, D>(), dx.template rows_on<P, D>(),
                    gradients.views);
    ctx.arena().release(0);
  }
};

template <class Layer>
void check_differences() {
  using P = Cpu<double>;
  Context<P> ctx(1, 1 << 20);
  DenseCase<Layer, P> c(drawn<Layer, P>(7));
  c.backward(ctx);
  const auto loss = [&] {
    c.template run<no_gradients>(ctx);
    return inner(c.dy, c.y);
  };
  CHECK(gradient_check(c.x, c.dx, loss).relative < difference_bound());
  check_weight_gradients(c.weights, c.gradients, loss);
  CHECK(ctx.arena().scratched() == 0);
}

template <class Whole, class Part, Platform P>
void check_split() {
  using R = typename P::Real;
  Context<P> ctx(1, 1 << 20);
  DenseCase<Whole, P> whole(drawn<Whole, P>(7));
  whole.backward(ctx);
  std::array<double, processes> output{}, input{}, weights{};
  on_two_processes<P>([&](int rank, Context<P>& own) {
    DenseCase<Part, P> part(divided<Part>(whole.weights, rank));
    part.backward(own);
    const auto at = static_cast<std::size_t>(rank);
    output[at] = distance(part.y, whole.y).relative;
    input[at] = distance(part.dx, whole.dx).relative;
    weights[at] = divided_distance(part.gradients, whole.gradients, rank);
  });
  // Two sums and a non-linearity each way; a part sums in another order.
  const double bound = chain_bound<R>(2 * (D + F) + 20);
  for (const auto& distances : {output, input, weights})
    for (const double d : distances) CHECK(d < bound);
}

template <class Layer>
void check_needs() {
  using P = Cpu<double>;
  Context<P> ctx(1, 1 << 20);
  DenseCase<Layer, P> all(drawn<Layer, P>(7)), inputs(drawn<Layer, P>(7)), weights(drawn<Layer, P>(7));
  all.backward(ctx);
  inputs.template run<no_gradients>(ctx);
  CHECK(ctx.arena().kept() == 0);
  CHECK(inputs.y == all.y);
  const auto i = inputs.template run<input_gradients>(ctx);
  Layer::backward(ctx, inputs.weights.views, i, inputs.dy.template rows_on<P, D>(), inputs.dx.template rows_on<P, D>(),
                  frozen<Layer>);
  CHECK(inputs.dx == all.dx);
  const auto w = weights.template run<weight_gradients>(ctx);
  Layer::backward(ctx, weights.weights.views, w, weights.dy.template rows_on<P, D>(), NoGrad{},
                  weights.gradients.views);
  CHECK(weights.gradients.flat == all.gradients.flat);
}

constexpr FeedForwardConfig plain{.dim = D, .hidden = F, .activation = Activation::gelu_tanh},
    biased{.dim = D, .hidden = F, .activation = Activation::quick_gelu, .bias = true},
    gated{.dim = D, .hidden = F, .activation = Activation::silu};
constexpr FeedForwardConfig halved(FeedForwardConfig c) {
  c.split = processes;
  return c;
}

}  // namespace

TEST_CASE("feed-forwards' gradients are those of finite differences", "[nn]") {
  check_differences<nn::FeedForward<plain, Cpu<double>>>();
  check_differences<nn::FeedForward<biased, Cpu<double>>>();
  check_differences<nn::GatedFeedForward<gated, Cpu<double>>>();
}
TEST_CASE("feed-forwards keep and compute what is asked for, nothing else", "[nn]") {
  check_needs<nn::FeedForward<biased, Cpu<double>>>();
  check_needs<nn::GatedFeedForward<gated, Cpu<double>>>();
}
TEMPLATE_LIST_TEST_CASE("a feed-forward over two processes gives the undivided result", "[nn][split]", Platforms) {
  using P = TestType;
  check_split<nn::FeedForward<plain, P>, nn::FeedForward<halved(plain), P>, P>();
  check_split<nn::FeedForward<biased, P>, nn::FeedForward<halved(biased), P>, P>();
  check_split<nn::GatedFeedForward<gated, P>, nn::GatedFeedForward<halved(gated), P>, P>();
}
TEST_CASE("a split layer without a communicator says so", "[nn][split]") {
  using P = Cpu<float>;
  using Part = nn::FeedForward<halved(plain), P>;
  Context<P> ctx(1, 1 << 20);
  DenseCase<Part, P> c(drawn<Part, P>(7));
  CHECK_THROWS_WITH(c.run<no_gradients>(ctx),
                    "[split] the model is split but the context has no communicator: set sum_over_processes");
}

}  // namespace feed_forward_test
