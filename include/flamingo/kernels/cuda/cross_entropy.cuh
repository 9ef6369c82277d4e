/// Running log-sum-exp over chunks of a vocabulary on CUDA. A target outside it gives a likelihood of NaN.
#pragma once
#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/raw/cross_entropy.cuh>
#include <flamingo/ops/cross_entropy.hpp>

namespace flamingo::kernels {

template <Real R>
struct CrossEntropy<Cuda<R>> {
  using P = Cuda<R>;
  using A = AccumulateOf<P>;
  using Numbers = View<P, 1, A>;
  using Targets = View<P, 1, const int>;

  /// `lse` holds the running maximum until finish.
  static void begin(Context<P>& ctx, Targets targets, int vocabulary, Numbers maximum, Numbers sum, Numbers target) {
    check_cuda(raw::entropy_begin(targets.data, vocabulary, maximum.data, sum.data, target.data, targets.shape[0],
                                  ctx.stream()),
               "cross_entropy");
  }
  static void update(Context<P>& ctx, In<P> logits, int first, Targets targets, TargetShares<A> shares, Numbers maximum,
                     Numbers sum, Numbers target) {
    check_cuda(raw::entropy_update(bare(logits.data), logits.rows, logits.width, first, targets.data, shares.own,
                                   shares.each, maximum.data, sum.data, target.data, ctx.stream()),
               "cross_entropy");
  }
  static void finish(Context<P>& ctx, Numbers lse, Numbers sum, Numbers target, Numbers nll) {
    check_cuda(raw::entropy_finish(lse.data, sum.data, target.data, nll.data, lse.shape[0], ctx.stream()),
               "cross_entropy");
  }
  static void gradient(Context<P>& ctx, Out<P> logits, int first, Targets targets, TargetShares<A> shares,
                       View<P, 1, const A> lse, View<P, 1, const A> weights, A of_lse) {
    check_cuda(raw::entropy_gradient(bare(logits.data), logits.rows, logits.width, first, targets.data, shares.own,
                                     shares.each, lse.data, weights.data, of_lse, ctx.stream()),
               "cross_entropy_backward");
  }
};

}  // namespace flamingo::kernels
