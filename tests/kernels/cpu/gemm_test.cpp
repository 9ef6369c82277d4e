#include <flamingo/kernels/cpu/gemm.hpp>

#include <catch2/catch.hpp>

#include "support/platforms.hpp"
#include "support/tensor.hpp"

namespace gemm_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

/// Small whole numbers: exact in any order of summing.
template <class R>
Tensor<R> whole(int rows, int columns, std::uint64_t stream) {
  Tensor<R> t(rows, columns);
  Random draw(5, stream);
  for (R& x : t) x = R(draw.below(7) - 3);
  return t;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("panels hold columns of B, and zeros beyond its edge", "[gemm]", Platforms) {
  using R = typename TestType::Real;
  using G = kernels::Gemm<R, native_isa>;
  constexpr int nr = G::nr;
  const auto rows = whole<R>(3 * nr, 53, 1), columns = whole<R>(53, 3 * nr, 2);
  const kernels::PlainSource<R, R> by_row{columns.data(), 3 * nr}, by_column{rows.data(), 53};
  for (const int nn : {1, nr / 2 - 1, nr / 2, nr / 2 + 1, nr, nr + 1, 2 * nr}) {
    const int panels = (nn + nr - 1) / nr, k0 = 5, kn = 37, n0 = 3;
    Tensor<R> packed(1, panels * nr * kn, R(7)), transposed(1, panels * nr * kn, R(7));
    G::pack_rows(by_row, k0, kn, n0, nn, packed.data());
    G::pack_columns(by_column, k0, kn, n0, nn, transposed.data());
    CHECK((packed.intact() && transposed.intact()));
    bool right = true;
    for (int n = 0; n < panels * nr; ++n)
      for (int k = 0; k < kn; ++k) {
        const int at = n / nr * nr * kn + k * nr + n % nr;
        right &= packed(0, at) == (n < nn ? columns(k0 + k, n0 + n) : R(0));
        right &= transposed(0, at) == (n < nn ? rows(n0 + n, k0 + k) : R(0));
      }
    CHECK(right);
  }
}

TEMPLATE_LIST_TEST_CASE("tiles of any height and width add to C or write it", "[gemm]", Platforms) {
  using R = typename TestType::Real;
  using G = kernels::Gemm<R, native_isa>;
  constexpr int nr = G::nr, mr = G::Shape::mr, K = 11;
  const auto a = whole<R>(mr, K, 1), panel = whole<R>(K, nr, 2);
  for (int m = 1; m <= mr; ++m)
    for (const int columns : {1, nr / 2, nr - 1, nr})
      for (const bool add : {false, true}) {
        Tensor<R> c(mr, nr, R(2)), expected = c;
        for (int i = 0; i < m; ++i)
          for (int n = 0; n < columns; ++n) {
            R sum = add ? R(2) : R(0);
            for (int k = 0; k < K; ++k) sum += a(i, k) * panel(k, n);
            expected(i, n) = sum;
          }
        G::tile_of(m, K, a.data(), K, 1, panel.data(), c.data(), nr, columns, add);
        CHECK(c == expected);
        CHECK(c.intact());
      }
}

TEMPLATE_LIST_TEST_CASE("a product over no k is zero, or adds nothing", "[gemm]", Platforms) {
  using R = typename TestType::Real;
  using G = kernels::Gemm<R, native_isa>;
  Threads threads(2);
  Tensor<R> c(3, 5, R(2));
  const auto never = [](int, int, int, int, R*) { FAIL("there is nothing to pack"); };
  G::run(threads, 3, 5, 0, {nullptr, 0, 0}, {c.data(), 5, true}, never);
  CHECK(c == Tensor<R>(3, 5, R(2)));
  G::run(threads, 3, 5, 0, {nullptr, 0, 0}, {c.data(), 5, false}, never);
  CHECK(c == Tensor<R>(3, 5));
  CHECK(c.intact());
}

}  // namespace gemm_test
