#include <flamingo/ops/embedding.hpp>

#include <catch2/catch.hpp>

#include <flamingo/kernels/cpu/embedding.hpp>

#include "support/compare.hpp"
#include "support/packing.hpp"
#include "support/platforms.hpp"

namespace embedding_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int V = 13, A = 3, D = 7;
// First and last entries of the table and of the added rows; 5 and 14 twice.
const Tensor<int> ids = Tensor<int>::of({0, 12, 13, 15, 5, 14, 5, 14, 7});

}  // namespace

TEMPLATE_LIST_TEST_CASE("embed copies rows of the table and of its addition", "[embedding]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  auto table = Tensor<R>::random(V, D, 1), added = Tensor<R>::random(A, D, 2);
  Tensor<R> y(9, D, R(7));
  Context<P> ctx(1, 1 << 20);
  ops::embed(ctx, ids.view_on<P>(), table.template matrix_on<P>(), added.template matrix_on<P>(),
             y.template rows_on<P>());
  for (int n = 0; n < 9; ++n)
    CHECK(rows_of(y, n, 1) == (ids(0, n) < V ? rows_of(table, ids(0, n), 1) : rows_of(added, ids(0, n) - V, 1)));
  CHECK(y.intact());
}

TEMPLATE_LIST_TEST_CASE("embed reads every packed format", "[embedding]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  auto added = Tensor<R>::random(A, 64, 2);
  Context<P> ctx(1, 1 << 20);
  for (const auto& [format, name] : all_formats) {
    INFO(name);
    const PackedTensor table(format, V, 64, 3);
    Tensor<R> y(9, 64);
    ops::embed(ctx, ids.view_on<P>(), table.on<P>(), added.template matrix_on<P>(), y.template rows_on<P>());
    const auto numbers = table.numbers.as<R>();
    for (const int n : {0, 1, 4, 8}) CHECK(rows_of(y, n, 1) == rows_of(numbers, ids(0, n), 1));
    CHECK(rows_of(y, 2, 1) == rows_of(added, 0, 1));
  }
}

TEMPLATE_LIST_TEST_CASE("embed's gradient is added to the rows that were read", "[embedding]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  Tensor<R> dy(9, D);
  for (int n = 0; n < 9; ++n)
    for (int i = 0; i < D; ++i) dy(n, i) = R(n * D + i);  // whole numbers: sums are exact
  Tensor<R> dtable(V, D, R(2)), dadded(A, D, R(3)), expected_table(V, D, R(2)), expected_added(A, D, R(3));
  for (int n = 0; n < 9; ++n)
    for (int i = 0; i < D; ++i)
      (ids(0, n) < V ? expected_table(ids(0, n), i) : expected_added(ids(0, n) - V, i)) += dy(n, i);
  Context<P> ctx(1, 1 << 20);
  auto table_alone = dtable, added_alone = dadded;
  ops::embed_backward(ctx, ids.view_on<P>(), V, dy.template rows_on<P>(), dtable.template matrix_on<P>(),
                      dadded.template matrix_on<P>());
  ops::embed_backward(ctx, ids.view_on<P>(), V, dy.template rows_on<P>(), NoGrad{},
                      added_alone.template matrix_on<P>());
  ops::embed_backward(ctx, ids.view_on<P>(), V, dy.template rows_on<P>(), table_alone.template matrix_on<P>(),
                      NoGrad{});
  CHECK(dtable == expected_table);
  CHECK(dadded == expected_added);
  CHECK(table_alone == dtable);
  CHECK(added_alone == dadded);
  CHECK((dtable.intact() && dadded.intact()));
}

TEST_CASE("embed says what is wrong", "[embedding]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  Tensor<float> table(V, D), added(A, D), y(9, D), narrow(9, 5), few(5, D);
  const auto t = table.matrix_on<P>(), a = added.matrix_on<P>();
  CHECK_THROWS_WITH(ops::embed(ctx, ids.view_on<P>(), t, a, narrow.rows_on<P>()),
                    "[embed] y is (9, 5), expected (9, 7)");
  CHECK_THROWS_WITH(ops::embed(ctx, ids.view_on<P>(), t, narrow.matrix_on<P>(), y.rows_on<P>()),
                    "[embed] added is (9, 5), expected width 7");
  CHECK_THROWS_WITH(ops::embed_backward(ctx, ids.view_on<P>(), V, few.rows_on<P>(), t, a),
                    "[embed_backward] dy is (5, 7) with 9 ids");
  CHECK_THROWS_WITH(ops::embed_backward(ctx, ids.view_on<P>(), V, y.rows_on<P>(), few.matrix_on<P>(), a),
                    "[embed_backward] dtable is (5, 7), expected (13, 7)");
  CHECK_THROWS_WITH(ops::embed_backward(ctx, ids.view_on<P>(), V, y.rows_on<P>(), NoGrad{}, narrow.matrix_on<P>()),
                    "[embed_backward] dadded is (9, 5), expected width 7");
  auto bad = ids;
  bad(0, 4) = V + A;
  CHECK_THROWS_WITH(ops::embed(ctx, bad.view_on<P>(), t, a, y.rows_on<P>()),
                    "[embed] id 16 at row 4: the vocabulary has 16 entries");
  bad(0, 4) = -1;
  CHECK_THROWS_WITH(ops::embed(ctx, bad.view_on<P>(), t, a, y.rows_on<P>()),
                    "[embed] id -1 at row 4: the vocabulary has 16 entries");
}

}  // namespace embedding_test
