/// Who attends to whom, as data: spans of query rows, each with a short list of key segments.
#pragma once
#include <vector>

#include <flamingo/core/view.hpp>

namespace flamingo {

/// `count` keys of a pool from row `first` on, the first of them at position `position`.
struct Segment {
  int pool = 0;
  int first = 0, count = 0;
  int position = 0;
  int causal = 0;  ///< 1: a key is visible to queries at its position and after
};

/// `rows` queries from `first_row` on, the first of them at position `position`, under one softmax over their segments.
struct Span {
  int first_row = 0, rows = 0;
  int position = 0;
  int first_segment = 0, segments = 0;
  int uniform = 0;  ///< 1: every visible key weighs the same, whatever the scores (a reference's rule)
};

/// What else P makes of the tables when they reach it: lists for its kernels. Nothing, unless a platform specialises
/// it.
template <Platform P>
struct SpanLists {};

/// The tables of one attention call. A query row lies in at most one span; in none, its output is exactly zero.
template <Platform P>
struct Spans {
  View<P, 1, const Span> spans;
  View<P, 1, const Segment> segments;
  [[no_unique_address]] SpanLists<P> lists{};
};

/// Tables as a host makes them.
struct SpanList {
  std::vector<Span> spans;
  std::vector<Segment> segments;

  /// Begins a span; segments added from now on are its own.
  void begin(int first_row, int rows, int position = 0) {
    spans.push_back({first_row, rows, position, static_cast<int>(segments.size()), 0, 0});
  }
  void add(const Segment& segment) {
    segments.push_back(segment);
    ++spans.back().segments;
  }
};

/// Most pools that one call may read from.
inline constexpr int max_pools = 4;

}  // namespace flamingo
