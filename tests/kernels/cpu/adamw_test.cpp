#include <flamingo/kernels/cpu/adamw.hpp>

#include <array>
#include <catch2/catch.hpp>

#include "support/bits.hpp"
#include "support/platforms.hpp"

namespace adamw_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("adamw has the same bits on any number of threads", "[adamw]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  check_repeatable<P>([](Context<P>& ctx) {
    constexpr int size = 100'003;  // several pieces for each thread
    std::array results{Tensor<R>::random(1, size, 1), Tensor<R>(1, size), Tensor<R>(1, size)};
    auto& [w, m, v] = results;
    const auto g = Tensor<R>::random(1, size, 2);
    Tensor<double> sum(1, 1);
    ops::sum_of_squares(ctx, g.template view_on<P>(), sum.view_on<P>());
    for (int step = 1; step < 4; ++step)
      ops::adamw(ctx, {.rate = 0.01, .decay = 0.1, .scale = sum(0, 0), .step = step}, w.template view_on<P>(),
                 g.template view_on<P>(), m.template view_on<P>(), v.template view_on<P>());
    return results;
  });
}

}  // namespace adamw_test
