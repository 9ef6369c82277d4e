#include <flamingo/nn/post_norm_block.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>

#include "support/gradient_check.hpp"
#include "support/layer.hpp"

namespace post_norm_block_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int N = 8, D = 6;
constexpr TransformerBlockConfig bert{
    .attention = {.dim = D, .source_dim = D, .heads = 2, .kv_heads = 2, .head_dim = 3, .bias = true},
    .dense = {.dim = D, .hidden = 11, .activation = Activation::gelu, .bias = true},
    .epsilon = 1e-12f};

/// Two texts of 3 and 5 rows.
template <Platform P>
struct BlockCase {
  using Layer = nn::PostNormBlock<bert, P>;
  using R = typename P::Real;
  Context<P> ctx{1, 1 << 20};
  Store<Layer, P> weights = drawn<Layer, P>(7), gradients;
  Tensor<R> x = drawn_rows<R>(N, D, 1), z{N, D, R(7)}, dz = drawn_rows<R>(N, D, 3), dx{N, D, R(7)};
  SpanList spans;

  BlockCase() {
    spans.begin(0, 3);
    spans.add({0, 0, 3, 0, 0});
    spans.begin(3, 5);
    spans.add({0, 3, 5, 0, 0});
  }
  template <Need need>
  auto run() {
    return Layer::template forward<need>(ctx, weights.views, x.template rows_on<P, D>(), {}, table(ctx, spans),
                                         z.template rows_on<P, D>());
  }
};

}  // namespace

TEST_CASE("the gradients of a block with norms after its sums are those of finite differences", "[post_norm_block]") {
  using P = Cpu<double>;
  BlockCase<P> c;
  const auto loss = [&] {
    const auto kept = c.ctx.kept_scope();
    c.run<no_gradients>();
    return inner(c.dz, c.z);
  };
  {
    const auto kept = c.ctx.kept_scope();
    const auto saved = c.run<all_gradients>();
    BlockCase<P>::Layer::backward(c.ctx, c.weights.views, saved, {}, table(c.ctx, c.spans), c.dz.rows_on<P, D>(),
                                  c.dx.rows_on<P, D>(), c.gradients.views);
  }
  CHECK(c.ctx.arena().kept() == 0);
  CHECK(c.ctx.arena().scratched() == 0);
  check_weight_gradients(c.weights, c.gradients, loss);
  CHECK(gradient_check(c.x, c.dx, loss).relative < difference_bound());
}

TEST_CASE("what leaves a block with norms after its sums is normed, and keeping nothing changes no bit",
          "[post_norm_block]") {
  using P = Cpu<float>;
  BlockCase<P> c;
  auto& norm = c.weights.views.norm_dense;
  std::fill_n(norm.scale.data, D, 1.0f);
  std::fill_n(norm.bias.data, D, 0.0f);
  c.run<no_gradients>();
  const auto z = c.z;
  for (int n = 0; n < N; ++n) {
    double sum = 0, squares = 0;
    for (int d = 0; d < D; ++d) {
      sum += static_cast<double>(z(n, d));
      squares += static_cast<double>(z(n, d)) * static_cast<double>(z(n, d));
    }
    CHECK(sum == Approx(0).margin(D * chain_bound<float>(20)));
    CHECK(squares / D == Approx(1).epsilon(chain_bound<float>(40)));
  }
  c.run<all_gradients>();
  CHECK(c.z == z);
}

}  // namespace post_norm_block_test
