#include <flamingo/model/clip/joint_space.hpp>

#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/cpu.hpp>

#include "support/gradient_check.hpp"
#include "support/layer.hpp"

namespace joint_space_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int N = 5, E = 7, J = 3;

/// Each row projected, over its length.
Tensor<double> naive(const Tensor<double>& pooled, const Tensor<double>& projection) {
  Tensor<double> y(N, J);
  for (int n = 0; n < N; ++n) {
    double squares = 0;
    for (int j = 0; j < J; ++j) {
      for (int e = 0; e < E; ++e) y(n, j) += projection(j, e) * pooled(n, e);
      squares += y(n, j) * y(n, j);
    }
    for (int j = 0; j < J; ++j) y(n, j) /= std::sqrt(squares);
  }
  return y;
}

}  // namespace

TEST_CASE("rows are projected into the joint space and have length 1 there, with their gradients", "[clip]") {
  using P = Cpu<double>;
  using Space = model::JointSpace<E, J, P>;
  Context<P> ctx(1, 1 << 20);
  auto pooled = drawn_rows<double>(N, E, 1), projection = drawn_rows<double>(J, E, 2), y = Tensor<double>(N, J);
  auto dy = drawn_rows<double>(N, J, 3);
  Tensor<double> dpooled(N, E, 7.0), dprojection(J, E);
  {
    const auto kept = ctx.kept_scope();
    const auto saved =
        Space::forward<all_gradients>(ctx, projection.matrix_on<P, J, E>(), pooled.rows_on<P, E>(), y.rows_on<P, J>());
    Space::backward(ctx, projection.matrix_on<P, J, E>(), saved, dy.rows_on<P, J>(), dpooled.rows_on<P, E>(),
                    dprojection.matrix_on<P, J, E>());
  }
  CHECK(distance(y, naive(pooled, projection)).largest < 1e-14);
  const auto loss = [&] { return inner(dy, naive(pooled, projection)); };
  CHECK(gradient_check(pooled, dpooled, loss).relative < difference_bound());
  CHECK(gradient_check(projection, dprojection, loss).relative < difference_bound());
  CHECK((ctx.arena().kept() == 0 && ctx.arena().scratched() == 0));
}

}  // namespace joint_space_test
