#include <flamingo/kernels/cpu/attention_tile.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "support/platforms.hpp"
#include "support/tensor.hpp"

namespace attention_tile_test {

using namespace flamingo;
using namespace flamingo::test;

template <class R>
using Tile = kernels::AttentionTile<R, native_isa>;

TEMPLATE_LIST_TEST_CASE("a tile's numbers are chains in the order of its steps", "[attention]", Platforms) {
  using R = typename TestType::Real;
  constexpr int K = 11;
  for (int rows = 1; rows <= Tile<R>::mr; ++rows)
    for (const int columns : {Tile<R>::nr, 5 * Tile<R>::nr}) {
      INFO(rows << " rows, " << columns << " columns");
      const auto a = Tensor<R>::random(rows, K, 1), b = Tensor<R>::random(K, columns, 2);
      std::vector<R> side_by_side(std::size_t{K * Tile<R>::side_by_side});
      Tile<R>::set_side_by_side([&](int i) { return &a(i, 0); }, rows, K, side_by_side.data());
      Tensor<R> c(rows, columns), expected(rows, columns);
      Tile<R>::template product<1, Tile<R>::side_by_side>(
          rows, columns, K, side_by_side.data(), [&](int k) { return &b(k, 0); },
          [&](int r, int n, typename Tile<R>::V sum) { Tile<R>::Math::store(&c(r, n), sum); });
      for (int r = 0; r < rows; ++r)
        for (int n = 0; n < columns; ++n)
          for (int k = 0; k < K; ++k) expected(r, n) += a(r, k) * b(k, n);
      CHECK(c == expected);
    }
}

TEMPLATE_LIST_TEST_CASE("rows become columns, the last one again where a register has room", "[attention]", Platforms) {
  using R = typename TestType::Real;
  for (const int count : {1, Tile<R>::lanes, 2 * Tile<R>::lanes + 1})
    for (const int K : {1, Tile<R>::lanes, Tile<R>::lanes + 3}) {
      const int stride = Tile<R>::whole(count, Tile<R>::lanes);
      const auto rows = Tensor<R>::random(count, K, 1);
      Tensor<R> columns(K, stride), expected(K, stride);
      Tile<R>::transpose([&](int j) { return &rows(j, 0); }, count, K, &columns(0, 0), stride);
      for (int k = 0; k < K; ++k)
        for (int j = 0; j < stride; ++j) expected(k, j) = rows(std::min(j, count - 1), k);
      CHECK(columns == expected);
    }
}

TEMPLATE_LIST_TEST_CASE("a weight is an exponential, and nothing where a number is too small", "[attention]",
                        Platforms) {
  using R = typename TestType::Real;
  const auto weight = [](R x) { return Tile<R>::weight(Tile<R>::Math::all(x))[0]; };
  double worst = 0;
  for (int i = 0; i <= 10000; ++i) {
    const R x = Tile<R>::smallest * R(i) / 10000;
    worst = std::max(worst, std::abs(static_cast<double>(weight(x)) / std::exp(static_cast<double>(x)) - 1));
  }
  CHECK(worst < 3 * static_cast<double>(std::numeric_limits<R>::epsilon()));
  CHECK(weight(0) == 1);
  CHECK(weight(2 * Tile<R>::smallest) == 0);
  CHECK(weight(std::numeric_limits<R>::lowest()) == 0);
  CHECK(weight(-std::numeric_limits<R>::infinity()) == 0);
  CHECK(std::isnan(weight(std::numeric_limits<R>::quiet_NaN())));
}

TEMPLATE_LIST_TEST_CASE("a row that sees nothing yet adds nothing, and takes what comes", "[attention]", Platforms) {
  using R = typename TestType::Real;
  constexpr int columns = Tile<R>::nr;
  std::vector<R> scores(columns, -Tile<R>::infinity), sum(std::size_t{Tile<R>::lanes});
  R maximum = -Tile<R>::infinity;
  CHECK(Tile<R>::softmax_step(scores.data(), columns, maximum, sum.data()) == 1);
  CHECK(scores == std::vector<R>(columns, 0));
  CHECK(Tile<R>::sum_of_lanes(sum.data()) == 0);
  scores.assign(columns, 3);
  CHECK(Tile<R>::softmax_step(scores.data(), columns, maximum, sum.data()) == 0);
  CHECK(scores == std::vector<R>(columns, 1));
  CHECK(Tile<R>::sum_of_lanes(sum.data()) == columns);
  scores.assign(columns, 4);
  CHECK(Tile<R>::softmax_step(scores.data(), columns, maximum, sum.data()) == Approx(std::exp(-1.0)));
  CHECK(maximum == 4);
  CHECK(Tile<R>::sum_of_lanes(sum.data()) == Approx(columns * (1 + std::exp(-1.0))));
}

}  // namespace attention_tile_test
