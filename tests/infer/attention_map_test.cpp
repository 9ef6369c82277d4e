#include <flamingo/infer/attention_map.hpp>

#include <catch2/catch.hpp>
#include <numeric>

#include <flamingo/cpu.hpp>
#include <flamingo/infer/attention_overlay.hpp>

#include "infer/tiny.hpp"

namespace attention_map_test {

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
  Rows<P, 7, const typename P::Real> rows() const {
    return {features.data(), static_cast<int>(features.size()) / 7, Extent<7>(7)};
  }
  AttentionMaps maps() {
    const std::vector<int> tokens{1, 3, static_cast<int>(document.ids.size()) - 1};
    return attention_maps<typename Tiny<P, C>::Model>(tiny.ctx, tiny.connector.views, tiny.lm.views,
                                                      document.sequence(), rows(), media, tokens);
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
      const auto heat = attention_heat(maps, i, m);
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

TEST_CASE("Log-probabilities differ as scores of the engine's rows and the media's keys do") {
  using P = Cpu<double>;
  using Model = Tiny<P>::Model;
  constexpr int K = tiny_config.xattn.head_dim, R = Model::R;
  Looked<P> looked(1);
  const AttentionMaps maps = looked.maps();
  Context<P>& ctx = looked.tiny.ctx;
  const auto& connector = looked.tiny.connector.views;
  const auto scope = ctx.scope();
  const auto latents = scratch<Model::E>(ctx, maps.media * R);
  const auto plan = ResamplerPlan::of(tiny_config.resampler, looked.media);
  Model::ResamplerLayer::forward<no_gradients>(ctx, connector.resampler, looked.rows(), plan, latents);
  TextState state = looked.tiny.begin(looked.document);
  const NewTokens piece[] = {{&state, state.ids, state.phi, {}}};
  int compared = 0;
  looked.tiny.engine.forward(piece, [&](std::size_t j, const auto& x) {
    const auto inner = ctx.scope();
    const auto normed = scratch<Model::D>(ctx, x.rows);
    const auto q = scratch<Model::Gated::KV>(ctx, x.rows);
    const auto k = scratch<Model::Gated::KV>(ctx, latents.rows), v = scratch<Model::Gated::KV>(ctx, latents.rows);
    Model::Gated::NormLayer::forward<no_gradients>(ctx, connector.gated[j].norm, tiny_config.xattn.epsilon, x, normed);
    ops::linear(ctx, normed, connector.gated[j].attention.query, q);
    Model::Gated::project<no_gradients>(ctx, connector.gated[j], latents, k, v);
    const auto score = [&](int token, int latent, int h) {
      double s = 0;
      for (int c = h * K; c < (h + 1) * K; ++c) s += q.row(token)[c] * k.row(latent)[c];
      return s / std::sqrt(K);
    };
    for (int i = 0; i < 3; ++i)
      for (int h = 0; h < maps.heads; ++h)
        for (int m = 0; m < maps.media; ++m) {
          const auto p = maps.cross(i, static_cast<int>(j), h, m);
          if (sum(p) == 0) continue;
          const int token = maps.tokens[static_cast<std::size_t>(i)];
          for (int r = 1; r < R; ++r, ++compared)
            CHECK(std::log(p[static_cast<std::size_t>(r)] / p[0]) ==
                  Approx(score(token, m * R + r, h) - score(token, m * R, h)).epsilon(1e-9));
        }
  });
  CHECK(compared == maps.gated_blocks * maps.heads * 3 * (R - 1));
}

TEST_CASE("A video's heat map covers its frames; media that are not the document's are refused") {
  Looked<Cpu<double>> looked(1);  // pictures 1, 2 (a video of two frames), 1
  const AttentionMaps maps = looked.maps();
  CHECK(attention_heat(maps, 1, 1).size() == 10);
  CHECK(sum(attention_heat(maps, 1, 2)) == Approx(1));  // token 3 announces the third medium
  looked.media.pop_back();
  CHECK_THROWS_WITH(looked.maps(), "[attention_maps] the document has 3 media, 2 are given");
}

TEST_CASE("Without a Resampler a heat map is the mean of what a token attends to") {
  Looked<Cpu<double>, bare_config> looked(0);  // token 3 still belongs to its document, which ends with it
  const AttentionMaps maps = looked.maps();
  const auto heat = attention_heat(maps, 1, 0);
  REQUIRE(heat.size() == 5);
  for (std::size_t row = 0; row < heat.size(); ++row) {
    double mean = 0;
    for (int block = 0; block < maps.gated_blocks; ++block)
      for (int h = 0; h < maps.heads; ++h) mean += maps.cross(1, block, h, 0)[row] / (maps.gated_blocks * maps.heads);
    CHECK(std::abs(heat[row] - mean) < 1e-12);
  }
  CHECK(sum(attention_heat(maps, 1, 1)) == 0);
}

}  // namespace attention_map_test
