/// Attention with relative positions, run once on a platform.
#pragma once
#include <flamingo/ops/attention.hpp>

#include "kernels/cuda/on_platform.hpp"
#include "support/attention_case.hpp"

namespace flamingo::test {

/// Most numbers that one result below is a sum of, times the roundings of a term.
inline constexpr std::size_t roundings_of_relative_attention = 4 * 131;

/// The tables of AttentionCase, and two queries that see two keys at a time at one distance.
template <Platform P>
struct RelativeAttention : Run<P> {
  using typename Run<P>::R;
  using typename Run<P>::A;
  using Run<P>::ctx;

  template <bool Wanted>
  void attention(const std::string& name, int H, int G, int K) {
    const AttentionCase<R> c;
    const int N = c.N, distances = c.distances;
    SpanList list;
    list.spans = c.spans;
    list.segments = c.segments;
    list.begin(29, 2, 13);
    list.add({.pool = 0, .first = 1, .count = 7, .position = 0, .causal = 0});
    list.add({.pool = 1, .first = 0, .count = 5, .position = 3, .causal = 0});
    const auto spans = table(ctx, list);
    const AttentionShape shape{.heads = H, .kv_heads = G, .head_dim = K, .scale = 0.4375f};
    const auto q = this->rows(N, H * K, 61), dy = this->rows(N, H * K, 62), y = this->blank(N, H * K),
               dq = this->blank(N, H * K), r = this->rows(distances, H * K, 63), dr = this->rows(distances, H * K, 64);
    const auto lse = this->template blank<dynamic, A>(N, H);
    const Relative<P> position{r, {this->vector(H * K, 65).data, {H * K}}, {this->vector(H * K, 66).data, {H * K}}};
    const RelativeGradient<P> dposition{
        dr, {this->vector(H * K, 67).data, {H * K}}, {this->vector(H * K, 68).data, {H * K}}};
    std::array<KeyValue<P>, 2> pools;
    std::array<KeyValueGradient<P>, 2> gradients{};
    for (const unsigned i : {0u, 1u}) {
      pools[i] = {this->rows(29, G * K, 71 + i), this->rows(29, G * K, 73 + i)};
      gradients[i] = {this->blank(29, G * K), this->blank(29, G * K)};
    }
    ops::attention(ctx, shape, q, pools, spans, position, y, lse);
    const auto backward = [&](const auto& d) {
      ops::attention_backward(ctx, shape, q, pools, spans, position, y, lse, dy, dq, gradients, d);
    };
    if constexpr (Wanted)
      backward(dposition);
    else
      backward(NoGrad{});
    this->report(name + " y", y);
    this->report(name + " dq", dq);
    for (const KeyValueGradient<P>& d : gradients) {
      this->report(name + " dk", d.dk);
      this->report(name + " dv", d.dv);
    }
    this->report(name + " dr", dr);
    this->report(name + " du", dposition.du);
    this->report(name + " dv", dposition.dv);
  }
};

template <Platform P>
Results relative_attention() {
  RelativeAttention<P> run;
  run.template attention<true>("relative", 6, 2, 5);
  run.template attention<false>("relative, frozen", 2, 2, 8);
  return run.results;
}

}  // namespace flamingo::test
