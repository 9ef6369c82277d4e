#include <flamingo/kernels/dry/attention.hpp>

#include <catch2/catch.hpp>

#include "support/attention_case.hpp"

namespace attention_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Dry<Cpu<float>>;
// Pairs that see each other in AttentionCase, span by span: a prefix of 7 keys for 11 rows and a causal triangle;
// 5 keys for 5 rows and 4 causal ones that begin at the second row; 3 causal ones from the third row on; and 11 keys
// for 3 rows of equal weights.
constexpr double scored = 11 * 7 + 66 + 5 * 5 + (1 + 2 + 3 + 4) + (1 + 2 + 3), uniform = 3 * 11;
constexpr double product = 2.0 * AttentionCase<float>::H * AttentionCase<float>::K;  // of one pair

}  // namespace

TEST_CASE("dry attention counts the pairs of its spans", "[attention]") {
  AttentionCase<float> c;
  Context<P> ctx;
  c.forward(ctx);
  CHECK(ctx.operations() == product * (2 * scored + uniform));
  ctx.forget_operations();
  c.forward<Positions::relative>(ctx);
  CHECK(ctx.operations() == product * (3 * scored + uniform));
  ctx.forget_operations();
  c.backward(ctx);
  CHECK(ctx.operations() == product * (5 * scored + uniform));
  ctx.forget_operations();
  c.backward<Positions::relative>(ctx);
  CHECK(ctx.operations() == product * (8 * scored + uniform));
  ctx.forget_operations();
  c.backward(ctx, {true, true});
  CHECK(ctx.operations() == product * 3 * scored);
  CHECK(c.y == Tensor<float>(c.N, c.H * c.K, 7));  // nothing is written
}

}  // namespace attention_test
