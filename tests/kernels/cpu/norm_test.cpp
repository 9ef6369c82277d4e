#include <flamingo/kernels/cpu/norm.hpp>

#include <array>
#include <catch2/catch.hpp>

#include "support/bits.hpp"
#include "support/platforms.hpp"

namespace norm_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int N = 300, D = 61;

/// y, moments, dx of both norms over rows of a tensor.
template <class P, class R = typename P::Real>
std::array<Tensor<R>, 6> norms(Context<P>& ctx, const Tensor<R>& x, const Tensor<R>& dy) {
  auto scale = Tensor<R>::random(1, D, 2), bias = Tensor<R>::random(1, D, 3);
  const Tensor<R> rows(x.rows(), D), moments(x.rows(), 2);
  std::array results{rows, moments, rows, rows, moments, rows};
  auto& [y, m, dx, y_rms, m_rms, dx_rms] = results;
  const auto s = scale.template vector_on<P>();
  ops::layer_norm(ctx, x.template rows_on<P>(), s, bias.template vector_on<P>(), 1e-5f, y.template rows_on<P>(),
                  m.template rows_on<P, 2>());
  ops::layer_norm_backward(ctx, x.template rows_on<P>(), m.template rows_on<P, 2>(), s, dy.template rows_on<P>(),
                           dx.template rows_on<P>(), NoGrad{}, NoGrad{});
  ops::rms_norm(ctx, x.template rows_on<P>(), s, 1e-5f, y_rms.template rows_on<P>(), m_rms.template rows_on<P, 2>());
  ops::rms_norm_backward(ctx, x.template rows_on<P>(), m_rms.template rows_on<P, 2>(), s, dy.template rows_on<P>(),
                         dx_rms.template rows_on<P>(), NoGrad{});
  return results;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a row of a norm alone has the bits that it has among 300", "[norm]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const auto x = Tensor<R>::random(N, D, 1), dy = Tensor<R>::random(N, D, 4);
  Context<P> ctx(2, 1 << 20);
  const auto all = norms<P>(ctx, x, dy);
  for (const int n : {0, 1, 2, 3, 5, 7, 149, 150, 299}) {  // each at another alignment
    INFO("row " << n);
    const auto alone = norms<P>(ctx, rows_of(x, n, 1), rows_of(dy, n, 1));
    for (std::size_t i = 0; i < all.size(); ++i) CHECK(alone[i] == rows_of(all[i], n, 1));
  }
}

TEMPLATE_LIST_TEST_CASE("norms have the same bits on any number of threads", "[norm]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  check_repeatable<P>(
      [](Context<P>& ctx) { return norms<P>(ctx, Tensor<R>::random(1009, D, 1), Tensor<R>::random(1009, D, 4)); });
}

}  // namespace norm_test
