/// One attention call over every kind of span on the raw kernels, and the same in plain loops.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <checking.hpp>
#include <flamingo/kernels/cuda/raw/attention.cuh>

namespace emulator {

using namespace flamingo::raw;  // this is a part of two tests

inline std::size_t size(int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); }

/// 43 query rows and three pools. Rows 5, 6 and 36 are of no span, one span has no rows, one no segments; the second
/// segment of the causal span begins amid its queries.
struct Layout {
  int N = 43;
  std::vector<int> pool_rows = {71, 29, 13};
  std::vector<Segment> segments = {
      // 0: two pools
      {0, 3, 41, 0, 0},
      {1, 0, 7, 0, 0},
      // 2: causal, from two pools
      {0, 17, 37, 100, 1},
      {2, 0, 13, 110, 1},
      // 4: an empty one, and keys of which a query at -1 sees none
      {1, 7, 0, 0, 0},
      {1, 11, 5, 0, 1},
      // 6: one key
      {2, 5, 1, 0, 0},
      // 7: later than any query
      {1, 1, 11, 500, 1},
  };
  std::vector<Span> spans = {
      {0, 5, 0, 0, 2},        // two pools, one softmax
      {7, 19, 105, 2, 2},     // causal: two tiles of queries
      {26, 0, 0, 0, 2},       // no rows
      {26, 3, -1, 4, 2},      // its first query sees nothing
      {29, 2, 0, 6, 1},       // these two share a key
      {31, 1, 9, 6, 1},       //
      {32, 2, 0, 7, 1},       // sees nothing
      {34, 2, 0, 0, 0},       // no segments
      {37, 6, 108, 2, 2, 1},  // equal weights for what is visible
  };
};

/// Which gradients a call asks for: of keys and of values those of all pools, of one, or none.
struct Wanted {
  static constexpr int all = -1, none = -2;
  bool queries = true;
  int keys = all, values = all;
  static bool holds(int pools, std::size_t pool) { return pools == all || pools == static_cast<int>(pool); }
};

template <class R, int K, bool WithAlibi = false>
struct Attention {
  using A = Accumulate<R>;
  Layout layout;
  int heads, kv_heads;
  int padding;  // elements between rows, so that strides differ from widths
  A scale;
  std::vector<float> slopes;
  std::vector<R> q, dout;
  std::vector<std::vector<R>> k, v;
  std::vector<R> o, dq;
  std::vector<std::vector<R>> dk, dv;
  std::vector<A> lse;
  bool intact = false;
  Wanted wanted;
  bool apart = false;  ///< whether each head of keys gets a call of its own; without position terms

  Attention(int heads_, int kv_heads_, int padding_, unsigned seed, Layout layout_ = {})
      : layout(layout_), heads(heads_), kv_heads(kv_heads_), padding(padding_) {
    scale = static_cast<A>(1 / std::sqrt(static_cast<double>(K)));
    for (int h = 0; h < heads; ++h) slopes.push_back(0.25f / static_cast<float>(h + 1));
    q = random_values<R>(size(layout.N, stride()), seed);
    dout = random_values<R>(size(layout.N, stride()), seed + 1);
    for (const int rows : layout.pool_rows) {
      k.push_back(random_values<R>(size(rows, kv_stride()), seed += 2));
      v.push_back(random_values<R>(size(rows, kv_stride()), seed + 1));
    }
  }
  int stride() const { return heads * K + padding; }
  int kv_stride() const { return kv_heads * K + padding; }

