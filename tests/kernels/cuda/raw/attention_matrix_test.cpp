/// Attention on the matrix units against plain loops in double, with tiles of both widths.
#include <cstddef>
#include <type_traits>
#include <vector>

#include <catch2/catch.hpp>

#include "attention_spans.hpp"

namespace attention_matrix_test {

using namespace emulator;

namespace {

/// Spans and segments that fill the tiles of the matrix kernels, and those that end or begin within them.
Layout long_spans() {
  Layout layout;
  layout.N = 301;
  layout.pool_rows = {331, 71};
  layout.segments = {
      {0, 3, 173, 0, 0},    {1, 0, 64, 0, 0},   // 0: two pools
      {0, 40, 230, 100, 1}, {1, 5, 31, 90, 1},  // 2: causal; a later pool with earlier positions
      {1, 7, 64, 0, 0},                         // 4: an image
  };
  layout.spans = {{0, 70, 0, 0, 2}, {73, 150, 110, 2, 2}, {223, 40, 0, 4, 1}, {263, 38, 150, 2, 1, 1}};
  return layout;
}

}  // namespace

TEST_CASE("attention on the matrix units agrees with the formulas", "[raw][attention]") {
  for (const int query_rows : {64, 128}) {
    const AttentionTiles tiles{query_rows, 64};
    CAPTURE(query_rows);
    check_against_reference<__nv_bfloat16, 16, true>(6, 3, 1, {}, tiles);
    check_against_reference<__nv_bfloat16, 64, false>(2, 1, 0, {}, tiles);
    check_against_reference<__nv_bfloat16, 16, true>(2, 1, 0, long_spans(), tiles);
    check_against_reference<__nv_bfloat16, 80, false>(1, 1, 3, long_spans(), tiles);
  }
}

TEST_CASE("heads attend the same in a call of their own, on the matrix units", "[raw][attention]") {
  Attention<__nv_bfloat16, 16> all(4, 2, 0, 3);
  Attention<__nv_bfloat16, 16> apart = all;
  apart.apart = true;
  CHECK(apart.bytes() == all.bytes());
}

TEST_CASE("gradients that are not wanted may be null, on the matrix units", "[raw][attention]") {
  for (const int query_rows : {64, 128}) check_unwanted_gradients<__nv_bfloat16, 16>({}, {query_rows, 64});
}

TEST_CASE("matrix kernels refuse the lists of others", "[raw][attention]") {
  Attention<__nv_bfloat16, 16> a(1, 1, 0, 3);
  AttentionPlan plan = a.plan();
  CHECK(plan.tiles.query_rows == 64);
  plan.tiles = {};
  CHECK_THROWS(a.run(plan));
}

TEST_CASE("long spans are cut into tiles of 128 queries where few of them stay empty", "[raw][attention]") {
  const auto query_rows = [](std::vector<Span> spans) { return attention_tiles<__nv_bfloat16>(spans).query_rows; };
  CHECK(query_rows({{0, 128, 0, 0, 1}}) == 128);
  CHECK(query_rows({{0, 2048, 0, 0, 1}}) == 128);
  CHECK(query_rows({{0, 129, 0, 0, 1}}) == 64);
  CHECK(query_rows({{0, 50, 0, 0, 1}, {50, 60, 0, 0, 1}}) == 64);
  CHECK(attention_tiles<float>(std::vector<Span>{{0, 2048, 0, 0, 1}}).query_rows == attention_tile_rows);
}

TEST_CASE("only heads of more than 64 ask for more shared memory than devices of 8.6 and 8.9 have",
          "[raw][attention]") {
  constexpr std::size_t small = 99 * 1024, large = 163 * 1024;  // the latter: of 8.0
  constexpr auto lanes = []<class R, int K>(R, std::integral_constant<int, K>) {
    return sizeof(AttentionShared<R, K, attention_stages<R, K>>);
  };
  constexpr std::integral_constant<int, 64> narrow;
  constexpr std::integral_constant<int, 128> wide;
  CHECK((lanes(1.f, wide) <= small && lanes(1.0, narrow) <= small));
  CHECK((lanes(1.0, wide) > small && lanes(1.0, wide) <= large));
  CHECK((sizeof(ForwardShared<64, 2, matrix_stream_rows>) <= small && sizeof(BackwardQShared<64, 1>) <= small &&
         sizeof(BackwardQShared<64, 2>) <= small && sizeof(BackwardKVShared<64>) <= small));
  CHECK(sizeof(ForwardShared<128, 1, matrix_stream_rows>) <= small);
  for (const std::size_t bytes : {sizeof(ForwardShared<128, 2, matrix_stream_rows>), sizeof(BackwardQShared<128, 1>),
                                  sizeof(BackwardQShared<128, 2>), sizeof(BackwardKVShared<128>)})
    CHECK((bytes > small && bytes <= large));
}

#if !defined(__CUDACC__)
TEST_CASE("matrix kernels under shuffled schedules and without their barriers", "[raw][attention]") {
  Attention<__nv_bfloat16, 16> a(2, 1, 0, 7);
  CHECK(emulator::schedules_agree([&] { return a.bytes(); }, 3));
  std::size_t met = 0;
  CHECK(emulator::unneeded_barriers([&] { return a.bytes(); }, 3, met) == "");
  CHECK(met > 0);
}
#endif

}  // namespace attention_matrix_test
