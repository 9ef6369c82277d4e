/// Pairs to train on: a picture's word is told by the colour that it has most of.
#pragma once
#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/train/contrastive.hpp>

#include "model/contrastive/pairs.hpp"

namespace flamingo::test {

template <class R>
PairBatch<R> pairs_of(std::uint64_t stream, int pairs = 7) {
  Random draw(47, stream);
  PairBatch<R> b;
  b.pictures = small_pictures(pairs);
  for (int n = 0; n < pairs; ++n) {
    const int shown = draw.below(3);
    for (int i = 0; i < 36 * 3; ++i)
      b.pixels.push_back(R(static_cast<float>(i % 3 == shown) + 0.3f * (2 * draw.uniform() - 1)));
    b.texts.push_back({4 + shown, draw.below(3)});
  }
  return b;
}
template <class R>
PairStream<R> stream_of(std::string name, double weight, std::uint64_t seed, int pairs = 7) {
  return {std::move(name), weight,
          [seed, pairs](long n) { return pairs_of<R>(seed + static_cast<std::uint64_t>(n), pairs); }};
}

template <Platform P>
struct PairCase {
  using Net = SmallPairNet<P>;
  using R = typename P::Real;
  Context<P> ctx{1, 1 << 26};
  ContrastiveTrainer<Net, P> trainer;

  explicit PairCase(ContrastiveOptions options = {}, long steps = 0)
      : trainer(ctx, 43, {.peak = 0.02, .warmup = 1, .shape = Schedule::Shape::linear, .steps = steps, .floor = 0},
                std::move(options)) {
    trainer.weights = drawn<Net, P>(5);
  }
};
inline std::vector<double> equal_shares(int pairs) {
  return std::vector<double>(static_cast<std::size_t>(pairs), 1.0 / pairs);
}

/// The gradient of a batch encoded in chunks against that of the whole batch.
template <Platform P>
void check_chunks(double bound) {
  const auto batch = pairs_of<typename P::Real>(1, 11);
  PairCase<P> whole;
  const auto losses = whole.trainer.pass(batch, equal_shares(11));
  const int chunk = GENERATE(1, 4, 10, 100);
  CAPTURE(chunk);
  PairCase<P> chunked({.chunk = chunk});
  CHECK(chunked.trainer.pass(batch, equal_shares(11)) == losses);
  CHECK((chunked.ctx.arena().kept() == 0 && chunked.ctx.arena().scratched() == 0));
  const auto &a = chunked.trainer.gradients.flat, &b = whole.trainer.gradients.flat;
  CHECK(distance(a.data(), b.data(), b.size()).relative < bound);
}

}  // namespace flamingo::test
