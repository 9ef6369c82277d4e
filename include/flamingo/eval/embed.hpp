/// Embeddings of any number of pictures and texts by a dual encoder, some at a time.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/context.hpp>
#include <flamingo/ops/grid.hpp>

namespace flamingo {

/// pixels (ΣH W, 3) -> (M, J). Pictures lie one after another.
template <class Net, Platform P, class W>
std::vector<typename P::Real> embed_pictures(Context<P>& ctx, const W& w, std::span<const typename P::Real> pixels,
                                             std::span<const Grid> pictures, int at_a_time = 64) {
  using R = typename P::Real;
  check(at_a_time > 0, "embed", "got ", at_a_time, " pictures at a time, expected at least 1");
  check_grids("embed", pictures, rows_in(pixels.size(), 3));
  const int M = static_cast<int>(pictures.size());
  std::vector<R> all(static_cast<std::size_t>(M) * std::size_t{Net::J});
  for (int first = 0; first < M; first += at_a_time) {
    const auto scope = ctx.scope();
    const auto kept = ctx.kept_scope();
    const int count = std::min(at_a_time, M - first);
    std::vector<Grid> some(pictures.begin() + first, pictures.begin() + first + count);
    const int begin = some.front().first;
    for (Grid& picture : some) picture.first -= begin;
    const auto rows = scratch<3>(ctx, cells_of(some));
    const auto embedded = scratch<Net::J>(ctx, count);
    upload(ctx, pixels.data() + 3 * static_cast<std::size_t>(begin), rows.size(), rows.data);
    Net::pictures(ctx, w, rows, some, embedded);
    download(ctx, embedded.data, embedded.size(), all.data() + first * Net::J);
  }
  return all;
}

/// ids of each text -> (B, J)
template <class Net, Platform P, class W>
std::vector<typename P::Real> embed_texts(Context<P>& ctx, const W& w, std::span<const std::vector<int>> texts,
                                          int at_a_time = 256) {
  check(at_a_time > 0, "embed", "got ", at_a_time, " texts at a time, expected at least 1");
  const int B = static_cast<int>(texts.size());
  std::vector<typename P::Real> all(static_cast<std::size_t>(B) * std::size_t{Net::J});
  for (int first = 0; first < B; first += at_a_time) {
    const auto scope = ctx.scope();
    const auto kept = ctx.kept_scope();
    const int count = std::min(at_a_time, B - first);
    const auto embedded = scratch<Net::J>(ctx, count);
    Net::texts(ctx, w, Net::plan_of(texts.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count))),
               embedded);
    download(ctx, embedded.data, embedded.size(), all.data() + first * Net::J);
  }
  return all;
}

}  // namespace flamingo
