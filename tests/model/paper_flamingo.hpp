/// What must hold of the paper's own model, whatever its weights: NFNet, Resampler, gated blocks in Chinchilla, small.
/// Each precision is a translation unit of its own.
#pragma once
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <utility>
#include <vector>

#include <flamingo/config/presets/flamingo.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/model/vision/encoder.hpp>

#include "support/layer.hpp"

namespace flamingo::test {

/// Flamingo-9B with smaller numbers: the same rules, maps and norms.
inline constexpr presets::Paper mini = [] {
  presets::Paper c = presets::flamingo_9b;
  c.vision = {.image = 64,
              .depths = {1, 2, 1, 1},
              .widths = {16, 24, 40, 40},
              .stem = 8,
              .group = 8,
              .head = 20,
              .features = c.vision.features};
  c.lm.dim = 14;
  c.lm.layers = 5;
  c.lm.heads = 2;
  c.lm.head_dim = 5;
  c.lm.vocabulary = 31;
  c.lm.context = 32;
  c.resampler.vision_dim = 20;
  c.resampler.dim = 12;
  c.resampler.latents = 3;
  c.resampler.layers = 2;
  c.resampler.heads = 2;
  c.resampler.head_dim = 7;
  c.resampler.frames = 2;
  c.resampler.out_dim = 14;
  c.xattn.heads = 2;
  c.xattn.head_dim = 5;
  return c;
}();
static_assert(mini.gated_blocks() == 2 && mini.xattn.norm_media && mini.lm.added == 1);

/// Two documents: a picture of 2 x 3 cells and a video of three frames of 2 x 2; a picture that a second tag has no
/// picture to follow.
template <Platform P>
struct PaperCase {
  using R = typename P::Real;
  using Vision = Encoder<mini.vision, P>;
  using Model = model::Flamingo<mini, P>;
  using Connect = typename Model::Connect;
  using Decoder = typename Model::Decoder;
  static constexpr typename Model::Trained trained{};
  static constexpr int D = Model::D, V = Model::V, R_ = Model::R, tokens = 17;

  Context<P> ctx{1, std::size_t{1} << 28};
  Store<Vision, P> vision = drawn<Vision, P>(3);
  Store<Connect, P> connector = drawn<Connect, P>(5);
  Store<Decoder, P> lm = drawn<Decoder, P>(7);
  std::vector<Grid> pictures{{0, 64, 96}, {6144, 64, 64}, {10240, 64, 64}, {14336, 64, 64}, {18432, 33, 60}};
  std::vector<Medium> media{{0, 6, 1, 0}, {6, 12, 3, 1}, {18, 4, 1, 0}};
  std::vector<Sequence> sequences{
      {.ids = {1, 4, 9, 30, 2, 31, 9, 8, 7, 5}, .phi = {0, 0, 1, 1, 1, 1, 2, 2, 2, 2}, .first_medium = 0, .media = 2},
      {.ids = {1, 9, 6, 31, 9, 3, 3}, .phi = {0, 1, 1, 1, 2, 2, 2}, .first_medium = 2, .media = 1}};
  Tensor<R> pixels = drawn_rows<R>(18432 + 33 * 60, 3, 1);

