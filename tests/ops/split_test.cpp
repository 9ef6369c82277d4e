#include <flamingo/ops/split.hpp>

#include <catch2/catch.hpp>

#include <flamingo/kernels/cpu/split.hpp>

#include "support/platforms.hpp"
#include "support/tensor.hpp"

namespace split_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("parts are summed where their outputs leave and their gradients enter", "[split]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Context<P> ctx(1, 1 << 12);
  // A communicator whose other process holds the same numbers.
  int calls = 0;
  ctx.sum_over_processes = [&calls](R* numbers, std::size_t size) {
    ++calls;
    for (std::size_t i = 0; i < size; ++i) numbers[i] *= 2;
  };
  auto y = Tensor<R>::random(5, 7, 1), twice = y;
  for (R& x : twice) x *= 2;
  const auto before = y;
  ops::leave<1>(ctx, y.template rows_on<P>());
  ops::enter<1>(ctx, y.template rows_on<P>());
  ops::enter<2>(ctx, NoGrad{});
  CHECK(calls == 0);
  CHECK(y == before);
  ops::leave<2>(ctx, y.template rows_on<P>());
  CHECK(y == twice);
  y = before;
  ops::enter<2>(ctx, y.template rows_on<P>());
  CHECK(y == twice);
  CHECK(calls == 2);
  CHECK(y.intact());
}

TEST_CASE("a split model without a communicator says so", "[split]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 12);
  Tensor<float> y(5, 7);
  CHECK_THROWS_WITH(ops::leave<2>(ctx, y.rows_on<P>()),
                    "[split] the model is split but the context has no communicator: set sum_over_processes");
}

}  // namespace split_test
