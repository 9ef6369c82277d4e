#include <flamingo/kernels/cpu/embedding.hpp>

#include <catch2/catch.hpp>

#include "support/bits.hpp"
#include "support/packing.hpp"
#include "support/platforms.hpp"

namespace embedding_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("a token that occurs often adds its gradients in order", "[embedding]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Tensor<int> ids(1, 211);
  for (int n = 0; n < 211; ++n) ids(0, n) = n % 3;
  const auto dy = Tensor<R>::random(211, 7, 1);
  Tensor<R> expected(3, 7);
  for (int n = 0; n < 211; ++n)
    for (int i = 0; i < 7; ++i) expected(n % 3, i) += dy(n, i);
  check_repeatable<P>([&](Context<P>& ctx) {
    Tensor<R> dtable(3, 7);
    ops::embed_backward(ctx, ids.view_on<P>(), 3, dy.template rows_on<P>(), dtable.template matrix_on<P>(), NoGrad{});
    CHECK(dtable == expected);
    return dtable;
  });
}

}  // namespace embedding_test
