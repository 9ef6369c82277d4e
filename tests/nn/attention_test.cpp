#include <flamingo/nn/attention.hpp>

#include <catch2/catch.hpp>

#include "nn/attention_case.hpp"
#include "support/platforms.hpp"

namespace attention_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int D = 7, E = 11;

constexpr AttentionConfig self{.dim = D, .source_dim = D, .heads = 4, .kv_heads = 2, .head_dim = 6, .rotary = true},
    adjacent{.dim = D,
             .source_dim = D,
             .heads = 4,
             .kv_heads = 4,
             .head_dim = 2,
             .bias = true,
             .rotary = true,
             .rotary_base = 100,
             .rotary_pairs = RotaryPairs::adjacent},
    cross{.dim = D, .source_dim = E, .heads = 2, .kv_heads = 2, .head_dim = 3, .bias = true};
// What published models do between projections and scores: GPT-NeoX's turned part beside norms of heads, MPT-1B's norms
// of whole rows between a clamp and linear biases of three heads, Idefics' norms of heads in cross-attention.
constexpr AttentionConfig part_turned{.dim = D,
                                      .source_dim = D,
                                      .heads = 4,
                                      .kv_heads = 2,
                                      .head_dim = 6,
                                      .bias = true,
                                      .qk_norm = QkNorm::heads_rms,
                                      .rotary = true,
                                      .turned = 4,
                                      .rotary_scaling = {.factor = 4, .context = 23}},
    mpt{.dim = D,
        .source_dim = D,
        .heads = 3,
        .kv_heads = 3,
        .head_dim = 5,
        .clamp = 0.9f,
        .qk_norm = QkNorm::rows_layer,
        .alibi = 8},
    cross_normed{.dim = D,
                 .source_dim = E,
                 .heads = 4,
                 .kv_heads = 2,
                 .head_dim = 3,
                 .bias = true,
                 .clamp = 1.1f,
                 .qk_norm = QkNorm::heads_layer};

}  // namespace

TEST_CASE("attention layers' gradients are those of finite differences", "[nn]") {
  check_differences<self>();
  check_differences<adjacent>();
  check_differences<cross>();
  check_differences<part_turned>();
  check_differences<mpt>();
  check_differences<cross_normed>();
}

TEST_CASE("attention with norms, clamps, parts that turn and linear biases is the same in float", "[nn]") {
  check_types<part_turned>();
  check_types<mpt>();
  check_types<cross_normed>();
}

TEST_CASE("slopes of linear biases halve from head to head, those of other head counts come from the next power",
          "[nn]") {
  const auto exponents = [](int heads, float limit) {
    std::vector<double> all;
    for (const double slope : alibi_slopes<double>(heads, limit)) all.push_back(-std::log2(slope));
    return all;
  };
  CHECK(exponents(8, 8) == std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(exponents(4, 8) == std::vector<double>{2, 4, 6, 8});
  CHECK(exponents(6, 8) == std::vector<double>{2, 4, 6, 8, 1, 3});
  CHECK(exponents(3, 4) == std::vector<double>{2, 4, 1});
  CHECK(exponents(1, 8) == std::vector<double>{8});
}

TEMPLATE_LIST_TEST_CASE("attention over two processes gives the undivided result", "[nn][split]", Platforms) {
  check_split<self, TestType>();
  check_split<adjacent, TestType>();
  check_split<cross, TestType>();
}

TEMPLATE_LIST_TEST_CASE("rows that see nothing get the output's bias alone", "[nn]", Platforms) {
  using P = TestType;
  using Case = AttentionLayerCase<cross, P>;
  Context<P> ctx(1, 1 << 20);
  Case c(drawn<typename Case::Layer, P>(7));
  c.forward(ctx);
  const auto& bias = c.weights.views.out_bias;
  for (int i = 0; i < D; ++i) CHECK(c.y(0, i) == bias.data[i]);
}

TEMPLATE_LIST_TEST_CASE("keys of a cache are as good as a row's own", "[nn]", Platforms) {
  check_cache<self, TestType>();
  check_cache<mpt, TestType>();
}

TEST_CASE("an unwanted gradient of attention changes no other bit", "[nn]") {
  check_frozen<cross>();
  check_frozen<cross_normed>();
}

}  // namespace attention_test
