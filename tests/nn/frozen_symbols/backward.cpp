// The backward pass of an attention and a feed-forward layer, trained or frozen (FROZEN): check.py reads the symbols
// of the two objects.
#include <flamingo/cpu.hpp>
#include <flamingo/nn/attention.hpp>
#include <flamingo/nn/feed_forward.hpp>
#include <flamingo/nn/norm.hpp>

using namespace flamingo;
using P = Cpu<float>;

constexpr int D = 7;
using Dense = nn::FeedForward<FeedForwardConfig{.dim = D, .hidden = 11, .bias = true}, P>;
using Attend =
    nn::Attention<AttentionConfig{.dim = D, .source_dim = D, .heads = 2, .kv_heads = 2, .head_dim = 3, .bias = true},
                  P>;
using Norm = nn::LayerNorm<D, P>;

#ifdef FROZEN
constexpr Need need = input_gradients;
template <class Layer>
using Gradients = const Layer::template Parameters<Frozen>;
#else
constexpr Need need = all_gradients;
template <class Layer>
using Gradients = Layer::template Parameters<Stored<P>>;
#endif
template <class Layer>
using Weights = Layer::template Parameters<Stored<P>>;

void backward(Context<P>& ctx, const Weights<Dense>& w, const Dense::Saved<need>& s, const Rows<P, D>& dy,
              const Rows<P, D>& dx, Gradients<Dense>& g) {
  Dense::backward(ctx, w, s, dy, dx, g);
}
void backward(Context<P>& ctx, const Weights<Attend>& w, const Attend::Saved<need>& s, const Spans<P>& spans,
              const Rows<P, D>& dy, const Rows<P, D>& dx, const PoolGradients<P>& dpools, Gradients<Attend>& g) {
  Attend::attend_backward(ctx, w, s, {}, spans, dy, dx, dpools, g);
}
void backward(Context<P>& ctx, const Weights<Norm>& w, const Norm::Saved<need>& s, const Rows<P, D>& dy,
              const Rows<P, D>& dx, Gradients<Norm>& g) {
  Norm::backward(ctx, w, s, dy, dx, g);
}
