#include <flamingo/eval/embed.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>

#include "model/contrastive/pairs.hpp"

namespace embed_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("embeddings are the same however many are made at a time", "[eval]") {
  using P = Cpu<float>;
  using Net = SmallPairNet<P>;
  Context<P> ctx(1, 1 << 24);
  const auto w = drawn<Net, P>(5);
  const auto pixels = drawn_rows<float>(5 * 36, 3, 1);
  const std::span<const float> x(pixels.data(), pixels.size());
  const std::vector<Grid> pictures = small_pictures(5);
  const std::vector<std::vector<int>> texts{{1, 4, 2}, {10}, {1, 5, 5, 7, 2}};
  const auto all = embed_pictures<Net>(ctx, w.views, x, pictures), lines = embed_texts<Net>(ctx, w.views, texts);
  Tensor<float> expected(5, Net::J), expected_lines(3, Net::J);
  Net::pictures(ctx, w.views, pixels.rows_on<P, 3>(), pictures, expected.rows_on<P, Net::J>());
  Net::texts(ctx, w.views, Net::plan_of(texts), expected_lines.rows_on<P, Net::J>());
  CHECK(all == std::vector<float>(expected.begin(), expected.end()));
  CHECK(lines == std::vector<float>(expected_lines.begin(), expected_lines.end()));
  CHECK(embed_pictures<Net>(ctx, w.views, x, pictures, 2) == all);
  CHECK(embed_texts<Net>(ctx, w.views, texts, 2) == lines);
  CHECK(embed_pictures<Net>(ctx, w.views, {}, {}).empty());
  CHECK_THROWS_WITH(embed_pictures<Net>(ctx, w.views, x, pictures, 0),
                    "[embed] got 0 pictures at a time, expected at least 1");
  // More rows than an int counts, of which none is read.
  CHECK_THROWS_WITH(embed_pictures<Net>(ctx, w.views, std::span(pixels.data(), std::size_t{3} << 31), pictures),
                    "[rows] got 2147483648 rows of 3, expected at most 2147483647");
  CHECK_THROWS_WITH(embed_texts<Net>(ctx, w.views, texts, 0), "[embed] got 0 texts at a time, expected at least 1");
}

}  // namespace embed_test
