#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>
#include <flamingo/train/contrastive.hpp>

#include "train/contrastive_case.hpp"

namespace contrastive_nfnet_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr ContrastiveConfig<NfNet> c{.vision = {.depths = {1, 1, 1, 1},
                                                .widths = {4, 4, 8, 8},
                                                .strides = {1, 1, 2, 1},
                                                .stem = 8,
                                                .group = 2,
                                                .head = 5,
                                                .stochastic_depth = 0.8f},
                                     .text = small_pair_config.text,
                                     .projection = 3};

}  // namespace

TEST_CASE("pictures that are encoded again drop the branches that they dropped", "[contrastive]") {
  using P = Cpu<float>;
  using Net = model::PooledDualEncoder<c, P>;
  Context<P> ctx(1, 1 << 26);
  const auto batch = pairs_of<float>(1, 11);
  const auto gradient_of = [&](int chunk, long draw, std::vector<double>& losses) {
    ContrastiveTrainer<Net, P> trainer(ctx, 43, {}, {.chunk = chunk});
    trainer.weights = drawn<Net, P>(5);
    losses = trainer.pass(batch, equal_shares(11), draw);
    return trainer.gradients.flat;
  };
  std::vector<double> whole, chunked, other;
  const auto expected = gradient_of(0, 7, whole), found = gradient_of(4, 7, chunked), third = gradient_of(0, 8, other);
  CHECK(chunked == whole);
  CHECK(distance(found.data(), expected.data(), found.size()).relative < 1e-6);
  CHECK(distance(third.data(), expected.data(), third.size()).relative > 1e-2);  // another step drops others
  ContrastiveTrainer<Net, P> looks(ctx, 43, {});
  looks.weights = drawn<Net, P>(5);
  CHECK(looks.pass(batch) != whole);  // who only looks drops none
}

}  // namespace contrastive_nfnet_test
