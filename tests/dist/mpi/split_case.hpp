/// One block of a language model and one gated block, split over the processes of a job, against the undivided ones.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/dist/sum.hpp>
#include <flamingo/model/decoder.hpp>
#include <flamingo/model/gated_cross_attention.hpp>

#include "dist/mpi/cases.hpp"
#include "dist/split_weights.hpp"
#include "support/layer.hpp"

namespace flamingo::test {

/// The outputs and inputs' gradients of a block; its weights' gradients are in the store.
using Given = std::vector<Tensor<float>>;
inline constexpr int split_rows = 7;

/// A decoder's block: two sequences of 3 and 4 rows.
template <auto C, Platform P>
struct SplitDecoder {
  using Layer = typename DecoderOf<C, P>::Block;

  static Given run(Context<P>& ctx, Store<Layer, P>& weights, Store<Layer, P>& gradients) {
    constexpr int D = C.dim, N = split_rows;
    const auto kept = ctx.kept_scope();
    Tensor<float> x = drawn_rows<float>(N, D, 1), dz = drawn_rows<float>(N, D, 2), z(N, D), dx(N, D);
    const std::vector<int> positions{0, 1, 2, 0, 1, 2, 3};
    SpanList list;
    list.begin(0, 3);
    list.add({0, 0, 3, 0, 1});
    list.begin(3, 4);
    list.add({0, 3, 4, 0, 1});
    const auto spans = table(ctx, list);
    const Positions<P> at(table(ctx, positions), 4);
    const auto k = keep<Layer::KV>(ctx, N), v = keep<Layer::KV>(ctx, N);
    Pools<P> pools;
    pools.add({k, v});
    const auto saved = Layer::template forward<all_gradients>(ctx, weights.views, x.rows_on<P, D>(), at, k, v, pools,
                                                              spans, z.rows_on<P, D>());
    Layer::backward(ctx, weights.views, saved, at, spans, dz.rows_on<P, D>(), dx.rows_on<P, D>(), gradients.views);
    return {z, dx};
  }
};
/// A gated block that reads two pictures of R rows.
template <XattnConfig C, int D, int E, int R, Platform P>
struct SplitGated {
  using Layer = model::GatedCrossAttention<C, D, E, P>;

