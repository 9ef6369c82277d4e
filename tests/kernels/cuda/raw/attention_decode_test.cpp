/// Attention of single queries whose keys are divided among blocks, against plain loops in double.
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include <flamingo/kernels/cuda/raw/attention_decode.cuh>

#include "attention_spans.hpp"

namespace attention_decode_test {

using namespace emulator;

namespace {

/// Twelve rows over the pools of attention_spans.hpp, of which the first is longer. Rows 2, 3 and 11 are of no span.
Layout single_rows() {
  Layout layout;
  layout.N = 12;
  layout.pool_rows[0] = 311;
  layout.segments[0] = {0, 3, 301, 0, 0};
  layout.segments[2] = {0, 17, 137, 5, 1};
  layout.spans = {
      {0, 1, 0, 0, 2},       // two pools, one softmax
      {1, 1, 121, 2, 2},     // causal: both segments in part
      {4, 1, -1, 4, 2},      // an empty segment, and one that it is before
      {2, 0, 0, 0, 2},       // no rows
      {5, 1, 9, 6, 1},       // one key
      {6, 1, 0, 7, 1},       // sees nothing
      {7, 1, 0, 0, 0},       // no segments
      {8, 1, 119, 2, 2, 1},  // equal weights for what is visible
      {9, 1, 700, 0, 8},     // all segments
      {10, 1, 2, 4, 2},      // an empty segment, then three keys
  };
  return layout;
}

/// The call of attention_spans.hpp, forward, by these kernels with tiles of heads of Tile.
template <class R, int K, bool WithAlibi = false, int Tile = K>
struct Decoding : Attention<R, K, WithAlibi> {
  using A = Accumulate<R>;
  int parts = 3;
  bool with_lse = true;

  Decoding(int heads_, int kv_heads_, int padding_, Layout layout_ = single_rows())
      : Attention<R, K, WithAlibi>(heads_, kv_heads_, padding_, 29, layout_) {}

