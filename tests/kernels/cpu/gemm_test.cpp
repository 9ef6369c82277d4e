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
        G::tile_of(m, K, {G::Lies::in_rows, a.data(), K, 1}, panel.data(), c.data(), nr, columns, add);
        CHECK(c == expected);
        CHECK(c.intact());
      }
}

TEMPLATE_LIST_TEST_CASE("many rows of A are packed in slabs, and give the bits of rows in place", "[gemm]", Platforms) {
  using R = typename TestType::Real;
  using G = kernels::Gemm<R, native_isa>;
  constexpr int M = 2 * G::tall + 5, N = G::widest * G::nr + 3, K = static_cast<int>(G::slab_size) / M + 9;
  const auto a = Tensor<R>::random(M, K, 1), b = Tensor<R>::random(K, N, 2);
  Tensor<R> turned(K, M);
  for (int m = 0; m < M; ++m)
    for (int k = 0; k < K; ++k) turned(k, m) = a(m, k);
  const kernels::PlainSource<R, R> source{b.data(), N};
  const auto pack = [&](int k0, int kn, int n0, int nn, R* panels) { G::pack_rows(source, k0, kn, n0, nn, panels); };
  Threads threads(2);
  Tensor<R> expected(M, N);
  G::run_here(M, N, K, {a.data(), K, 1}, {expected.data(), N, false}, pack);
  for (const typename G::Left& left : {typename G::Left{a.data(), K, 1}, {turned.data(), 1, M}}) {
    Tensor<R> c(M, N);
    G::run(threads, M, N, K, left, {c.data(), N, false}, pack);
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
