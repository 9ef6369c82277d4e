#include <flamingo/eval/nearest_picture.hpp>

#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/cpu.hpp>

#include "support/tensor.hpp"

namespace nearest_picture_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("a label's score is the distance to its nearest picture", "[nearest_picture]") {
  using P = Cpu<double>;
  constexpr int Q = 67, K = 11, D = 5, labels = 4;  // more pictures than are compared at a time
  Context<P> ctx(1, 1 << 20);
  const auto pictures = Tensor<double>::random(Q, D, 1), known = Tensor<double>::random(K, D, 2);
  const std::vector<int> of{0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1};
  const std::span<const double> x(pictures.data(), pictures.size()), y(known.data(), known.size());
  const auto scores = nearest_picture_scores<P>(ctx, x, y, of, labels, D);
  REQUIRE(scores.size() == Q * labels);
  for (int q = 0; q < Q; ++q) {
    for (int label = 0; label < 3; ++label) {
      double nearest = 1e9;
      for (int k = label; k < K; k += 3) {
        double squares = 0;
        for (int d = 0; d < D; ++d) squares += std::pow(pictures(q, d) - known(k, d), 2);
        nearest = std::min(nearest, squares);
      }
      CHECK(scores[static_cast<std::size_t>(q * labels + label)] == Approx(-nearest));
    }
    CHECK(std::isinf(scores[static_cast<std::size_t>(q * labels + 3)]));
  }
  CHECK(ctx.arena().scratched() == 0);
  CHECK_THROWS_WITH(nearest_picture_scores<P>(ctx, x, y, of, 2, D), Catch::Contains("picture 2 has label 2"));
  CHECK_THROWS_WITH(nearest_picture_scores<P>(ctx, x, y, of, labels, D + 1), Catch::Contains("expected 6 numbers"));
}

}  // namespace nearest_picture_test
