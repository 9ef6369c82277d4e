/// Resampler and gated blocks on Cuda, forward and backward, compiled by nvcc: nothing runs.
#include <flamingo/cuda.cuh>
#include <flamingo/model/gated_cross_attention.hpp>
#include <flamingo/model/resampler.hpp>

namespace flamingo {

using P = Cuda<bfloat16>;
using Resampler = model::Resampler<ResamplerConfig{.vision_dim = 1024, .frames = 8}, P>;
using Block = model::GatedCrossAttention<XattnConfig{.norm_media = true}, 2048, 1536, P>;
template <class Layer>
using Weights = typename Layer::template Parameters<Stored<P>>;
template <class Layer>
using Gradients = typename Layer::template Parameters<Stored<P, AccumulateOf<P>>>;

void resample(Context<P>& ctx, const Weights<Resampler>& w, const Gradients<Resampler>& g,
              const Rows<P, 1024, const P::Real>& x, const ResamplerPlan& plan, const Rows<P, 1536>& y,
              const Rows<P, 1536>& dy, const Rows<P, 1024>& dx) {
  const auto saved = Resampler::forward<all_gradients>(ctx, w, x, plan, y);
  Resampler::backward<all_gradients>(ctx, w, saved, plan, dy, dx, g);
}

void attend(Context<P>& ctx, const Weights<Block>& w, const Gradients<Block>& g, const Rows<P, 2048>& x,
            const Rows<P, 1536>& media, const SpanList& list, const Rows<P, 2048>& z, const Rows<P, 2048>& dz,
            const Rows<P, 2048>& dx, const Rows<P, 1536>& dmedia) {
  const auto k = keep<Block::KV>(ctx, media.rows), v = keep<Block::KV>(ctx, media.rows),
             dk = keep<Block::KV>(ctx, media.rows), dv = keep<Block::KV>(ctx, media.rows);
  const auto spans = table(ctx, list);
  const auto m = Block::project<all_gradients>(ctx, w, media, k, v);
  Pools<P> pools;
  pools.add({k, v});
  const auto saved = Block::forward<all_gradients>(ctx, w, x, pools, spans, z);
  Block::backward<all_gradients>(ctx, w, saved, spans, dz, dx, PoolGradients<P>{{{dk, dv}}}, g);
  Block::project_backward<all_gradients>(ctx, w, m, dk, dv, dmedia, g);
}

}  // namespace flamingo
