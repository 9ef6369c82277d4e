#include <flamingo/nn/transformer_block.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>

#include "support/gradient_check.hpp"
#include "support/layer.hpp"
#include "support/platforms.hpp"

namespace transformer_block_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int N = 8, D = 6;

// LLaMA's, GPT-NeoX's with both branches side by side and one after the other, and MPT-1B's.
constexpr TransformerBlockConfig llama{
    .attention = {.dim = D, .source_dim = D, .heads = 4, .kv_heads = 2, .head_dim = 2, .rotary = true},
    .dense = {.dim = D, .hidden = 7, .activation = Activation::silu},
    .gated_dense = true,
    .norm = NormKind::rms};
constexpr TransformerBlockConfig parallel{
    .attention = {.dim = D,
                  .source_dim = D,
                  .heads = 2,
                  .kv_heads = 2,
                  .head_dim = 3,
                  .bias = true,
                  .rotary = true,
                  .turned = 2},
    .dense = {.dim = D, .hidden = 11, .activation = Activation::gelu, .bias = true},
    .parallel = true};
constexpr TransformerBlockConfig sequential = [] {
  TransformerBlockConfig c = parallel;
  c.parallel = false;
  return c;
}();
constexpr TransformerBlockConfig mpt{.attention = {.dim = D,
                                                   .source_dim = D,
                                                   .heads = 3,
                                                   .kv_heads = 3,
                                                   .head_dim = 2,
                                                   .clamp = 1.2f,
                                                   .qk_norm = QkNorm::rows_layer,
                                                   .alibi = 8},
                                     .dense = {.dim = D, .hidden = 13, .activation = Activation::gelu},
                                     .norm = NormKind::layer_unbiased};

/// Two sequences of 3 and 5 rows.
template <TransformerBlockConfig C, Platform P>
struct BlockCase {
  using Layer = nn::TransformerBlock<C, P>;
  using R = typename P::Real;

  Context<P> ctx{1, 1 << 20};
  Store<Layer, P> weights = drawn<Layer, P>(7), gradients;
  Tensor<R> x = drawn_rows<R>(N, D, 1), z{N, D, R(7)}, dz = drawn_rows<R>(N, D, 3), dx{N, D, R(7)};
  std::vector<int> positions{0, 1, 2, 0, 1, 2, 3, 4};
  SpanList spans;

  BlockCase() {
    spans.begin(0, 3);
    spans.add({0, 0, 3, 0, 1});
    spans.begin(3, 5);
    spans.add({0, 3, 5, 0, 1});
  }
  template <Need need>
  auto run() {
    const auto k = keep<Layer::KV>(ctx, N), v = keep<Layer::KV>(ctx, N);
    Pools<P> pools;
    pools.add({k, v});
    return Layer::template forward<need>(ctx, weights.views, x.template rows_on<P, D>(), table(ctx, positions), k, v,
                                         pools, table(ctx, spans), z.template rows_on<P, D>());
  }
  void forward() {
    run<no_gradients>();
    ctx.arena().release(0);
  }
  template <Need need = all_gradients, class G>
  void backward(const G& g) {
    const auto saved = run<need>();
    Layer::backward(ctx, weights.views, saved, table(ctx, positions), table(ctx, spans), dz.template rows_on<P, D>(),
                    dx.template rows_on<P, D>(), g);
    ctx.arena().release(0);
  }
};

template <TransformerBlockConfig C>
void check_differences() {
  BlockCase<C, Cpu<double>> c;
  c.backward(c.gradients.views);
  const auto loss = [&] {
    c.forward();
    return inner(c.dz, c.z);
  };
  CHECK(gradient_check(c.x, c.dx, loss).relative < difference_bound());
  check_weight_gradients(c.weights, c.gradients, loss);
  CHECK(c.ctx.arena().scratched() == 0);
}

template <TransformerBlockConfig C>
void check_types() {
  BlockCase<C, Cpu<float>> single;
  BlockCase<C, Cpu<double>> exact;
  single.backward(single.gradients.views);
  exact.backward(exact.gradients.views);
  // The sums of a row's way there and back: six products, two norms, a softmax.
  const double bound = chain_bound<float>(4 * (3 * D + N + static_cast<std::size_t>(C.dense.hidden)));
  CHECK(distance(single.z, exact.z).relative < bound);
  CHECK(distance(single.dx, exact.dx).relative < bound);
  CHECK(distance(single.gradients.flat.data(), exact.gradients.flat.data(), exact.gradients.flat.size()).relative <
        bound);
}

template <TransformerBlockConfig C>
void check_frozen() {
  using Case = BlockCase<C, Cpu<double>>;
  Case all, inputs;
  all.backward(all.gradients.views);
  inputs.template backward<input_gradients>(frozen<typename Case::Layer>);
  CHECK(inputs.z == all.z);
  CHECK(inputs.dx == all.dx);
}

}  // namespace

TEST_CASE("blocks' gradients are those of finite differences", "[nn]") {
  check_differences<llama>();
  check_differences<parallel>();
  check_differences<sequential>();
  check_differences<mpt>();
}

TEST_CASE("blocks are the same in float", "[nn]") {
  check_types<llama>();
  check_types<parallel>();
  check_types<mpt>();
}

TEST_CASE("a frozen block passes the same gradient on", "[nn]") {
  check_frozen<parallel>();
  check_frozen<mpt>();
}

TEST_CASE("parallel branches add up: the block less its input is attention's part and the feed-forward's", "[nn]") {
  using P = Cpu<double>;
  // Without attention's part the parallel block is the sequential one without it, and the same for the other half.
  const auto rest = [](bool attention, bool dense) {
    BlockCase<parallel, P> c;
    const auto silence = [](auto& leaf) { std::fill_n(leaf.data, leaf.size(), 0.0); };
    if (!attention) {
      silence(c.weights.views.attention.out);
      silence(c.weights.views.attention.out_bias);
    }
    if (!dense) {
      silence(c.weights.views.dense.down);
      silence(c.weights.views.dense.down_bias);
    }
    c.forward();
    for (std::size_t i = 0; i < c.z.size(); ++i) c.z.data()[i] -= c.x.data()[i];
    return c.z;
  };
  const Tensor<double> whole = rest(true, true), attention = rest(true, false), dense = rest(false, true);
  Tensor<double> sum = attention;
  for (std::size_t i = 0; i < sum.size(); ++i) sum.data()[i] += dense.data()[i];
  CHECK(distance(whole, sum).relative < chain_bound<double>(8));
  CHECK(distance(attention, dense).relative > 0.1);
}

}  // namespace transformer_block_test
