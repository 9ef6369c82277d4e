/// Attention layers over a small batch, forward and backward, and what every kind of them must hold.
#pragma once
#include <array>
#include <type_traits>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>
#include <flamingo/nn/attention.hpp>

#include "nn/layer_case.hpp"
#include "support/gradient_check.hpp"

namespace flamingo::test {

constexpr AttentionConfig halved(AttentionConfig c) {
  c.split = processes;
  return c;
}

/// Two sequences of 3 and 5 rows, the second of them after a cached prefix of 2 keys; or rows that ask M others.
template <AttentionConfig C, Platform P>
struct AttentionLayerCase {
  using Layer = nn::Attention<C, P>;
  using R = typename P::Real;
  static constexpr int N = 8, M = 5, D = C.dim, E = C.source_dim;
  static constexpr bool to_itself = E == D;
  static constexpr int keys = to_itself ? N : M;

  Store<Layer, P> weights, gradients;
  Tensor<R> x = drawn_rows<R>(N, D, 1), source = drawn_rows<R>(M, E, 2), y{N, D, R(7)}, dy = drawn_rows<R>(N, D, 3);
  Tensor<R> cached_k = drawn_rows<R>(2, Layer::KV, 4), cached_v = drawn_rows<R>(2, Layer::KV, 5);
  Tensor<R> dx{N, D, R(7)}, dsource{keys, to_itself ? D : E, R(7)};
  bool cached;
  std::vector<int> positions{0, 1, 2, 2, 3, 4, 5, 6};
  SpanList spans;

  explicit AttentionLayerCase(Store<Layer, P> w, bool with_cache = to_itself)
      : weights(std::move(w)), cached(with_cache) {
    if (to_itself) {
      spans.begin(0, 3, 0);
      spans.add({0, 0, 3, 0, 1});
      spans.begin(3, 5, 2);
      if (cached) spans.add({1, 0, 2, 0, 0});
      spans.add({0, 3, 5, 2, 1});
    } else {
      spans.begin(1, 4);
      spans.add({0, 0, 2, 0, 0});
      spans.begin(5, 3);
      spans.add({0, 2, 3, 0, 0});
    }
  }
  Positions<P> places(Context<P>& ctx) const { return {table(ctx, positions), 7}; }
  auto asked() {
    if constexpr (to_itself)
      return x.template rows_on<P, D>();
    else
      return source.template rows_on<P, E>();
  }