  template <class Position>
  void decode_with(Position position, const AttentionPlan& plan) {
    const int stride = this->stride(), kv_stride = this->kv_stride(), calls = this->apart ? this->kv_heads : 1;
    DeviceBuffer<Span> spans(plan.spans);
    DeviceBuffer<Segment> segments(plan.segments);
    DeviceBuffer<QueryTile> query_tiles(plan.query_tiles);
    AttentionTables tables;
    tables.spans = spans.data();
    tables.segments = segments.data();
    tables.query_tiles = query_tiles.data();
    tables.query_tile_count = plan.tables().query_tile_count;
    DeviceBuffer<R> q_(this->q), o_(this->q.size());
    DeviceBuffer<A> lse_(size(this->layout.N, this->heads));
    std::vector<std::unique_ptr<DeviceBuffer<R>>> buffers;
    this->intact = true;
    for (int call = 0; call < calls; ++call) {
      Pools<const R> pools;
      for (std::size_t i = 0; i < this->k.size(); ++i)
        for (const auto& [pool, from] : {std::pair{&pools.k[i], &this->k[i]}, {&pools.v[i], &this->v[i]}}) {
          buffers.push_back(std::make_unique<DeviceBuffer<R>>(*from));
          *pool = {buffers.back()->data() + call * (this->kv_heads / calls) * K, kv_stride};
        }
      const int some = this->heads / calls;
      const AttentionShape shape{this->layout.N, some, this->kv_heads / calls, K, this->heads};
      DeviceBuffer<A> workspace(attention_decode_size(shape, tables.query_tile_count, parts));
      started(attention_decode<Tile, R>(shape, tables, {q_.data() + call * some * K, stride}, pools, this->scale,
                                        position, parts, workspace.data(), {o_.data() + call * some * K, stride},
                                        with_lse ? lse_.data() + call * some : nullptr, nullptr));
      this->intact = this->intact && workspace.intact();
    }
    this->o = o_.host();
    this->lse = lse_.host();
    this->intact = this->intact && o_.intact() && lse_.intact() && q_.intact();
    for (const auto& buffer : buffers) this->intact = this->intact && buffer->intact();
  }
  void decode(const AttentionPlan& plan) {
    if constexpr (WithAlibi) {
      DeviceBuffer<float> slopes_(this->slopes);
      decode_with(Alibi{slopes_.data()}, plan);
    } else {
      decode_with(None{}, plan);
    }
  }
  void decode() { decode(this->plan()); }
  std::string bytes() {
    decode();
    std::string all;
    emulator::append_bytes(all, this->o);
    emulator::append_bytes(all, this->lse);
    return all;
  }
};

/// With the parts named, 1 for the whole row, and more than any row has keys.
template <class R, int K, bool WithAlibi, int Tile = K>
void check_decoding(int heads, int kv_heads, int padding, std::vector<int> parts = {1, 2, 5}) {
  Decoding<R, K, WithAlibi, Tile> a(heads, kv_heads, padding);
  const Reference want(a);
  for (const int some : parts) {
    a.parts = some;
    a.decode();
    const double keys = K + want.most_keys;
    CAPTURE(K, heads, kv_heads, padding, WithAlibi, some);
    CHECK(a.intact);
    CHECK(worst_error<R>(a.dense(a.o, heads * K), want.o, keys) <= 1);
    for (std::size_t i = 0; i < a.lse.size(); ++i) {
      CAPTURE(i);
      if (std::isinf(want.lse[i].value))
        CHECK(a.lse[i] == want.lse[i].value);
      else
        CHECK(worst_error<R>(std::vector{a.lse[i]}, {want.lse[i]}, keys) <= 1);
    }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("attention of single rows agrees with the formulas", "[raw][attention]", float, double,
                   __nv_bfloat16) {
  using R = TestType;
  check_decoding<R, 32, false>(3, 3, 0, {1, 2, 5, 40});
  check_decoding<R, 32, true>(2, 1, 0);  // two heads of four
  check_decoding<R, 64, true>(8, 2, 8);
  check_decoding<R, 64, false>(7, 1, 0);  // seven heads of eight
  check_decoding<R, 64, false>(2, 2, 3);  // rows on no 16 bytes
  check_decoding<R, 80, true>(2, 2, 16);
  check_decoding<R, 80, false, 128>(4, 1, 0);   // beside zeros
  check_decoding<R, 128, false>(9, 1, 0, {3});  // two blocks for one head of keys
  check_decoding<R, 128, true>(2, 2, 0, {1, 4});
  check_decoding<R, 128, false>(2, 1, 1, {2});
  check_decoding<R, 16, false>(2, 2, 0, {2});  // a warp has sixteen keys at a time, or more
}

TEST_CASE("a head size that no pack divides is read number by number", "[raw][attention]") {
  check_decoding<float, 37, true, 64>(2, 1, 0, {2});
  check_decoding<__nv_bfloat16, 68, false, 128>(3, 1, 0, {3});
}

TEST_CASE("a single row that sees nothing gets exactly zero", "[raw][attention]") {
  Decoding<float, 32> a(4, 2, 0);
  a.decode();
  const float least = -std::numeric_limits<float>::infinity();
  for (const int row : {2, 3, 4, 6, 7, 11}) {
    CAPTURE(row);
    CHECK(same_bits(row_of(a.o, row, 128), std::vector<float>(128, 0.0f)));
    CHECK(same_bits(row_of(a.lse, row, 4), std::vector<float>(4, least)));
  }
  CHECK_FALSE(same_bits(row_of(a.o, 5, 128), std::vector<float>(128, 0.0f)));
}

TEST_CASE("what a single row does not see may be anything", "[raw][attention]") {
  Decoding<__nv_bfloat16, 32> a(2, 2, 0);
  a.decode();
  const auto o = a.o;
  const auto lse = a.lse;
  const __nv_bfloat16 nan = narrow<__nv_bfloat16>(std::numeric_limits<float>::quiet_NaN());
  for (const auto& [pool, row] : {std::pair{0, 2}, {0, 304}, {0, 310}, {1, 28}, {2, 99}})
    for (std::size_t c = 0; c < 64; ++c) {
      if (row >= a.layout.pool_rows[static_cast<std::size_t>(pool)]) continue;
      a.k[static_cast<std::size_t>(pool)][size(row, 64) + c] = nan;
      a.v[static_cast<std::size_t>(pool)][size(row, 64) + c] = nan;
    }
  for (std::size_t c = 0; c < 64; ++c) a.q[size(8, 64) + c] = a.q[size(6, 64) + c] = nan;  // uniform; sees nothing
  a.decode();
  CHECK(same_bits(a.o, o));
  CHECK(same_bits(a.lse, lse));
}

TEST_CASE("a single row that is no number stays none", "[raw][attention]") {
  Decoding<float, 32> a(2, 2, 0);
  a.q[size(9, 64) + 5] = std::numeric_limits<float>::quiet_NaN();
  a.decode();
  CHECK(std::isnan(row_of(a.o, 9, 64)[0]));
  CHECK(std::isnan(row_of(a.lse, 9, 2)[0]));
  CHECK_FALSE(std::isnan(row_of(a.o, 9, 64)[32]));
}

TEST_CASE("heads of single rows attend the same in a call of their own, and lse may be null", "[raw][attention]") {
  Decoding<float, 32> all(4, 2, 0);
  Decoding<float, 32> apart = all;
  apart.apart = true;
  CHECK(apart.bytes() == all.bytes());
  CHECK(apart.intact);
  Decoding<float, 32> without = all;
  without.with_lse = false;
  without.decode();
  CHECK(same_bits(without.o, all.o));
}

TEST_CASE("no parts, and heads wider than their tile, are refused", "[raw][attention]") {
  Decoding<float, 32> none(2, 1, 0);
  none.parts = 0;
  CHECK_THROWS(none.decode());
  Decoding<float, 64, false, 32> wide(2, 1, 0);
  CHECK_THROWS(wide.decode());
}

#if !defined(__CUDACC__)
TEST_CASE("parts are each key once, in order", "[raw][attention]") {
  for (const int keys : {0, 1, 31, 32, 33, 64, 100, 1000})
    for (const int parts : {1, 2, 3, 7, 50})
      for (const int step : {1, 16, 32}) {
        CAPTURE(keys, parts, step);
        int next = 0;
        for (int part = 0; part < parts; ++part) {
          const KeyRange range = part_of(keys, part, parts, step);
          CHECK(range.begin == next);
          CHECK((range.end == keys || (range.end - range.begin) % step == 0));
          next = range.end;
        }
        CHECK(next == keys);
      }
}

TEST_CASE("attention of single rows under shuffled schedules and without its barrier", "[raw][attention]") {
  Decoding<float, 32> a(4, 2, 0);
  CHECK(emulator::schedules_agree([&] { return a.bytes(); }, 5));
  std::size_t met = 0;
  CHECK(emulator::unneeded_barriers([&] { return a.bytes(); }, 4, met) == "");
  CHECK(met == 1);  // what the block's warps have summed
}

TEST_CASE("a wrong span or segment changes a single row", "[raw][attention]") {
  Decoding<float, 32> a(2, 2, 0);
  check_wrong_tables_show(a, [&](const AttentionPlan& plan) { a.decode(plan); });
}
#endif

}  // namespace attention_decode_test
