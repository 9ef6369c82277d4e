/// One attention call over every kind of span, as tensors, and how it is run.
#pragma once
#include <array>
#include <type_traits>
#include <vector>

#include <flamingo/ops/attention.hpp>

#include "support/tensor.hpp"

namespace flamingo::test {

/// Which Position an AttentionCase hands to the op.
enum class Positions { none, alibi, relative };

/// Two pools, grouped queries; a prefix and a causal suffix, a media pool beside text, rows before their first key,
/// a span without segments, equal weights, and rows of no span.
template <class R>
struct AttentionCase {
  static constexpr int N = 31, H = 6, G = 2, K = 5, distances = 19;

  AttentionShape shape{.heads = H, .kv_heads = G, .head_dim = K, .scale = 0.4375f};
  Tensor<R> q = Tensor<R>::random(N, H* K, 1, -2, 2);
  std::array<Tensor<R>, 2> k{Tensor<R>::random(23, G* K, 2, -2, 2), Tensor<R>::random(13, G* K, 3, -2, 2)};
  std::array<Tensor<R>, 2> v{Tensor<R>::random(23, G* K, 4), Tensor<R>::random(13, G* K, 5)};
  Tensor<R> slopes = Tensor<R>::random(1, H, 6, 0, 0.5);
  Tensor<R> r = Tensor<R>::random(distances, H* K, 7), u = Tensor<R>::random(1, H* K, 8),
            w = Tensor<R>::random(1, H* K, 9);
  Tensor<R> dy = Tensor<R>::random(N, H* K, 10);

  std::vector<Segment> segments{
      {.pool = 0, .first = 1, .count = 7, .position = 0, .causal = 0},
      {.pool = 0, .first = 8, .count = 11, .position = 7, .causal = 1},
      {.pool = 1, .first = 2, .count = 5, .position = 0, .causal = 0},
      {.pool = 0, .first = 19, .count = 4, .position = 10, .causal = 1},
      {.pool = 1, .first = 7, .count = 3, .position = 2, .causal = 1},
      {.pool = 1, .first = 0, .count = 11, .position = 0, .causal = 0},
  };
  std::vector<Span> spans{
      {.first_row = 2, .rows = 11, .position = 7, .first_segment = 0, .segments = 2, .uniform = 0},
      {.first_row = 13, .rows = 5, .position = 9, .first_segment = 2, .segments = 2, .uniform = 0},
      {.first_row = 18, .rows = 5, .position = 0, .first_segment = 4, .segments = 1, .uniform = 0},
      {.first_row = 23, .rows = 3, .position = 0, .first_segment = 0, .segments = 0, .uniform = 0},
      {.first_row = 26, .rows = 3, .position = 0, .first_segment = 5, .segments = 1, .uniform = 1},
  };
  /// Rows of no span, of a span without segments, and before the first key that they could see.
  static constexpr std::array<int, 9> rows_without_keys{0, 1, 18, 19, 23, 24, 25, 29, 30};

  Tensor<R> y{N, H* K, R(7)}, lse{N, H, R(7)};  // what is written must not depend on what was there
  Tensor<R> dq{N, H* K, R(7)};
  std::array<Tensor<R>, 2> dk{Tensor<R>(23, G* K, R(7)), Tensor<R>(13, G* K, R(7))}, dv = dk;
  Tensor<R> dr{distances, H* K}, du{1, H* K}, dw{1, H* K};  // added to

  template <Platform P>
  Spans<P> tables() const {
    return {{spans.data(), {static_cast<int>(spans.size())}}, {segments.data(), {static_cast<int>(segments.size())}}};
  }
  template <Platform P>
  std::array<KeyValue<P>, 2> pools() {
    return {{{k[0].template rows_on<P>(), v[0].template rows_on<P>()},
             {k[1].template rows_on<P>(), v[1].template rows_on<P>()}}};
  }

  template <Positions kind = Positions::none, Platform P>
  void forward(Context<P>& ctx) {
    with_position<kind, P>([&](const auto& position, const auto&) {
      ops::attention(ctx, shape, q.template rows_on<P>(), pools<P>(), tables<P>(), position, y.template rows_on<P>(),
                     lse.template rows_on<P>());
    });
  }
  /// Pools of `cached` get no gradient.
  template <Positions kind = Positions::none, Platform P>
  void backward(Context<P>& ctx, std::array<bool, 2> cached = {false, false}) {
    std::array<KeyValueGradient<P>, 2> gradients{};
    for (std::size_t i = 0; i < 2; ++i)
      if (!cached[i]) gradients[i] = {dk[i].template rows_on<P>(), dv[i].template rows_on<P>()};
    with_position<kind, P>([&](const auto& position, const auto& dposition) {
      ops::attention_backward(ctx, shape, q.template rows_on<P>(), pools<P>(), tables<P>(), position,
                              y.template rows_on<P>(), lse.template rows_on<P>(), dy.template rows_on<P>(),
                              dq.template rows_on<P>(), gradients, dposition);
    });
  }
  bool intact() const {
    return y.intact() && lse.intact() && dq.intact() && dk[0].intact() && dk[1].intact() && dv[0].intact() &&
           dv[1].intact() && dr.intact() && du.intact() && dw.intact();
  }

 private:
  template <Positions kind, Platform P, class F>
  void with_position(const F& f) {
    if constexpr (kind == Positions::none)
      f(NoPosition{}, NoPosition{});
    else if constexpr (kind == Positions::alibi)
      f(Alibi<P>{slopes.template view_on<P>()}, NoPosition{});
    else
      f(Relative<P>{r.template rows_on<P>(), u.template view_on<P>(), w.template view_on<P>()},
        RelativeGradient<P>{dr.template rows_on<P>(), du.template view_on<P>(), dw.template view_on<P>()});
  }
};

}  // namespace flamingo::test