  template <Need need>
  auto run(Context<P>& ctx) {
    const auto k = keep<Layer::KV>(ctx, keys), v = keep<Layer::KV>(ctx, keys);
    Layer::project(ctx, weights.views, asked(), places(ctx), k, v);
    Pools<P> pools;
    pools.add({k, v});
    if (cached) pools.add({cached_k.template rows_on<P>(), cached_v.template rows_on<P>()});
    return Layer::template attend<need>(ctx, weights.views, x.template rows_on<P, D>(), places(ctx), pools,
                                        table(ctx, spans), y.template rows_on<P, D>());
  }
  void forward(Context<P>& ctx) {
    run<no_gradients>(ctx);
    ctx.arena().release(0);
  }
  /// For rows that ask themselves dx is the sum of both ways.
  void backward(Context<P>& ctx) {
    const auto saved = run<all_gradients>(ctx);
    {
      const auto scope = ctx.scope();
      const auto dk = scratch<Layer::KV>(ctx, keys), dv = scratch<Layer::KV>(ctx, keys);
      Layer::attend_backward(ctx, weights.views, saved, places(ctx), table(ctx, spans), dy.template rows_on<P, D>(),
                             dx.template rows_on<P, D>(), PoolGradients<P>{{{dk, dv}}}, gradients.views);
      Layer::project_backward(ctx, weights.views, asked(), places(ctx), dk, dv, dsource.template rows_on < P,
                              to_itself ? D : E > (), gradients.views);
      if constexpr (to_itself)
        for (std::size_t i = 0; i < dx.size(); ++i) dx.data()[i] += dsource.data()[i];
    }
    ctx.arena().release(0);
  }
};

template <AttentionConfig C>
void check_differences() {
  using P = Cpu<double>;
  using Case = AttentionLayerCase<C, P>;
  Context<P> ctx(1, 1 << 20);
  Case c(drawn<typename Case::Layer, P>(7));
  c.backward(ctx);
  const auto loss = [&] {
    c.forward(ctx);
    return inner(c.dy, c.y);
  };
  CHECK(gradient_check(c.x, c.dx, loss).relative < difference_bound());
  if constexpr (!Case::to_itself) CHECK(gradient_check(c.source, c.dsource, loss).relative < difference_bound());
  check_weight_gradients(c.weights, c.gradients, loss);
  CHECK(ctx.arena().scratched() == 0);
}

/// The same numbers in float and in double, within what a chain of three products, two norms and a softmax rounds.
template <AttentionConfig C>
void check_types() {
  using Single = AttentionLayerCase<C, Cpu<float>>;
  using Double = AttentionLayerCase<C, Cpu<double>>;
  Context<Cpu<float>> single_ctx(1, 1 << 20);
  Context<Cpu<double>> double_ctx(1, 1 << 20);
  Single single(drawn<typename Single::Layer, Cpu<float>>(7));
  Double exact(drawn<typename Double::Layer, Cpu<double>>(7));
  single.backward(single_ctx);
  exact.backward(double_ctx);
  const double bound = chain_bound<float>(4 * (C.source_dim + C.heads * C.head_dim + Single::N));
  CHECK(distance(single.y, exact.y).relative < bound);
  CHECK(distance(single.dx, exact.dx).relative < bound);
  CHECK(distance(single.dsource, exact.dsource).relative < bound);
  CHECK(distance(single.gradients.flat.data(), exact.gradients.flat.data(), exact.gradients.flat.size()).relative <
        bound);
}

template <AttentionConfig C, Platform P>
void check_split() {
  using R = typename P::Real;
  using Whole = AttentionLayerCase<C, P>;
  using Part = AttentionLayerCase<halved(C), P>;
  static_assert(Part::Layer::Q * processes == Whole::Layer::Q);
  Context<P> ctx(1, 1 << 20);
  Whole whole(drawn<typename Whole::Layer, P>(7), false);
  whole.backward(ctx);
  std::array<double, processes> output{}, input{}, source{}, weights{};
  on_two_processes<P>([&](int rank, Context<P>& own) {
    Part part(divided<typename Part::Layer>(whole.weights, rank), false);
    part.backward(own);
    const auto at = static_cast<std::size_t>(rank);
    output[at] = distance(part.y, whole.y).relative;
    input[at] = distance(part.dx, whole.dx).relative;
    source[at] = distance(part.dsource, whole.dsource).relative;
    weights[at] = divided_distance(part.gradients, whole.gradients, rank);
  });
  // Three products over at most E and H K, a softmax over N, rotation; a part sums in another order.
  const double bound = chain_bound<R>(4 * (C.source_dim + C.heads * C.head_dim + Whole::N));
  for (const auto& distances : {output, input, source, weights})
    for (const double d : distances) CHECK(d < bound);
}

template <AttentionConfig C, Platform P>
void check_cache() {
  using R = typename P::Real;
  using Layer = nn::Attention<C, P>;
  constexpr int D = C.dim;
  Context<P> ctx(1, 1 << 20);
  const auto w = drawn<Layer, P>(7);
  Tensor<R> x = drawn_rows<R>(5, D, 1), whole(5, D), last(2, D);
  const std::vector<int> positions{0, 1, 2, 3, 4}, end{3, 4};
  Tensor<R> k(5, Layer::KV), v(5, Layer::KV), own_k(2, Layer::KV), own_v(2, Layer::KV);
  const auto part = [](Tensor<R>& t, int first, int count) {
    return t.template rows_on<P, Layer::KV>().slice(first, count);
  };
  Layer::project(ctx, w.views, x.template rows_on<P, D>(), Positions<P>(table(ctx, positions), 5), part(k, 0, 5),
                 part(v, 0, 5));
  Pools<P> pools;
  pools.add({part(k, 0, 5), part(v, 0, 5)});
  SpanList spans;
  spans.begin(0, 5, 0);
  spans.add({0, 0, 5, 0, 1});
  Layer::template attend<no_gradients>(ctx, w.views, x.template rows_on<P, D>(), Positions<P>(table(ctx, positions), 5),
                                       pools, table(ctx, spans), whole.template rows_on<P, D>());

  const auto tail = x.template rows_on<P, D>().slice(3, 2);
  Layer::project(ctx, w.views, tail, Positions<P>(table(ctx, end), 5), part(own_k, 0, 2), part(own_v, 0, 2));
  Pools<P> two;
  two.add({part(own_k, 0, 2), part(own_v, 0, 2)});
  two.add({part(k, 0, 3), part(v, 0, 3)});
  SpanList stepped;
  stepped.begin(0, 2, 3);
  stepped.add({1, 0, 3, 0, 1});
  stepped.add({0, 0, 2, 3, 1});
  Layer::template attend<no_gradients>(ctx, w.views, tail, Positions<P>(table(ctx, end), 5), two, table(ctx, stepped),
                                       last.template rows_on<P, D>());
  CHECK(last == rows_of(whole, 3, 2));
}

/// A layer that computes its projections again asks for what they read even then.
template <AttentionConfig C>
void check_frozen() {
  using P = Cpu<double>;
  using Case = AttentionLayerCase<C, P>;
  using Layer = typename Case::Layer;
  Context<P> ctx(1, 1 << 20);
  Case all(drawn<Layer, P>(7)), inputs(drawn<Layer, P>(7));
  all.backward(ctx);
  const auto saved = inputs.template run<input_gradients>(ctx);
  const auto dk = scratch<Layer::KV>(ctx, Case::keys), dv = scratch<Layer::KV>(ctx, Case::keys);
  const Positions<P> at = inputs.places(ctx);
  const auto read = [&] {
    if constexpr (Layer::projects_again)
      return inputs.asked();
    else
      return Nothing{};
  }();
  Layer::attend_backward(ctx, inputs.weights.views, saved, at, table(ctx, inputs.spans),
                         inputs.dy.template rows_on<P, Case::D>(), inputs.dx.template rows_on<P, Case::D>(),
                         PoolGradients<P>{{{dk, dv}}}, frozen<Layer>);
  Layer::project_backward(ctx, inputs.weights.views, read, at, dk, dv, inputs.dsource.template rows_on<P, Case::E>(),
                          frozen<Layer>);
  CHECK(inputs.y == all.y);
  if constexpr (Case::to_itself)
    for (std::size_t i = 0; i < inputs.dx.size(); ++i) inputs.dx.data()[i] += inputs.dsource.data()[i];
  CHECK(inputs.dx == all.dx);
  CHECK(inputs.dsource == all.dsource);
}

}  // namespace flamingo::test
