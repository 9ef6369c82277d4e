#include <flamingo/ops/arrange.hpp>

#include <catch2/catch.hpp>
#include <vector>

#include <flamingo/kernels/cpu/arrange.hpp>

#include "support/compare.hpp"
#include "support/gradient_check.hpp"
#include "support/platforms.hpp"
#include "support/tolerance.hpp"

namespace arrange_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int N = 7, M = 5, D = 11;
const Tensor<int> index_of = Tensor<int>::of({4, 0, 0, 2, 4, 1, 4});  // row 3 is never read
const std::vector<Blend> places{{0, 1, 0.25f}, {3, 4, 0.875f}, {2, 2, 0.5f},  {4, 0, 0},
                                {1, 2, 1},     {0, 1, 0.5f},   {3, 2, 0.125f}};

template <Platform P>
View<P, 1, const Blend> places_on() {
  return {places.data(), {N}};
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("gather copies rows, scatter_add adds them back", "[arrange]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const auto x = Tensor<R>::random(M, D, 1);
  Tensor<R> y(N, D, R(7)), dy(N, D), dx(M, D, R(3)), expected(M, D, R(3));
  Context<P> ctx(1, 1 << 20);
  ops::gather(ctx, x.template rows_on<P>(), index_of.view_on<P>(), y.template rows_on<P>());
  for (int n = 0; n < N; ++n) CHECK(rows_of(y, n, 1) == rows_of(x, index_of(0, n), 1));

  for (int n = 0; n < N; ++n)
    for (int i = 0; i < D; ++i) expected(index_of(0, n), i) += dy(n, i) = R(n * D + i);
  ops::scatter_add(ctx, dy.template rows_on<P>(), index_of.view_on<P>(), dx.template rows_on<P>());
  ops::scatter_add(ctx, dy.template rows_on<P>(), index_of.view_on<P>(), NoGrad{});
  CHECK(dx == expected);
  CHECK((y.intact() && dx.intact()));
}

TEMPLATE_LIST_TEST_CASE("place puts rows where they are told, and leaves the others", "[arrange]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const auto x = Tensor<R>::random(3, D, 1);
  Tensor<R> y(5, D, R(7));
  Context<P> ctx(1, 1 << 20);
  const std::vector<int> to{4, 0, 3};
  ops::place(ctx, x.template rows_on<P>(), table(ctx, to), y.template rows_on<P>());
  for (int n = 0; n < 3; ++n) CHECK(rows_of(y, to[static_cast<std::size_t>(n)], 1) == rows_of(x, n, 1));
  for (const int n : {1, 2}) CHECK(rows_of(y, n, 1) == rows_of(Tensor<R>(1, D, R(7)), 0, 1));
  CHECK(y.intact());
}

TEMPLATE_LIST_TEST_CASE("blend reads between two rows", "[arrange]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  auto table = Tensor<R>::random(M, D, 1), sum = Tensor<R>::random(N, D, 2), dsum = Tensor<R>::random(N, D, 3);
  const auto before = sum;
  Tensor<R> dtable(M, D);
  Context<P> ctx(1, 1 << 20);
  ops::blend(ctx, table.template rows_on<P>(), places_on<P>(), sum.template rows_on<P>());
  Tensor<double> expected(N, D), dexpected(M, D);
  for (int n = 0; n < N; ++n)
    for (int i = 0; i < D; ++i) {
      const Blend& b = places[static_cast<std::size_t>(n)];
      const double w = static_cast<double>(b.weight), d = static_cast<double>(dsum(n, i));
      expected(n, i) = static_cast<double>(before(n, i)) + (1 - w) * static_cast<double>(table(b.low, i)) +
                       w * static_cast<double>(table(b.high, i));
      dexpected(b.low, i) += (1 - w) * d;
      dexpected(b.high, i) += w * d;
    }
  CHECK(distance(sum, expected).relative < chain_bound<R>(4));
  ops::blend_backward(ctx, dsum.template rows_on<P>(), places_on<P>(), dtable.template rows_on<P>());
  ops::blend_backward(ctx, dsum.template rows_on<P>(), places_on<P>(), NoGrad{});
  CHECK(distance(dtable, dexpected).relative < chain_bound<R>(2 * N));
  CHECK((sum.intact() && dtable.intact()));
}

TEST_CASE("blend's gradient is that of finite differences", "[arrange]") {
  using P = Cpu<double>;
  auto table = Tensor<double>::random(M, D, 1), dsum = Tensor<double>::random(N, D, 3);
  Tensor<double> dtable(M, D);
  Context<P> ctx(1, 1 << 20);
  ops::blend_backward(ctx, dsum.rows_on<P>(), places_on<P>(), dtable.rows_on<P>());
  const auto loss = [&] {
    Tensor<double> sum(N, D);
    ops::blend(ctx, table.rows_on<P>(), places_on<P>(), sum.rows_on<P>());
    return inner(dsum, sum);
  };
  CHECK(gradient_check(table, dtable, loss).relative < difference_bound());
}

TEMPLATE_LIST_TEST_CASE("combine reads several rows, and adds back to them", "[arrange]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  constexpr int K = 3;
  std::vector<Tap> taps;
  for (int n = 0; n < N * K; ++n) taps.push_back({(2 * n + n / 5) % (M - 1), 0.25f * static_cast<float>(n % 7) - 0.5f});
  const View<P, 1, const Tap> read{taps.data(), {N * K}};
  const auto table = Tensor<R>::random(M, D, 1), dy = Tensor<R>::random(N, D, 3);
  Tensor<R> y(N, D, R(7)), dtable = Tensor<R>::random(M, D, 4);
  Tensor<double> expected(N, D), dexpected = dtable.template as<double>();
  for (int n = 0; n < N; ++n)
    for (int k = 0; k < K; ++k)
      for (int i = 0; i < D; ++i) {
        const Tap& tap = taps[static_cast<std::size_t>(n * K + k)];
        expected(n, i) += static_cast<double>(tap.weight) * static_cast<double>(table(tap.row, i));
        dexpected(tap.row, i) += static_cast<double>(tap.weight) * static_cast<double>(dy(n, i));
      }
  Context<P> ctx(1, 1 << 20);
  ops::combine(ctx, table.template rows_on<P>(), read, y.template rows_on<P>());
  ops::combine_backward(ctx, dy.template rows_on<P>(), read, dtable.template rows_on<P>());
  ops::combine_backward(ctx, dy.template rows_on<P>(), read, NoGrad{});
  CHECK(distance(y, expected).relative < chain_bound<R>(2 * K));
  CHECK(distance(dtable, dexpected).relative < chain_bound<R>(2 * N * K));
  CHECK((y.intact() && dtable.intact()));
}

TEST_CASE("combine says what is wrong", "[arrange]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  Tensor<float> table(M, D), y(2, D), wide(2, D + 1);
  const std::vector<Tap> beyond{{0, 1}, {M, 1}};
  const View<P, 1, const Tap> taps{beyond.data(), {2}};
  CHECK_THROWS_WITH(ops::combine(ctx, table.rows_on<P>(), taps, y.rows_on<P>()), Catch::Contains("index 5 at row 1"));
  CHECK_THROWS_WITH(ops::combine_backward(ctx, y.rows_on<P>(), taps, table.rows_on<P>()),
                    Catch::Contains("index 5 at row 1"));
  const std::string shapes = " is (2, 12) with 2 taps into a table of shape (5, 11)";
  CHECK_THROWS_WITH(ops::combine(ctx, table.rows_on<P>(), taps, wide.rows_on<P>()), "[combine] y" + shapes);
  CHECK_THROWS_WITH(ops::combine_backward(ctx, wide.rows_on<P>(), taps, table.rows_on<P>()),
                    "[combine_backward] dy" + shapes);
  const View<P, 1, const Tap> odd{beyond.data(), {1}};
  CHECK_THROWS_WITH(ops::combine(ctx, table.rows_on<P>(), odd, y.rows_on<P>()), Catch::Contains("with 1 taps"));
}

TEST_CASE("convert rounds to nearest, clear writes zeros", "[arrange]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  const auto x = Tensor<float>::random(N, D, 1);
  Tensor<bfloat16> narrow(N, D);
  Tensor<half> halves(N, D);
  Tensor<double> wide(N, D);
  Tensor<float> back(N, D);
  ops::convert(ctx, x.rows_on<P>(), narrow.rows_on<P>());
  ops::convert(ctx, x.rows_on<P>(), halves.rows_on<P>());
  ops::convert(ctx, x.rows_on<P>(), wide.rows_on<P>());
  for (int n = 0; n < N; ++n)
    for (int i = 0; i < D; ++i) {
      CHECK(narrow(n, i) == bfloat16(x(n, i)));
      CHECK(halves(n, i) == half(x(n, i)));
      CHECK(wide(n, i) == static_cast<double>(x(n, i)));
    }
  ops::convert(ctx, wide.rows_on<P>(), back.rows_on<P>());
  CHECK(back == x);
  ops::clear(ctx, back.rows_on<P>());
  ops::clear(ctx, NoGrad{});
  CHECK(all_zero(back));
  CHECK((narrow.intact() && halves.intact() && wide.intact() && back.intact()));
}

TEST_CASE("rows_of shares a table's memory", "[arrange]") {
  using P = Cpu<float>;
  Tensor<float> table(M, D);
  const auto rows = ops::rows_of(table.matrix_on<P, M, D>());
  static_assert(std::is_same_v<decltype(rows), const Rows<P, D, float>>);
  static_assert(std::is_same_v<decltype(ops::rows_of(NoGrad{})), NoGrad>);
  CHECK(rows.data == table.data());
  CHECK(rows.shape() == std::array<int, 2>{M, D});
}

TEMPLATE_LIST_TEST_CASE("columns are written among others and read back", "[arrange]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const auto x = Tensor<R>::random(N, 3, 1);
  Tensor<R> y(N, D, R(7)), back(N, 3);
  Context<P> ctx(1, 1 << 20);
  ops::write_columns(ctx, x.template rows_on<P>(), 2, 4, y.template rows_on<P>());
  for (int n = 0; n < N; ++n)
    for (int d = 0; d < D; ++d) CHECK(y(n, d) == (d % 4 == 2 ? x(n, d / 4) : R(7)));
  ops::read_columns(ctx, y.template rows_on<P>(), 2, 4, back.template rows_on<P>());
  CHECK(back == x);
  CHECK_THROWS_WITH(ops::write_columns(ctx, x.template rows_on<P>(), 3, 4, y.template rows_on<P>()),
                    "[write_columns] x is (7, 3) and y is (7, 11), the columns begin at 3 and are 4 apart");
}

TEMPLATE_LIST_TEST_CASE("rows that are named are cleared", "[arrange]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  auto x = Tensor<R>::random(M, D, 1);
  const auto before = x;
  Context<P> ctx(1, 1 << 20);
  ops::clear_rows(ctx, index_of.view_on<P>(), x.template rows_on<P>());
  for (int n = 0; n < M; ++n)
    for (int d = 0; d < D; ++d) CHECK(x(n, d) == (n == 3 ? before(n, d) : R(0)));
  auto bad = index_of;
  bad(0, 2) = M;
  CHECK_THROWS_WITH(ops::clear_rows(ctx, bad.view_on<P>(), x.template rows_on<P>()),
                    "[clear_rows] index 5 at row 2, expected 0 to 4");
}

TEST_CASE("movements of rows say what is wrong", "[arrange]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  Tensor<float> x(M, D), y(N, D), narrow(N, 3);
  const auto index = index_of.view_on<P>();
  CHECK_THROWS_WITH(ops::gather(ctx, x.rows_on<P>(), index, narrow.rows_on<P>()),
                    "[gather] y is (7, 3), expected (7, 11)");
  CHECK_THROWS_WITH(ops::scatter_add(ctx, narrow.rows_on<P>(), index, x.rows_on<P>()),
                    "[scatter_add] x is (7, 3) and y is (5, 11) with 7 indices");
  CHECK_THROWS_WITH(ops::blend(ctx, x.rows_on<P>(), places_on<P>(), narrow.rows_on<P>()),
                    "[blend] sum is (7, 3), expected (7, 11)");
  CHECK_THROWS_WITH(ops::blend_backward(ctx, narrow.rows_on<P>(), places_on<P>(), x.rows_on<P>()),
                    "[blend_backward] dsum is (7, 3) and dtable is (5, 11) with 7 places");
  CHECK_THROWS_WITH(ops::convert(ctx, x.rows_on<P>(), y.rows_on<P>()),
                    "[convert] x is (5, 11) and y is (7, 11): their shapes differ");
  auto bad = index_of;
  bad(0, 2) = M;
  CHECK_THROWS_WITH(ops::gather(ctx, x.rows_on<P>(), bad.view_on<P>(), y.rows_on<P>()),
                    "[gather] index 5 at row 2, expected 0 to 4");
  bad(0, 2) = -1;
  CHECK_THROWS_WITH(ops::scatter_add(ctx, y.rows_on<P>(), bad.view_on<P>(), x.rows_on<P>()),
                    "[scatter_add] index -1 at row 2, expected 0 to 4");
  CHECK_THROWS_WITH(ops::blend(ctx, rows_of(x, 0, 4).rows_on<P>(), places_on<P>(), y.rows_on<P>()),
                    "[blend] index 4 at row 1, expected 0 to 3");
}

}  // namespace arrange_test
