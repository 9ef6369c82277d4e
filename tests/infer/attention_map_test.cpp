#include <flamingo/infer/attention_map.hpp>

#include <catch2/catch.hpp>
#include <numeric>

#include <flamingo/cpu.hpp>

#include "infer/tiny.hpp"

using namespace flamingo;
using namespace flamingo::test;

namespace {

double sum(std::span<const double> x) { return std::accumulate(x.begin(), x.end(), 0.0); }

/// The maps of the tiny model's document d, for tokens 1, 3 and the last.
template <Platform P, auto C = tiny_config>
struct Looked {
  Tiny<P, C> tiny;
  typename Tiny<P, C>::Document document;
  std::vector<Medium> media;
  std::vector<typename P::Real> features;

  explicit Looked(std::size_t d) : document(tiny.documents()[d]) {
    for (const int i : document.pictures) {
      const auto x = tiny.features(i);
      media.push_back({static_cast<int>(features.size()) / 7, x.rows(), tiny.frames(i), 0});
      features.insert(features.end(), x.begin(), x.end());
    }
  }
  AttentionMaps maps() {
    const std::vector<int> tokens{1, 3, static_cast<int>(document.ids.size()) - 1};
    const Rows<P, 7, const typename P::Real> rows{features.data(), static_cast<int>(features.size()) / 7, Extent<7>(7)};
    return attention_maps<typename Tiny<P, C>::Model>(tiny.ctx, tiny.connector.views, tiny.lm.views,
                                                      document.sequence(), rows, media, tokens);
  }
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("Each token's attention lies on the medium it sees, and sums to 1", "", Platforms) {
  Looked<TestType> looked(0);  // tags at 2 and 6: token 1 sees nothing, 3 the first medium, the last one the second
  const std::size_t kept = looked.tiny.ctx.arena().kept();
  const AttentionMaps maps = looked.maps();
  CHECK(looked.tiny.ctx.arena().kept() == kept);
  const double bound = 100 * static_cast<double>(std::numeric_limits<typename TestType::Real>::epsilon());
  for (int i = 0; i < 3; ++i)
    for (int m = 0; m < 2; ++m) {
      const bool seen = i == m + 1;
      for (int block = 0; block < maps.gated_blocks; ++block)
        for (int h = 0; h < maps.heads; ++h) CHECK(std::abs(sum(maps.cross(i, block, h, m)) - (seen ? 1 : 0)) <= bound);
      const auto heat = maps.heat(i, m);
      CHECK(heat.size() == 5);
      CHECK(std::abs(sum(heat) - (seen ? 1 : 0)) <= 1e-12);
    }
  for (int layer = 0; layer < maps.layers; ++layer)
    for (int h = 0; h < maps.resampler_heads; ++h)
      for (int r = 0; r < maps.latents; ++r) {
        const double share = sum(maps.resampled(0, layer, h, r));
        CHECK(share > 0);
        CHECK(share < 1);  // the latents look at one another too
      }
}

TEST_CASE("The probabilities weigh the values to what attention put out") {
  // Against the engine: rows before gated block j, attended by hand with the maps' probabilities.
  using P = Cpu<double>;
  Looked<P> looked(1);
  const AttentionMaps maps = looked.maps();
  using Model = Tiny<P>::Model;
  TextState state = looked.tiny.begin(looked.document);
  const NewTokens piece[] = {{&state, state.ids, state.phi, {}}};
  const auto scope = looked.tiny.ctx.scope();
  int blocks = 0;
  looked.tiny.engine.forward(piece, [&](std::size_t j, const auto& x) {
    ++blocks;
    const auto& w = looked.tiny.connector.views.gated[j];
    auto& ctx = looked.tiny.ctx;
    const auto inner = ctx.scope();
    const auto normed = scratch<Model::D>(ctx, x.rows);
    Model::Gated::NormLayer::forward<no_gradients>(ctx, w.norm, tiny_config.xattn.epsilon, x, normed);
    const auto q = scratch<Model::Gated::KV>(ctx, x.rows);
    ops::linear(ctx, normed, w.attention.query, q);
    for (int i = 0; i < 3; ++i)
      for (int h = 0; h < maps.heads; ++h)
        for (int m = 0; m < maps.media; ++m) {
          const auto p = maps.cross(i, static_cast<int>(j), h, m);
          if (sum(p) == 0) continue;
          // Log-probabilities differ as scores do: log p_r - log p_0 = q (k_r - k_0) / √K.
          const auto latents = scratch<Model::E>(ctx, 3), normed_media = scratch<Model::E>(ctx, 3);
          const auto k = scratch<Model::Gated::KV>(ctx, 3), v = scratch<Model::Gated::KV>(ctx, 3);
          const Medium medium[] = {looked.media[static_cast<std::size_t>(m)]};
          const auto plan = ResamplerPlan::of(tiny_config.resampler, medium);
          const Rows<P, 7, const double> rows{looked.features.data(), static_cast<int>(looked.features.size()) / 7,
                                              Extent<7>(7)};
          // All features are led in, the span of the plan names this medium's.
          auto whole = plan;
          whole.times.clear();
          for (const Medium& each : looked.media)
            for (int row = 0; row < each.rows; ++row)
              whole.times.push_back(
                  time_of(row / (each.rows / each.frames), each.frames, tiny_config.resampler.frames));
          Model::ResamplerLayer::forward<no_gradients>(ctx, looked.tiny.connector.views.resampler, rows, whole,
                                                       latents);
          Model::Gated::project<no_gradients>(ctx, w, latents, k, v);
          const int token = maps.tokens[static_cast<std::size_t>(i)];
          const auto score = [&](int r) {
            double s = 0;
            for (int c = 0; c < 4; ++c) s += q.row(token)[h * 4 + c] * k.row(r)[h * 4 + c];
            return s / 2;  // √4
          };
          for (int r = 1; r < 3; ++r)
            CHECK(std::log(p[static_cast<std::size_t>(r)] / p[0]) == Approx(score(r) - score(0)).epsilon(1e-9));
        }
  });
  CHECK(blocks == maps.gated_blocks);
}

TEST_CASE("A video's heat map covers its frames; media that are not the document's are refused") {
  Looked<Cpu<double>> looked(1);  // pictures 1, 2 (a video of two frames), 1
  const AttentionMaps maps = looked.maps();
  CHECK(maps.heat(1, 1).size() == 10);
  CHECK(sum(maps.heat(1, 2)) == Approx(1));  // token 3 announces the third medium
  looked.media.pop_back();
  CHECK_THROWS_WITH(looked.maps(), "[attention_maps] the document has 3 media, 2 are given");
}
