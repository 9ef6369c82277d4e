#include <flamingo/kernels/cpu/adamw.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <vector>

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

TEST_CASE("moments of few bits have the same bits on any number of threads", "[adamw]") {
  using P = Cpu<float>;
  check_repeatable<P>([](Context<P>& ctx) {
    constexpr int size = 100'000;
    std::array results{Tensor<float>::random(1, size, 1), Tensor<float>::random(1, size, 3)};
    const auto g = Tensor<float>::random(1, size, 2);
    std::vector<bfloat16> halves(2 * size);
    std::vector<std::uint8_t> bytes(2 * size), exponents(2 * size / 16);
    for (int step = 1; step < 4; ++step) {
      const AdamWStep numbers{.rate = 0.01, .step = step};
      ops::adamw(ctx, numbers, results[0].view_on<P>(), g.view_on<P>(), View<P, 1, bfloat16>{halves.data(), {size}},
                 View<P, 1, bfloat16>{halves.data() + size, {size}});
      ops::adamw(ctx, numbers, results[1].view_on<P>(), g.view_on<P>(),
                 BlockMoments<P, true>{bytes.data(), exponents.data(), {size}},
                 BlockMoments<P, false>{bytes.data() + size, exponents.data() + size / 16, {size}});
    }
    return results;
  });
}

}  // namespace adamw_test
