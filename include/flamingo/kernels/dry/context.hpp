/// What tables of Cuda take, which copies them to the kept end of its arena: Dry<Cuda<R>> counts them. On the CPU they
/// are read where they lie.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include <flamingo/core/context.hpp>
#include <flamingo/core/spans.hpp>
#include <flamingo/kernels/cuda/span_plan.hpp>

namespace flamingo {

/// Of Cuda's lists, what tells how much a call takes.
template <Real R>
struct SpanLists<Dry<Cuda<R>>> {
  int rows = 0;         ///< of queries
  int query_tiles = 0;  ///< that they are divided into
  bool single = false;  ///< no span has more than one row
  int most_keys = 0;    ///< that a row may see, as detail::most_keys counts them
};

template <class T, Real R>
const T* readable(Context<Dry<Cuda<R>>>& ctx, const std::vector<T>& host) {
  ctx.arena().keep(host.size() * sizeof(T));
  return host.data();
}

/// Beside the arena, once.
template <class T, Real R>
View<Dry<Cuda<R>>, 1, const T> lasting_table(Context<Dry<Cuda<R>>>&, const std::vector<T>& host) {
  return {host.data(), {static_cast<int>(host.size())}};
}

namespace detail {
template <Real R>
Spans<Dry<Cuda<R>>> spans_on(Context<Dry<Cuda<R>>>& ctx, const SpanList& host, bool backward) {
  std::array<int, max_pools> pool_rows{};
  Spans<Dry<Cuda<R>>> spans{table(ctx, host.spans), table(ctx, host.segments)};
  const raw::AttentionPlan plan = plan_of<R>(host, backward, spans.lists.rows, pool_rows);
  table(ctx, plan.query_tiles);
  table(ctx, plan.key_tiles);
  table(ctx, plan.key_uses);
  spans.lists.query_tiles = static_cast<int>(plan.query_tiles.size());
  spans.lists.single = all_single(host);
  spans.lists.most_keys = most_keys(host);
  return spans;
}
}  // namespace detail

template <Real R>
Spans<Dry<Cuda<R>>> table(Context<Dry<Cuda<R>>>& ctx, const SpanList& host) {
  return detail::spans_on(ctx, host, true);
}
template <Real R>
Spans<Dry<Cuda<R>>> forward_table(Context<Dry<Cuda<R>>>& ctx, const SpanList& host) {
  return detail::spans_on(ctx, host, false);
}

/// Cuda's steps of decoding have rows of their own for new keys and values.
template <Real R>
struct Replay<Dry<Cuda<R>>> {
  static constexpr bool replays = true;
  template <class Work>
  void operator()(Context<Dry<Cuda<R>>>&, const std::vector<std::uintptr_t>&, const Work& work) {
    work();
  }
};

}  // namespace flamingo