  /// Cells of all pictures, one after another.
  Tensor<R> features() {
    Tensor<R> y(22, Vision::D);
    const Tensor<R>& in = pixels;
    Vision::template forward<no_gradients>(ctx, vision.views, in.template rows_on<P, 3>(), pictures,
                                           y.template rows_on<P, Vision::D>());
    return y;
  }
  Tensor<R> latents(const Tensor<R>& features, const std::vector<Medium>& of) {
    Tensor<R> y(static_cast<int>(of.size()) * R_, Model::E, R(7));
    const ResamplerPlan plan = ResamplerPlan::of(mini.resampler, of);
    Model::ResamplerLayer::template forward<no_gradients>(ctx, connector.views.resampler,
                                                          features.template rows_on<P, Vision::D>(), plan,
                                                          y.template rows_on<P, Model::E>());
    return y;
  }
  Tensor<R> logits() {
    const auto scope = ctx.scope();
    const auto kept = ctx.kept_scope();
    const DecoderPlan plan = DecoderPlan::of(sequences, mini.xattn, R_);
    Tensor<R> seen = latents(features(), media), hidden(plan.rows(), D);
    Model::template forward<trained>(ctx, connector.views, lm.views, plan, seen.template rows_on<P, Model::E>(),
                                     hidden.template rows_on<P, D>());
    return logits_of(hidden);
  }
  /// By the decoder's own blocks alone.
  Tensor<R> bare_logits() {
    const DecoderPlan plan = DecoderPlan::of(sequences, mini.xattn, R_);
    const int N = plan.rows();
    Tensor<R> x(N, D), y(N, D);
    const Positions<P> positions{table(ctx, plan.positions), plan.distances()};
    Decoder::embed(ctx, lm.views, table(ctx, plan.ids), x.template rows_on<P, D>());
    for (const auto& block : lm.views.blocks) {
      const auto scope = ctx.scope();
      const auto k = scratch<Model::Block::KV>(ctx, N), v = scratch<Model::Block::KV>(ctx, N);
      Pools<P> own;
      own.add({k, v});
      Model::Block::template forward<no_gradients>(ctx, block, x.template rows_on<P, D>(), positions, k, v, own,
                                                   table(ctx, plan.self), y.template rows_on<P, D>());
      std::swap(x, y);
    }
    return logits_of(x);
  }
  Tensor<R> logits_of(Tensor<R>& hidden) {
    Tensor<R> y(hidden.rows(), V);
    Decoder::logits(ctx, lm.views, hidden.template rows_on<P, D>(), y.template rows_on<P, V>());
    return y;
  }
  /// Other pixels of the pictures that medium m shows.
  void change(int m) {
    const int first = m == 0 ? 0 : m == 1 ? 6144 : 18432, last = m == 0 ? 6144 : m == 1 ? 18432 : pixels.rows();
    for (int row = first; row < last; ++row) pixels(row, 1) += R(0.5);
  }
};

/// (1) at initialisation the logits are the bare language model's, bit for bit
template <Platform P>
void check_start() {
  using R = typename P::Real;
  PaperCase<P> c;
  initialise<typename PaperCase<P>::Connect>(c.connector.views, 37);
  for (const R size : {R(1), R(100), R(0)}) {  // any images
    for (R& x : c.pixels) x *= size;
    CHECK(c.logits() == c.bare_logits());
  }
  const Tensor<R> both = c.logits();  // any batch
  c.sequences.erase(c.sequences.begin());
  CHECK(c.logits() == rows_of(both, 10, 7));
}

/// (4) a medium changes no logit before its tag, and all of its own
template <Platform P>
void check_before_tag() {
  using R = typename P::Real;
  PaperCase<P> c;
  const Tensor<R> before = c.logits();
  struct Sight {
    int medium, first, last;  // rows of the decoder that it can reach
  };
  for (const auto& [medium, first, last] : {Sight{0, 2, 10}, Sight{1, 6, 10}, Sight{2, 11, 17}}) {
    INFO("medium " << medium);
    PaperCase<P> changed;
    changed.change(medium);
    const Tensor<R> after = changed.logits();
    for (int row = 0; row < 17; ++row) {
      INFO("row " << row);
      CHECK((rows_of(after, row, 1) == rows_of(before, row, 1)) == (row < first || row >= last));
    }
  }
}

/// (4) without self-attention a medium changes the tokens of its own φ alone
template <Platform P>
void check_without_self_attention() {
  using R = typename P::Real;
  const auto silenced = [] {
    PaperCase<P> c;
    for (auto& block : c.lm.views.blocks) {
      auto& a = block.attention;
      std::fill_n(a.out.data, a.out.size(), R(0));
      std::fill_n(a.out_bias.data, a.out_bias.size(), 0);
    }
    return c;
  };
  auto c = silenced();
  const Tensor<R> before = c.logits();
  const std::vector<std::vector<int>> own{{2, 3, 4, 5}, {6, 7, 8, 9}, {11, 12, 13}};
  for (int medium = 0; medium < 3; ++medium) {
    INFO("medium " << medium);
    auto changed = silenced();
    changed.change(medium);
    const Tensor<R> after = changed.logits();
    for (int row = 0; row < 17; ++row) {
      INFO("row " << row);
      const auto& rows = own[static_cast<std::size_t>(medium)];
      CHECK((rows_of(after, row, 1) == rows_of(before, row, 1)) ==
            (std::find(rows.begin(), rows.end(), row) == rows.end()));
    }
  }
}

/// (5) any cells and frames give as many latents of the decoder's width
template <Platform P>
void check_sizes() {
  using R = typename P::Real;
  PaperCase<P> c;
  for (const auto& [cells, frames] : {std::pair{100, 1}, {81, 1}, {7, 8}, {5, 30}}) {
    const auto features = drawn_rows<R>(cells * frames, PaperCase<P>::Vision::D, 1);
    const Tensor<R> y = c.latents(features, {{0, cells * frames, frames, 0}});
    CHECK((y.rows() == 3 && y.columns() == 14 && y.intact()));
    CHECK(std::none_of(y.begin(), y.end(), [](R x) { return x == R(7) || !std::isfinite(x); }));
  }
}

/// (6) the order of a picture's cells does not matter
template <Platform P>
void check_order() {
  using R = typename P::Real;
  PaperCase<P> c;
  const Tensor<R> cells = c.features();
  Tensor<R> turned = cells;
  for (int i = 0; i < 6; ++i)
    for (int d = 0; d < cells.columns(); ++d) turned((i + 2) % 6, d) = cells(i, d);
  CHECK_FALSE(turned == cells);
  const Tensor<R> a = c.latents(cells, c.media), b = c.latents(turned, c.media);
  CHECK(distance(b, a).relative < chain_bound<R>(2 * (9 + 100)));
  CHECK(rows_of(a, 3, 6) == rows_of(b, 3, 6));
}

}  // namespace flamingo::test
