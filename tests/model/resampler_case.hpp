/// A Resampler of any kind over a few media, and its gradients against finite differences.
#pragma once
#include <catch2/catch.hpp>
#include <numeric>
#include <utility>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/model/resampler.hpp>

#include "support/gradient_check.hpp"
#include "support/layer.hpp"

namespace flamingo::test {

/// A Resampler over media of equal sizes, with what its gradient check needs.
template <ResamplerConfig C, Platform P>
struct ResamplerCase {
  using Layer = model::Resampler<C, P>;
  using R = typename P::Real;

  Context<P> ctx{1, std::size_t{1} << 28};
  Store<Layer, P> weights, gradients;
  std::vector<Medium> media;
  ResamplerPlan plan;
  Tensor<R> features, y, dy, dfeatures;

  ResamplerCase(Store<Layer, P> w, std::vector<Medium> m)
      : weights(std::move(w)),
        media(std::move(m)),
        plan(ResamplerPlan::of(C, media)),
        features(drawn_rows<R>(
            std::accumulate(media.begin(), media.end(), 0, [](int n, const Medium& one) { return n + one.rows; }),
            Layer::E, 1)),
        y(plan.media * C.latents, Layer::O, R(7)),
        dy(drawn_rows<R>(plan.media * C.latents, Layer::O, 2)),
        dfeatures(features.rows(), Layer::E, R(7)) {}

  template <Need need>
  auto run() {
    const Tensor<R>& in = features;
    return Layer::template forward<need>(ctx, weights.views, in.template rows_on<P, Layer::E>(), plan,
                                         y.template rows_on<P, Layer::O>());
  }
  void forward() {
    const std::size_t mark = ctx.arena().kept();
    run<no_gradients>();
    ctx.arena().release(mark);
  }
  void backward() {
    const auto saved = run<all_gradients>();
    gradients.clear();
    Layer::backward(ctx, weights.views, saved, plan, dy.template rows_on<P, Layer::O>(),
                    dfeatures.template rows_on<P, Layer::E>(), gradients.views);
    ctx.arena().release(0);
  }
};

/// A video longer than the time table, an image, a short video.
inline const std::vector<Medium> mixed{{0, 10, 5, 0}, {10, 7, 1, 1}, {17, 6, 2, 0}};

template <ResamplerConfig C>
void check_resampler_differences() {
  using P = Cpu<double>;
  using Layer = model::Resampler<C, P>;
  ResamplerCase<C, P> c(drawn<Layer, P>(11), mixed);
  c.backward();
  const auto loss = [&] {
    c.forward();
    return inner(c.dy, c.y);
  };
  CHECK(gradient_check(c.features, c.dfeatures, loss).relative < difference_bound());
  check_weight_gradients(c.weights, c.gradients, loss);
}

}  // namespace flamingo::test
