/// A tiny Flamingo with everything switched on and random weights, and documents with text and pictures interleaved.
#pragma once
#include <vector>

#include <flamingo/core/store.hpp>
#include <flamingo/infer/engine.hpp>

#include "support/platforms.hpp"
#include "support/tensor.hpp"

namespace flamingo::test {

struct NoVision {};
inline constexpr FlamingoConfig<NoVision, Llama> tiny_config{
    .resampler = {.vision_dim = 7, .dim = 11, .latents = 3, .layers = 2, .heads = 2, .head_dim = 5, .frames = 2},
    .xattn = {.every = 2, .offset = 1, .heads = 3, .head_dim = 4, .norm_media = true},
    .lm = {.dim = 12,
           .layers = 5,
           .heads = 3,
           .kv_heads = 1,
           .head_dim = 6,
           .hidden = 17,
           .vocabulary = 13,
           .context = 41}};

/// The same without a Resampler, and with documents that end.
inline constexpr auto bare_config = [] {
  auto c = tiny_config;
  c.resampler = {.dim = 7, .latents = 5, .layers = 0};
  c.xattn.end_of_document = 7;
  return c;
}();

/// Random weights away from their beginnings: gates open, norms not 1.
template <class Layer, Platform P>
Store<Layer, P> random_weights(std::uint64_t seed) {
  using T = typename P::Real;
  Store<Layer, P> store;
  auto draw = [&](const Spec& spec, auto& leaf) {
    Random random(seed, hash(spec.name));
    const float about = spec.init.kind == Init::Kind::one ? 1.0f : 0.0f;
    const float deviation = spec.role == Role::vector ? 0.5f : 0.4f;
    for (std::size_t i = 0; i < spec.size(); ++i) leaf.data[i] = static_cast<T>(about + deviation * random.normal());
  };
  Layer::each(draw, store.views);
  return store;
}

/// Cached: what the engine's caches hold.
template <Platform P, auto C = tiny_config, class Cached = typename P::Real>
struct Tiny {
  using Model = model::Flamingo<C, P>;
  using Real = typename P::Real;
  using Connector = Store<typename Model::Connect, P>;
  using Lm = Store<typename Model::Decoder, P>;
  static constexpr int V = Model::V, S = 5;

  Connector connector = random_weights<typename Model::Connect, P>(1);
  Lm lm = random_weights<typename Model::Decoder, P>(2);
  Context<P> ctx{1};
  static constexpr EngineOptions options{.media = 7};
  Engine<Model, typename Connector::Views, typename Lm::Views, Cached> engine =
      make_engine<Model, Cached>(ctx, connector.views, lm.views, options);

  /// Features of picture i; every third is a video of two frames, if a Resampler makes as many rows of it.
  static int frames(int i) { return C.resampler.layers > 0 && i % 3 == 2 ? 2 : 1; }
  static Tensor<Real> features(int i) {
    return Tensor<Real>::random(S * frames(i), Model::ResamplerLayer::E, static_cast<std::uint64_t>(i) + 100);
  }
  CachedMedium medium(int i) {
    Tensor<Real> x = features(i);
    return engine.add_medium(x.template rows_on<P>(), frames(i));
  }

  /// Tokens with pictures at the tags' places.
  struct Document {
    std::vector<int> ids, tags, pictures;
    Sequence sequence() const {
      Sequence s;
      s.ids = ids;
      s.phi = phi_of(tags, static_cast<int>(ids.size()));
      s.media = static_cast<int>(pictures.size());
      return s;
    }
  };
  /// Text before the first picture, pictures side by side, a picture twice, and no picture at all.
  static std::vector<Document> documents() {
    return {{{1, 5, 0, 7, 2, 9, 0, 4, 11, 3, 6}, {2, 6}, {0, 1}},
            {{0, 8, 0, 0, 12, 1, 10}, {0, 2, 3}, {1, 2, 1}},
            {{3, 2, 7, 1, 9}, {}, {}}};
  }
  TextState begin(const Document& d) {
    std::vector<CachedMedium> media;
    for (const int i : d.pictures) media.push_back(medium(i));
    return engine.begin(d.sequence(), media);
  }
  std::vector<TextState> prompts() {
    std::vector<TextState> states;
    for (const Document& d : documents()) states.push_back(begin(d));
    return states;
  }
};

}  // namespace flamingo::test