  template <class Position>
  void run_with(Position position, const AttentionPlan& plan) {
    DeviceBuffer<Span> spans(plan.spans);
    DeviceBuffer<Segment> segments(plan.segments);
    DeviceBuffer<QueryTile> query_tiles(plan.query_tiles);
    DeviceBuffer<KeyTile> key_tiles(plan.key_tiles);
    DeviceBuffer<KeyUse> key_uses(plan.key_uses);
    AttentionTables tables = plan.tables();
    tables.spans = spans.data();
    tables.segments = segments.data();
    tables.query_tiles = query_tiles.data();
    tables.key_tiles = key_tiles.data();
    tables.key_uses = key_uses.data();

    DeviceBuffer<R> q_(q), dout_(dout), o_(q.size()), dq_(q.size());
    DeviceBuffer<A> lse_(size(layout.N, heads)), work_(size(layout.N, heads));
    std::vector<std::unique_ptr<DeviceBuffer<R>>> buffers;
    Pools<const R> pools;
    Pools<R> gradients;
    for (std::size_t i = 0; i < k.size(); ++i) {
      const auto add = [&](auto&& from) {
        buffers.push_back(std::make_unique<DeviceBuffer<R>>(from));
        return buffers.back()->data();
      };
      pools.k[i] = {add(k[i]), kv_stride()};
      pools.v[i] = {add(v[i]), kv_stride()};
      gradients.k[i] = {add(k[i].size()), kv_stride()};
      gradients.v[i] = {add(v[i].size()), kv_stride()};
    }
    const int parts = apart ? kv_heads : 1, some = heads / parts;
    for (int part = 0; part < parts; ++part) {
      const AttentionShape shape{layout.N, some, kv_heads / parts, K, heads};
      const int column = part * some * K, statistic = part * some;
      Pools<const R> keys = pools;
      Pools<R> dkeys = gradients;
      for (std::size_t i = 0; i < k.size(); ++i)
        for (const auto& pool : {&keys.k[i], &keys.v[i]}) pool->data += part * (kv_heads / parts) * K;
      for (std::size_t i = 0; i < k.size(); ++i)
        for (const auto& pool : {&dkeys.k[i], &dkeys.v[i]}) pool->data += part * (kv_heads / parts) * K;
      for (std::size_t i = 0; i < k.size(); ++i) {
        if (!Wanted::holds(wanted.keys, i)) dkeys.k[i] = {};
        if (!Wanted::holds(wanted.values, i)) dkeys.v[i] = {};
      }
      const Strided<R> dqueries = wanted.queries ? Strided<R>{dq_.data() + column, stride()} : Strided<R>{};
      started(attention_forward<K, R>(shape, tables, {q_.data() + column, stride()}, keys, scale, position,
                                      {o_.data() + column, stride()}, lse_.data() + statistic, nullptr));
      started(attention_backward<K, R>(shape, tables, {q_.data() + column, stride()}, keys, scale, position,
                                       {o_.data() + column, stride()}, lse_.data() + statistic,
                                       {dout_.data() + column, stride()}, dqueries, dkeys, work_.data() + statistic,
                                       nullptr));
    }
    o = o_.host();
    dq = dq_.host();
    lse = lse_.host();
    dk.clear();
    dv.clear();
    intact = o_.intact() && dq_.intact() && lse_.intact() && work_.intact() && q_.intact() && dout_.intact();
    for (std::size_t i = 0; i < k.size(); ++i) {
      dk.push_back(buffers[i * 4 + 2]->host());
      dv.push_back(buffers[i * 4 + 3]->host());
    }
    for (const auto& buffer : buffers) intact = intact && buffer->intact();
  }
  void run(const AttentionPlan& plan) {
    if constexpr (WithAlibi) {
      DeviceBuffer<float> slopes_(slopes);
      run_with(Alibi{slopes_.data()}, plan);
    } else {
      run_with(None{}, plan);
    }
  }
  AttentionPlan plan() const {
    return make_attention_plan(layout.spans, layout.segments, layout.N, layout.pool_rows,
                               attention_tiles<R>(layout.spans));
  }
  void run() { run(plan()); }

  std::string bytes() {
    run();
    std::string all;
    emulator::append_bytes(all, o);
    emulator::append_bytes(all, lse);
    emulator::append_bytes(all, dq);
    for (const auto* gradients : {&dk, &dv})
      for (const auto& pool : *gradients) emulator::append_bytes(all, pool);
    return all;
  }
  /// The columns that belong to heads: what lies between rows is not the kernels'.
  template <class T>
  std::vector<T> dense(const std::vector<T>& rows, int width) const {
    std::vector<T> out;
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (static_cast<int>(i % static_cast<std::size_t>(width + padding)) < width) out.push_back(rows[i]);
    return out;
  }
};

/// One softmax over the list of a row's visible keys.
struct Reference {
  std::vector<Sum> o, lse, dq;
  std::vector<std::vector<Sum>> dk, dv;
  int most_keys = 0, most_queries = 0;