  static Given run(Context<P>& ctx, Store<Layer, P>& weights, Store<Layer, P>& gradients) {
    constexpr int N = split_rows;
    const auto kept = ctx.kept_scope();
    const auto scope = ctx.scope();
    Tensor<float> media = drawn_rows<float>(2 * R, E, 3), dmedia(2 * R, E), x = drawn_rows<float>(N, D, 1),
                  dz = drawn_rows<float>(N, D, 2), z(N, D), dx(N, D);
    SpanList list;  // the first row sees nothing
    list.begin(1, 3);
    list.add({0, 0, R, 0, 0});
    list.begin(4, 3);
    list.add({0, R, R, 0, 0});
    const auto spans = table(ctx, list);
    const auto k = keep<Layer::KV>(ctx, 2 * R), v = keep<Layer::KV>(ctx, 2 * R);
    const auto dk = scratch<Layer::KV>(ctx, 2 * R), dv = scratch<Layer::KV>(ctx, 2 * R);
    Pools<P> pools;
    pools.add({k, v});
    const auto projected = Layer::template project<all_gradients>(ctx, weights.views, media.rows_on<P, E>(), k, v);
    const auto saved =
        Layer::template forward<all_gradients>(ctx, weights.views, x.rows_on<P, D>(), pools, spans, z.rows_on<P, D>());
    Layer::backward(ctx, weights.views, saved, spans, dz.rows_on<P, D>(), dx.rows_on<P, D>(),
                    PoolGradients<P>{{{dk, dv}}}, gradients.views);
    Layer::project_backward(ctx, weights.views, projected, dk, dv, dmedia.rows_on<P, E>(), gradients.views);
    return {z, dx, dmedia};
  }
};

/// Every gradient of all processes against process 0's of the undivided layer: the largest relative distance.
template <class Part, Platform P>
double gradients_distance(dist::Transport& transport, Store<Part, P>& part,
                          const std::map<std::string, const float*>& wholes) {
  const int n = transport.size();
  double worst = 0, largest = 0;
  auto compare = [&](const Spec& spec, auto& leaf) {
    const std::string name(std::string_view(spec.name));
    std::vector<std::vector<float>> parts(static_cast<std::size_t>(n));
    std::vector<std::span<const std::byte>> send(parts.size());
    std::vector<std::span<std::byte>> receive(parts.size());
    send[0] = std::as_bytes(std::span<const float>(leaf.data, spec.size()));
    if (transport.rank() == 0)
      for (std::size_t r = 0; r < parts.size(); ++r) {
        parts[r].resize(spec.size());
        receive[r] = std::as_writable_bytes(std::span(parts[r]));
      }
    transport.exchange(send, receive);
    if (transport.rank() != 0) return;
    double error = 0, norm = 0;
    for (int r = 0; r < n; ++r) {
      const Place place(spec, r, n);
      const float* at = parts[static_cast<std::size_t>(r)].data();
      for (std::size_t row = 0; row < static_cast<std::size_t>(spec.rows); ++row)
        for (std::size_t c = 0; c < static_cast<std::size_t>(spec.columns); ++c) {
          const double expected =
              static_cast<double>(wholes.at(name)[(place.row + row) * place.columns + place.column + c]);
          norm += expected * expected;
          error += std::pow(static_cast<double>(*at++) - expected, 2);
        }
    }
    largest = std::max(largest, std::sqrt(norm));
    if (name == "attention.key_bias") return check(norm < 1e-8 * largest * largest, "split", "keys move alike");
    check(norm > 0, "split", name, " has no gradient");
    worst = std::max(worst, std::sqrt(error / norm));
  };
  Part::each(compare, part.views);
  return worst;
}

/// Runs Whole on process 0 and Part on all of them. Refuses outputs or gradients that are further apart than 1e-5.
template <class Whole, class Part, Platform P>
void check_split(dist::Transport& transport, const char* what) {
  using WholeLayer = typename Whole::Layer;
  using PartLayer = typename Part::Layer;
  static_assert(!std::is_same_v<WholeLayer, PartLayer>);
  Given expected, given;
  std::optional<Store<WholeLayer, P>> whole;
  std::map<std::string, const float*> wholes;
  if (transport.rank() == 0) {
    Context<P> ctx;
    Store<WholeLayer, P> weights;
    fill(weights, 0, 1);
    expected = Whole::run(ctx, weights, whole.emplace());
    auto note = [&](const Spec& spec, auto& leaf) { wholes[std::string(std::string_view(spec.name))] = leaf.data; };
    WholeLayer::each(note, whole->views);
  }
  Context<P> ctx(1);
  dist::join(ctx, transport);
  Store<PartLayer, P> gradients;
  {
    Store<PartLayer, P> weights;
    fill(weights, transport.rank(), transport.size());
    given = Part::run(ctx, weights, gradients);
  }
  double worst = 0;
  for (std::size_t i = 0; i < given.size(); ++i) {
    check_same_everywhere(transport, std::span<const float>(given[i].data(), given[i].size()), what);
    if (transport.rank() == 0)
      worst = std::max(worst, distance(given[i].data(), expected[i].data(), given[i].size()).relative);
  }
  const double of_weights = gradients_distance(transport, gradients, wholes);
  if (transport.rank() == 0) {
    std::printf("%s: outputs and inputs' gradients within %.2g, weights' gradients within %.2g\n", what, worst,
                of_weights);
    check(worst > 0 || of_weights > 0, what, "nothing is rounded otherwise: was it split?");
    check(worst < 1e-5 && of_weights < 1e-5, what, "further apart than 1e-5");
  }
}

}  // namespace flamingo::test
