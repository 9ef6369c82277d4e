#include <flamingo/dry.hpp>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <type_traits>
#include <vector>

#include <flamingo/core/store.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/model/gated_cross_attention.hpp>
#include <flamingo/model/resampler.hpp>

using namespace flamingo;

namespace {

constexpr ResamplerConfig small{
    .vision_dim = 11, .dim = 13, .latents = 5, .layers = 2, .heads = 3, .head_dim = 7, .widening = 2, .frames = 3};
constexpr XattnConfig gated{.heads = 5, .head_dim = 3, .widening = 2};
const std::vector<Medium> media{{.first = 0, .rows = 14, .frames = 2},
                                {.first = 14, .rows = 9, .frames = 1, .place = 1}};
constexpr int N = 23, tokens = 17, D = 19, R = 5, M = 2;

/// What a platform's run took.
struct Taken {
  std::size_t peak, kept, scratched;
};

/// Resampler, then one gated block, forward and backward; all tensors come from the arena, weights do not.
template <Platform P, class WR, class GR, class WX, class GX>
Taken run(Context<P>& ctx, const WR& resampler, const GR& dresampler, const WX& block, const GX& dblock) {
  using Resampler = model::Resampler<small, P>;
  using Block = model::GatedCrossAttention<gated, D, small.dim, P>;
  const ResamplerPlan plan = ResamplerPlan::of(small, media);
  const auto features = keep<small.vision_dim>(ctx, N);
  const auto latents = keep<small.dim>(ctx, M * R), dlatents = keep<small.dim>(ctx, M * R);
  const auto x = keep<D>(ctx, tokens), y = keep<D>(ctx, tokens), dx = keep<D>(ctx, tokens);
  const auto k = keep<Block::KV>(ctx, M * R), v = keep<Block::KV>(ctx, M * R), dk = keep<Block::KV>(ctx, M * R),
             dv = keep<Block::KV>(ctx, M * R);
  if constexpr (std::is_same_v<P, Cpu<float>>) {
    std::fill_n(features.data, features.size(), 0.5f);
    std::fill_n(x.data, x.size(), 0.5f);
  }
  // The first three tokens see nothing, then seven the first medium, then seven the second.
  const std::vector<Span> spans{{.first_row = 3, .rows = 7, .first_segment = 0, .segments = 1},
                                {.first_row = 10, .rows = 7, .first_segment = 1, .segments = 1}};
  const std::vector<Segment> segments{{.first = 0, .count = R}, {.first = R, .count = R}};
  const Spans<P> seen{table(ctx, spans), table(ctx, segments)};

  const auto saved = Resampler::template forward<weight_gradients>(ctx, resampler, features, plan, latents);
  const auto projected = Block::template project<all_gradients>(ctx, block, latents, k, v);
  Pools<P> pools;
  pools.add({k, v});
  const auto attended = Block::template forward<all_gradients>(ctx, block, x, pools, seen, y);
  const PoolGradients<P> dpools{{{dk, dv}}};
  Block::template backward<all_gradients>(ctx, block, attended, seen, y, dx, dpools, dblock);
  Block::template project_backward<all_gradients>(ctx, block, projected, dk, dv, dlatents, dblock);
  Resampler::template backward<weight_gradients>(ctx, resampler, saved, plan, dlatents, NoGrad{}, dresampler);
  return {ctx.arena().peak(), ctx.arena().kept(), ctx.arena().scratched()};
}

/// Multiplications and additions by hand: a product of (n, i) and (o, i) is 2 n i o.
double operations() {
  const auto product = [](double n, double i, double o) { return 2 * n * i * o; };
  const double E = small.vision_dim, d = small.dim, HK = small.heads * small.head_dim, F = small.widening * d,
               rows = M * R;
  const double lead_in = product(N, E, d), dense = 2 * product(rows, d, F),
               project = 2 * product(N, d, HK) + 2 * product(rows, d, HK), around = 2 * product(rows, d, HK);
  const double pairs = R * (14 + R) + R * (9 + R), attend = product(pairs, HK, 1);  // of one product for each pair
  // Backward: each linear map gives dx and dw; attention computes its scores again and four gradients. The features of
  // a frozen encoder get no gradient, so the lead-in gives dw alone.
  const double resampler = lead_in * 2 + small.layers * (3 * (dense + project + around) + (2 + 5) * attend);

  const double hk = gated.heads * gated.head_dim, f = gated.widening * D;
  const double block = 3 * (2 * product(rows, d, hk) + 2 * product(tokens, D, hk) + 2 * product(tokens, D, f)) +
                       (2 + 5) * product(14 * R, hk, 1);
  return resampler + block;
}

}  // namespace

TEST_CASE("a dry run takes the bytes of the run, and counts its products", "[dry]") {
  using P = Cpu<float>;
  using ResamplerLayer = model::Resampler<small, P>;
  using BlockLayer = model::GatedCrossAttention<gated, D, small.dim, P>;
  Store<ResamplerLayer, P> resampler(1), dresampler;
  Store<BlockLayer, P> block(2), dblock;
  Context<P> ctx(2, 1 << 24);
  const Taken real = run<P>(ctx, resampler.views, dresampler.views, block.views, dblock.views);

  using Q = Dry<P>;
  const typename model::Resampler<small, Q>::template Parameters<Stored<Q>> dry_resampler{};
  const typename model::GatedCrossAttention<gated, D, small.dim, Q>::template Parameters<Stored<Q>> dry_block{};
  Context<Q> dry;
  const Taken counted = run<Q>(dry, dry_resampler, dry_resampler, dry_block, dry_block);
  CHECK(counted.peak == real.peak);
  CHECK(counted.kept == real.kept);
  CHECK(counted.scratched == 0);
  CHECK(real.scratched == 0);
  CHECK(real.peak > 20'000);
  CHECK(dry.operations() == operations());
}
