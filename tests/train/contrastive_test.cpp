#include <flamingo/train/contrastive.hpp>

#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/cpu.hpp>

#include "io/files.hpp"
#include "train/contrastive_case.hpp"

namespace contrastive_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("encoding in chunks gives the gradient of the whole batch", "[contrastive]") {
  check_chunks<Cpu<float>>(1e-6);
}

TEST_CASE("encoding in chunks needs the memory of a chunk", "[contrastive]") {
  using P = Cpu<float>;
  // Attention alone takes 86 KiB of scratch with AVX-512, and the similarities grow with the square of this.
  constexpr int pairs = 100;
  const auto batch = pairs_of<float>(1, pairs);
  PairCase<P> whole, chunked({.chunk = 4});
  whole.trainer.pass(batch, equal_shares(pairs));
  chunked.trainer.pass(batch, equal_shares(pairs));
  CHECK(chunked.ctx.arena().peak() < whole.ctx.arena().peak() / 2);
}

TEST_CASE("contrastive pretraining finds which text belongs to which picture", "[contrastive]") {
  using P = Cpu<float>;
  PairCase<P> c({.chunk = 4}, 60);
  const auto loss = [&] {
    double sum = 0;
    for (const double one : c.trainer.pass(pairs_of<float>(1000003, 9))) sum += one / 9;
    return sum;
  };
  const double before = loss();
  for (int step = 1; step <= 60; ++step) {
    const auto report = c.trainer.update({stream_of<float>("a", 1, 0)});
    CHECK(report.rate == Approx(0.02 * (60 - step) / 59));
  }
  // Of nine pairs about three show one class: log 3 is the least that can be reached without smoothing.
  CHECK(loss() < before - 0.5);
}

TEST_CASE("a resumed contrastive run continues bit for bit, and a foreign file is refused", "[contrastive]") {
  using P = Cpu<float>;
  const tests::TemporaryFolder folder;
  const auto path = folder.path() / "state.safetensors";
  const std::vector<PairStream<float>> mixture{stream_of<float>("a", 1, 7), stream_of<float>("b", 0.3, 900)};
  PairCase<P> straight({.chunk = 3}), resumed({.chunk = 3});
  for (int step = 0; step < 4; ++step) {
    straight.trainer.update(mixture);
    if (step == 1) save_checkpoint(path, straight.trainer);
  }
  CHECK(load_checkpoint(path, resumed.trainer) == 2);
  for (int step = 2; step < 4; ++step) resumed.trainer.update(mixture);
  CHECK(resumed.trainer.weights.flat == straight.trainer.weights.flat);
  CHECK(resumed.trainer.optimizer.second.flat == straight.trainer.optimizer.second.flat);

  save_state(path, straight.trainer.weights, straight.trainer.optimizer, {{"dual_encoder", "{}"}});
  CHECK_THROWS_WITH(load_checkpoint(path, resumed.trainer), Catch::Contains("its dual_encoder is {}, expected {"));
}

}  // namespace contrastive_test
