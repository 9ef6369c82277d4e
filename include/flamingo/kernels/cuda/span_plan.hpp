/// The lists that Cuda's attention walks, made of a host's tables: plain C++, for Cuda and for Dry, which counts them.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/real.hpp>
#include <flamingo/core/spans.hpp>
#include <flamingo/kernels/cuda/raw/attention_plan.hpp>

namespace flamingo::detail {

static_assert(raw::attention_pools == max_pools);
static_assert(sizeof(raw::Span) == sizeof(Span) && offsetof(raw::Span, first_row) == offsetof(Span, first_row) &&
              offsetof(raw::Span, rows) == offsetof(Span, rows) &&
              offsetof(raw::Span, position) == offsetof(Span, position) &&
              offsetof(raw::Span, first_segment) == offsetof(Span, first_segment) &&
              offsetof(raw::Span, segments) == offsetof(Span, segments) &&
              offsetof(raw::Span, uniform) == offsetof(Span, uniform));
static_assert(sizeof(raw::Segment) == sizeof(Segment) && offsetof(raw::Segment, pool) == offsetof(Segment, pool) &&
              offsetof(raw::Segment, first) == offsetof(Segment, first) &&
              offsetof(raw::Segment, count) == offsetof(Segment, count) &&
              offsetof(raw::Segment, position) == offsetof(Segment, position) &&
              offsetof(raw::Segment, causal) == offsetof(Segment, causal));

/// The transposed lists for kernels of R. Whom a table names decides how far it reaches; the op holds that against its
/// tensors. Without `backward` there are no lists of keys. Throws Error where the tables contradict themselves.
template <Real R>
raw::AttentionPlan plan_of(const SpanList& host, bool backward, int& rows, std::array<int, max_pools>& pool_rows) {
  std::vector<raw::Span> spans;
  std::vector<raw::Segment> segments;
  for (const Span& s : host.spans) {
    spans.push_back(std::bit_cast<raw::Span>(s));
    rows = std::max(rows, s.first_row + s.rows);
  }
  for (const Segment& s : host.segments) {
    segments.push_back(std::bit_cast<raw::Segment>(s));
    if (s.pool >= 0 && s.pool < max_pools) {
      int& reach = pool_rows[static_cast<std::size_t>(s.pool)];
      reach = std::max(reach, s.first + s.count);
    }
  }
  try {
    return raw::make_attention_plan(spans, segments, rows, backward ? pool_rows : std::array<int, max_pools>{},
                                    raw::attention_tiles(spans, std::is_same_v<R, bfloat16>));
  } catch (const std::invalid_argument& refused) {  // the raw kernels know nothing of Error
    throw Error(refused.what());
  }
}

/// Whether no span has more than one row: a token of each sequence.
inline bool all_single(const SpanList& host) {
  return std::all_of(host.spans.begin(), host.spans.end(), [](const Span& s) { return s.rows <= 1; });
}

/// How many keys the segments of a span have at most, 64 at least, up to the next power of two: it stays for many
/// tokens.
inline int most_keys(const SpanList& host) {
  unsigned most = 64;
  for (const Span& span : host.spans) {
    unsigned keys = 0;
    for (int i = span.first_segment; i < span.first_segment + span.segments; ++i)
      keys += static_cast<unsigned>(host.segments[static_cast<std::size_t>(i)].count);
    most = std::max(most, keys);
  }
  return static_cast<int>(std::bit_ceil(most));
}

}  // namespace flamingo::detail