  template <class R, int K, bool WithAlibi>
  explicit Reference(const Attention<R, K, WithAlibi>& a) {
    const int H = a.heads, KV = a.kv_heads;
    o.resize(size(a.layout.N, H * K));
    dq.resize(o.size());
    lse.assign(size(a.layout.N, H), {-std::numeric_limits<double>::infinity(), 0});
    for (const int rows : a.layout.pool_rows) {
      dk.emplace_back(size(rows, KV * K));
      dv.emplace_back(size(rows, KV * K));
    }
    struct Key {
      std::size_t pool;
      int row, distance;
    };
    for (const Span& span : a.layout.spans)
      for (int row = span.first_row; row < span.first_row + span.rows; ++row) {
        std::vector<Key> keys;
        const int position = span.position + row - span.first_row;
        for (int s = span.first_segment; s < span.first_segment + span.segments; ++s) {
          const Segment& segment = a.layout.segments[static_cast<std::size_t>(s)];
          for (int i = 0; i < segment.count; ++i)
            if (!segment.causal || segment.position + i <= position)
              keys.push_back(
                  {static_cast<std::size_t>(segment.pool), segment.first + i, segment.position + i - position});
        }
        most_keys = std::max(most_keys, static_cast<int>(keys.size()));
        for (int h = 0; h < H && !keys.empty(); ++h) add_row(a, row, h, keys, span.uniform != 0);
      }
    most_queries = a.layout.N * H / KV;
  }

  template <class R, int K, bool WithAlibi, class Keys>
  void add_row(const Attention<R, K, WithAlibi>& a, int row, int h, const Keys& keys, bool uniform) {
    const int kv = h / (a.heads / a.kv_heads);
    const auto q_at = [&](const std::vector<R>& m, int c) {
      return static_cast<double>(widen(m[size(row, a.stride()) + size(1, h * K + c)]));
    };
    const auto kv_at = [&](const std::vector<R>& m, int key, int c) {
      return static_cast<double>(widen(m[size(key, a.kv_stride()) + size(1, kv * K + c)]));
    };
    const double scale = static_cast<double>(a.scale);
    std::vector<Sum> scores;
    double top = -std::numeric_limits<double>::infinity(), total = 0, error = 0;  // error: of a score, absolute
    for (const auto& key : keys) {
      Sum s;
      for (int c = 0; c < K && !uniform; ++c) s.add(scale * q_at(a.q, c) * kv_at(a.k[key.pool], key.row, c));
      if (WithAlibi && !uniform) s.add(static_cast<double>(a.slopes[static_cast<std::size_t>(h)]) * key.distance);
      scores.push_back(s);
      top = std::max(top, s.value);
      error = std::max(error, s.terms);
    }
    for (const Sum& s : scores) total += std::exp(s.value - top);
    const double l = top + std::log(total);
    lse[size(row, a.heads) + size(1, h)] = {l, std::abs(l) + error + 1};
    // A probability is wrong by as much, relatively, as its score and lse are absolutely: its terms carry the factor.
    const double spread = 1 + 2 * error;
    double delta = 0, delta_terms = 0, o_terms = 0;  // o_terms: Σ |do_c o_c|
    std::vector<double> dweights, dweight_terms;
    for (std::size_t j = 0; j < keys.size(); ++j) {
      Sum dw;
      for (int c = 0; c < K; ++c) dw.add(q_at(a.dout, c) * kv_at(a.v[keys[j].pool], keys[j].row, c));
      dweights.push_back(dw.value);
      dweight_terms.push_back(dw.terms);
      delta += std::exp(scores[j].value - l) * dw.value;
      delta_terms += std::exp(scores[j].value - l) * dw.terms * spread;
      o_terms += std::exp(scores[j].value - l) * dw.terms;
    }
    // bf16: p, ds and the o of delta = do·o are rounded before they are multiplied.
    constexpr double rounds = std::is_same_v<R, __nv_bfloat16> ? 1 : 0;
    for (std::size_t j = 0; j < keys.size(); ++j) {
      const auto& key = keys[j];
      const double p = std::exp(scores[j].value - l), ds = uniform ? 0 : p * (dweights[j] - delta) * scale;
      const double ds_terms = uniform ? 0 : p * (dweight_terms[j] + delta_terms) * scale * spread;
      const double ds_rounded = uniform ? 0 : rounds * (std::abs(ds) + p * o_terms * scale);
      for (int c = 0; c < K; ++c) {
        const double v = kv_at(a.v[key.pool], key.row, c), k = kv_at(a.k[key.pool], key.row, c);
        const std::size_t own = size(row, a.heads * K) + size(1, h * K + c);
        const std::size_t other = size(key.row, a.kv_heads * K) + size(1, kv * K + c);
        const double q = q_at(a.q, c), dout = q_at(a.dout, c);
        o[own] += {p * v, p * std::abs(v) * spread, rounds * p * std::abs(v)};
        dq[own] += {ds * k, ds_terms * std::abs(k), ds_rounded * std::abs(k)};
        dk[key.pool][other] += {ds * q, ds_terms * std::abs(q), ds_rounded * std::abs(q)};
        dv[key.pool][other] += {p * dout, p * std::abs(dout) * spread, rounds * p * std::abs(dout)};
      }
    }
  }
};

