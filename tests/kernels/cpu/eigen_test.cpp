#include <flamingo/kernels/cpu/eigen.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <type_traits>
#include <vector>

#include <flamingo/kernels/cpu/context.hpp>

#include "support/platforms.hpp"
#include "support/tensor.hpp"
#include "support/tolerance.hpp"

namespace eigen_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("lines are the numbers of rows and vectors", "[eigen]", Platforms) {
  using R = typename TestType::Real;
  auto x = Tensor<R>::random(5, 7, 1);
  const auto rows = x.template rows_on<TestType>();
  kernels::line(rows, 3) = R(2);
  CHECK(x(3, 0) == 2);
  CHECK(x(3, 6) == 2);
  CHECK(x(4, 0) != 2);
  CHECK(kernels::line(rows).size() == 35);
  CHECK(kernels::line(x.template vector_on<TestType>()).data() == x.data());
}

TEMPLATE_LIST_TEST_CASE("a sum's bits do not depend on where its numbers lie", "[eigen]", Platforms) {
  using R = typename TestType::Real;
  for (const int size : {1, 2, 3, 7, 16, 61, 1031}) {
    const auto x = Tensor<R>::random(1, size, 1, -1, 1);
    std::vector<R> room(static_cast<std::size_t>(size) + 16);
    double exact = 0, magnitudes = 0;
    for (const R number : x) {
      exact += static_cast<double>(number);
      magnitudes += std::abs(static_cast<double>(number));
    }
    const R first = kernels::sum(kernels::line(x.data(), x.size()));
    CHECK(std::abs(static_cast<double>(first) - exact) <= sum_bound<R>(x.size(), magnitudes));
    CHECK(kernels::mean(kernels::line(x.data(), x.size())) == first / static_cast<R>(size));
    for (std::size_t shift = 0; shift < 16; ++shift) {
      std::copy(x.begin(), x.end(), room.data() + shift);
      CHECK(kernels::sum(kernels::line(room.data() + shift, x.size())) == first);
    }
  }
}

TEST_CASE("pieces cover a range once, and are not smaller than their grain", "[eigen]") {
  for (const int threads : {1, 2, 3}) {
    Context<Cpu<float>> ctx(threads, 1 << 12);
    for (const std::size_t n : {0u, 1u, 5u, 63u, 64u, 1009u})
      for (const std::size_t grain : {1u, 7u, 5000u}) {
        std::vector<int> seen(n);
        kernels::parallel_pieces(ctx.threads(), n, grain, [&](std::size_t first, std::size_t count) {
          for (std::size_t i = first; i < first + count; ++i) ++seen[i];
        });
        CHECK(seen == std::vector<int>(n, 1));
      }
  }
}

}  // namespace eigen_test
