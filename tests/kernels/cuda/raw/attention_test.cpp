/// Laws of attention over spans: zeros, invisibility, slopes, independence of rows, barriers, wrong spans.
#include <cstddef>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "attention_spans.hpp"

namespace attention_test {

using namespace emulator;

TEST_CASE("what sees nothing, or is seen by nothing, is exactly zero", "[raw][attention]") {
  Attention<float, 16> a(4, 2, 0, 3);
  a.run();
  const std::vector<float> none(64, 0.0f);
  for (const int row : {5, 6, 32, 33, 34, 35, 36, 26}) {
    CAPTURE(row);
    CHECK(same_bits(row_of(a.o, row, 64), none));
    CHECK(same_bits(row_of(a.dq, row, 64), none));
  }
  CHECK_FALSE(same_bits(row_of(a.o, 27, 64), none));
  for (const int row : {0, 2, 54, 70}) CHECK(same_bits(row_of(a.dk[0], row, 32), std::vector<float>(32, 0.0f)));
  CHECK_FALSE(same_bits(row_of(a.dv[0], 3, 32), std::vector<float>(32, 0.0f)));
}

TEST_CASE("what is invisible may be anything", "[raw][attention]") {
  Attention<float, 16> a(2, 2, 0, 3);
  a.run();
  const auto o = a.o, dq = a.dq;
  const auto dk = a.dk;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& [pool, row] : {std::pair{0, 2}, {0, 53}, {0, 70}, {1, 10}, {1, 28}})  // 53: after the last query
    for (std::size_t c = 0; c < 32; ++c) {
      a.k[static_cast<std::size_t>(pool)][size(row, 32) + c] = nan;
      a.v[static_cast<std::size_t>(pool)][size(row, 32) + c] = nan;
    }
  for (std::size_t c = 0; c < 32; ++c) a.q[size(5, 32) + c] = a.dout[size(36, 32) + c] = a.q[size(33, 32) + c] = nan;
  a.run();
  CHECK(same_bits(a.o, o));
  CHECK(same_bits(row_of(a.dq, 8, 32), row_of(dq, 8, 32)));
  CHECK(a.dk[1] == dk[1]);
  CHECK(a.dk[2] == dk[2]);
}

TEST_CASE("gradients of attention are the slopes of its output", "[raw][attention]") {
  Layout layout;
  layout.N = 5;
  layout.pool_rows = {5, 3};
  layout.segments = {{0, 0, 5, 0, 1}, {1, 1, 2, 0, 0}};
  layout.spans = {{0, 3, 1, 0, 2}, {3, 2, 0, 0, 1}};
  Attention<double, 8, true> a(2, 1, 0, 23, layout);
  a.run();
  const auto dq = a.dq;
  const auto dk = a.dk, dv = a.dv;
  const auto slope = [&](double& value) {
    constexpr double h = 1e-5;
    const double at = value;
    double sides[2];
    for (const int side : {0, 1}) {
      value = at + (side ? h : -h);
      a.run();
      sides[side] = 0;
      for (std::size_t i = 0; i < a.o.size(); ++i) sides[side] += a.o[i] * a.dout[i];
    }
    value = at;
    return (sides[1] - sides[0]) / (2 * h);
  };
  for (std::size_t i = 0; i < dq.size(); ++i) CHECK(slope(a.q[i]) == Approx(dq[i]).epsilon(1e-7).margin(1e-8));
  for (std::size_t pool = 0; pool < 2; ++pool)
    for (std::size_t i = 0; i < dk[pool].size(); ++i) {
      CHECK(slope(a.k[pool][i]) == Approx(dk[pool][i]).epsilon(1e-7).margin(1e-8));
      CHECK(slope(a.v[pool][i]) == Approx(dv[pool][i]).epsilon(1e-7).margin(1e-8));
    }
}

TEST_CASE("an attending row does not see the others", "[raw][attention]") {
  Attention<float, 16> all(2, 1, 0, 5);
  all.run();
  Attention<float, 16> one = all;
  one.layout.spans = {{0, 1, 105 + 11, 2, 2}};  // row 18 of the causal span, alone
  one.layout.N = 1;
  one.q = row_of(all.q, 18, 32);
  one.dout = row_of(all.dout, 18, 32);
  one.run();
  CHECK(same_bits(one.o, row_of(all.o, 18, 32)));
  CHECK(same_bits(one.dq, row_of(all.dq, 18, 32)));
}

TEST_CASE("heads attend the same in a call of their own", "[raw][attention]") {
  Attention<float, 16> all(4, 2, 0, 3);
  Attention<float, 16> apart = all;
  apart.apart = true;
  CHECK(apart.bytes() == all.bytes());
  CHECK(apart.intact);
}

TEST_CASE("gradients that are not wanted may be null", "[raw][attention]") {
  check_unwanted_gradients<float, 16>({}, attention_tiles<float>(Layout{}.spans));
}

#if !defined(__CUDACC__)
TEST_CASE("attention under shuffled schedules and without its barriers", "[raw][attention]") {
  Attention<float, 16> a(4, 2, 0, 7);
  CHECK(emulator::schedules_agree([&] { return a.bytes(); }, 5));
  std::size_t met = 0;
  CHECK(emulator::unneeded_barriers([&] { return a.bytes(); }, 4, met) == "");
  CHECK(met == 5);  // wait and barrier of the stream; one between the halves of a tile in each of the three kernels
}

TEST_CASE("a wrong span or segment changes the result", "[raw][attention]") {
  Attention<float, 16> a(2, 2, 0, 3);
  check_wrong_tables_show(a, [&](const AttentionPlan& plan) { a.run(plan); });
}
#endif

}  // namespace attention_test