/// Everything that a call writes, with the tiles of attention_tiles unless others are given.
/// Gradients that a call does not ask for stay as they were, and change no others.
template <class R, int K>
void check_unwanted_gradients(Layout layout, AttentionTiles tiles) {
  Attention<R, K> a(2, 2, 0, 3, layout);
  const AttentionPlan plan = make_attention_plan(layout.spans, layout.segments, layout.N, layout.pool_rows, tiles);
  a.run(plan);
  const auto dq = a.dq;
  const auto dk = a.dk, dv = a.dv;
  const std::vector<R> untouched = DeviceBuffer<R>(dq.size()).host();
  for (const Wanted wanted :
       {Wanted{false, Wanted::none, 1}, {false, 0, Wanted::none}, {true, Wanted::none, Wanted::none}}) {
    CAPTURE(wanted.queries, wanted.keys, wanted.values);
    a.wanted = wanted;
    a.run(plan);
    CHECK(a.intact);
    CHECK(same_bits(a.dq, wanted.queries ? dq : untouched));
    for (std::size_t i = 0; i < a.k.size(); ++i) {
      const std::vector<R> bare(untouched.begin(), untouched.begin() + 1);
      const auto as_it_was = [&](const std::vector<R>& rows) {
        return same_bits(rows, std::vector<R>(rows.size(), bare[0]));
      };
      CHECK((Wanted::holds(wanted.keys, i) ? same_bits(a.dk[i], dk[i]) : as_it_was(a.dk[i])));
      CHECK((Wanted::holds(wanted.values, i) ? same_bits(a.dv[i], dv[i]) : as_it_was(a.dv[i])));
    }
  }
}

template <class R, int K, bool WithAlibi>
void check_against_reference(int heads, int kv_heads, int padding, Layout layout = {},
                             AttentionTiles tiles = attention_tiles<R>({})) {
  Attention<R, K, WithAlibi> a(heads, kv_heads, padding, 17, layout);
  a.run(make_attention_plan(layout.spans, layout.segments, layout.N, layout.pool_rows, tiles));
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

/// The elements of a row of o or dq.
template <class R>
std::vector<R> row_of(const std::vector<R>& rows, int row, int width) {
  const auto first = rows.begin() + static_cast<std::ptrdiff_t>(size(row, width));
  return {first, first + width};
}

#if !defined(__CUDACC__)
/// Whatever is wrong in the tables of a call shows in o: run(plan) computes a.o by these tables.
template <class Case, class Run>
void check_wrong_tables_show(Case& a, const Run& run) {
  const auto of = [&](const AttentionPlan& plan) {
    run(plan);
    std::string bytes;
    append_bytes(bytes, a.o);
    return bytes;
  };
  const std::string right = of(a.plan());
  const auto differs = [&](const auto& spoil) {
    AttentionPlan wrong = a.plan();
    spoil(wrong);
    return of(wrong) != right;
  };
  CHECK_FALSE(differs([](AttentionPlan&) {}));
  CHECK(differs([](AttentionPlan& p) { ++p.query_tiles[0].span; }));
  CHECK(differs([](AttentionPlan& p) { ++p.spans[1].position; }));
  CHECK(differs([](AttentionPlan& p) { --p.spans[0].segments; }));
  CHECK(differs([](AttentionPlan& p) { --p.segments[0].count; }));
  CHECK(differs([](AttentionPlan& p) { ++p.segments[1].first; }));
  CHECK(differs([](AttentionPlan& p) { p.segments[2].causal = 0; }));
}
#endif

}  // namespace emulator
