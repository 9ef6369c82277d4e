/// Attention over spans against plain loops in double, for each element type and several head sizes.
#include <cstddef>
#include <vector>

#include <catch2/catch.hpp>

#include "attention_spans.hpp"

using namespace emulator;

namespace {

template <class R, int K, bool WithAlibi>
void check_against_reference(int heads, int kv_heads, int padding) {
  Attention<R, K, WithAlibi> a(heads, kv_heads, padding, 17);
  a.run();
  const Reference want(a);
  const double keys = K + want.most_keys, queries = K + want.most_queries;  // the longest chains of additions
  CAPTURE(K, heads, kv_heads, padding, WithAlibi);
  CHECK(a.intact);
  CHECK(worst_error<R>(a.dense(a.o, heads * K), want.o, keys) <= 1);
  CHECK(worst_error<R>(a.dense(a.dq, heads * K), want.dq, keys) <= 1);
  for (std::size_t pool = 0; pool < a.k.size(); ++pool) {
    CHECK(worst_error<R>(a.dense(a.dk[pool], kv_heads * K), want.dk[pool], queries) <= 1);
    CHECK(worst_error<R>(a.dense(a.dv[pool], kv_heads * K), want.dv[pool], queries) <= 1);
  }
  for (std::size_t i = 0; i < a.lse.size(); ++i) {
    if (std::isinf(want.lse[i].value))
      CHECK(a.lse[i] == want.lse[i].value);
    else
      CHECK(worst_error<R>(std::vector{a.lse[i]}, {want.lse[i]}, keys) <= 1);
  }
}

}  // namespace

TEST_CASE("attention agrees with the formulas", "[raw][attention]") {
  check_against_reference<float, 16, false>(3, 3, 0);
  check_against_reference<float, 32, true>(6, 2, 8);
  check_against_reference<float, 40, false>(2, 1, 4);  // not a whole number of channels for each lane
  check_against_reference<float, 64, false>(2, 2, 3);  // rows on no 16 bytes
  check_against_reference<double, 16, true>(6, 2, 0);
  check_against_reference<double, 32, false>(3, 1, 1);
  check_against_reference<double, 128, false>(2, 1, 0);  // one stage
  check_against_reference<__nv_bfloat16, 16, true>(6, 3, 1);
  check_against_reference<__nv_bfloat16, 64, false>(2, 1, 0);
}
