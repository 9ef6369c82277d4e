/// The paper's pair of contrastive encoders, trained, run once on a platform.
#pragma once
#include <vector>

#include "kernels/cuda/on_platform.hpp"
#include "train/contrastive_case.hpp"

namespace flamingo::test {

/// Of each of some updates: losses of both datasets, how much was clipped, norms; last, the losses of other pairs.
/// Batches are encoded in chunks, and both rules of clipping have something to do.
template <Platform P>
std::vector<double> trained_pairs(int updates) {
  using R = typename P::Real;
  Context<P> ctx = small_context<P>();
  ContrastiveTrainer<SmallPairNet<P>, P> trainer(ctx, 43, {.peak = 0.02},
                                                 {.chunk = 3, .vision_clip = 0.001, .other_clip = 0.01});
  std::vector<double> all;
  for (int i = 0; i < updates; ++i) {
    const auto report = trainer.update({stream_of<R>("a", 1, 7, 5), stream_of<R>("b", 0.3, 900, 4)});
    for (const PairLoss& loss : report.datasets) all.push_back(loss.loss);
    all.insert(all.end(), {static_cast<double>(report.clipped), report.other_norm, report.gradient_norm});
    CHECK((report.clipped > 0 && report.other_norm > 0.01));
  }
  const std::vector<double> others = trainer.pass(pairs_of<R>(1000003, 4));
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

}  // namespace flamingo::test
