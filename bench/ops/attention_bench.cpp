#include <flamingo/ops/attention.hpp>

#include <array>

#include <flamingo/kernels/cpu/attention.hpp>

#include "support/op.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

/// `rows` queries over `keys` keys; causal ones see those at or before them. A pair is K multiply-adds a product.
struct Case {
  const char* name;
  int rows, keys, causal;

  double pairs() const { return causal ? rows * (keys - rows) + rows * (rows + 1) / 2.0 : 1.0 * rows * keys; }
};

bool time_attention(const Case& c) {
  const auto tensors = [c](Context<bench::P>& ctx) {
    return std::array{filled(ctx, c.rows, H * K), filled(ctx, c.rows, H * K), filled(ctx, c.rows, H * K),
                      filled(ctx, c.rows, H * K), filled(ctx, c.keys, G * K), filled(ctx, c.keys, G * K),
                      filled(ctx, c.keys, G * K), filled(ctx, c.keys, G * K), filled(ctx, c.rows, H)};
  };
  const auto make = [c, tensors](bool backward) {
    return [c, tensors, backward](Context<bench::P>& ctx) {
      const auto [q, y, dy, dq, k, v, dk, dv, lse] = tensors(ctx);
      const Span span{.first_row = 0, .rows = c.rows, .position = c.keys - c.rows, .first_segment = 0, .segments = 1};
      const Segment segment{.pool = 0, .first = 0, .count = c.keys, .position = 0, .causal = c.causal};
      const AttentionShape shape{.heads = H, .kv_heads = G, .head_dim = K, .scale = 0.125f};
      return [=, &ctx, q = q, y = y, dy = dy, dq = dq, k = k, v = v, dk = dk, dv = dv, lse = lse] {
        const Spans<bench::P> spans{{&span, {1}}, {&segment, {1}}};
        const std::array<KeyValue<bench::P>, 1> pools{{{k, v}}};
        if (backward) {
          const std::array<KeyValueGradient<bench::P>, 1> gradients{{{dk, dv}}};
          ops::attention_backward(ctx, shape, q, pools, spans, NoPosition{}, y, lse, dy, dq, gradients, NoPosition{});
        } else {
          ops::attention(ctx, shape, q, pools, spans, NoPosition{}, y, lse);
        }
      };
    };
  };
  const double product = 2.0 * H * K * c.pairs();
  return time_op(std::string("attention/forward/") + c.name, {.operations = 2 * product}, make(false)) &&
         time_op(std::string("attention/backward/") + c.name, {.operations = 5 * product}, make(true));
}

const bool registered = time_attention({"prompt", N, N, 1}) && time_attention({"token", 1, N, 1}) &&
                        time_attention({"over_64_latents", N, 64, 0});

}  // namespace
