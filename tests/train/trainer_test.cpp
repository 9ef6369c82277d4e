#include <flamingo/train/trainer.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <flamingo/dist/host_group.hpp>

#include "support/platforms.hpp"
#include "train/trainer_case.hpp"

namespace trainer_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("training lowers the loss, by what the pictures show", "[trainer]", Platforms) {
  using Case = TrainerCase<TestType>;
  Case c;
  const auto held_out = Case::batch(1000003, 31), wrong = Case::batch(1000003, 31, 1);
  const double before = c.trainer.pass(held_out, 0).loss;
  CHECK(c.trainer.pass(wrong, 0).loss == before);  // closed gates
  UpdateReport last;
  for (int step = 1; step <= 200; ++step) {
    last = c.trainer.update({Case::dataset("shapes", 1, 0)});
    CHECK(last.rate == Approx(0.02 * std::min(1.0, step / 5.0)));
  }
  CHECK(c.trainer.optimizer.steps() == 200);
  REQUIRE(last.datasets.size() == 1);
  CHECK((last.datasets[0].tokens == 5 && last.datasets[0].rows == 15));
  const double after = c.trainer.pass(held_out, 0).loss;
  CHECK(after < before / 4);  // learnt whole: at 150 updates it is not yet, by either kind of products
  CHECK(c.trainer.pass(wrong, 0).loss > before);
  CHECK((c.ctx.arena().kept() == 0 && c.ctx.arena().scratched() == 0));
}

TEST_CASE("moments of few bits learn what full ones do", "[trainer]") {
  using Case = TrainerCase<Cpu<float>>;
  const auto held_out = Case::batch(1000003, 31);
  const auto losses = [&](MomentFormat format) {
    Case c({.peak = 0.02, .warmup = 5}, {.moments = format});
    const double before = c.trainer.pass(held_out, 0).loss;
    for (int step = 1; step <= 500; ++step) c.trainer.update({Case::dataset("shapes", 1, 0)});
    return std::array{before, c.trainer.pass(held_out, 0).loss};
  };
  const auto full = losses(MomentFormat::full);
  REQUIRE(full[1] < full[0] / 4);
  for (const MomentFormat format : {MomentFormat::bf16, MomentFormat::block8}) {
    INFO(name_of(format));
    CHECK(std::abs(losses(format)[1] - full[1]) < 0.02 * full[0]);
  }
}

TEST_CASE("a model without a Resampler trains too", "[trainer]") {
  using Case = TrainerCase<Cpu<float>, bare_trained_config>;
  Case c({.peak = 0.02, .warmup = 5});
  const double before = c.trainer.pass(Case::batch(1000, 40), 0).loss;
  for (int step = 0; step < 60; ++step) c.trainer.update({Case::dataset("pictures", 1, 7)});
  const double after = c.trainer.pass(Case::batch(1000, 40), 0).loss;
  CHECK(after < before / 2);
  CHECK(c.trainer.pass(Case::batch(1000, 40, 1), 0).loss > 2 * after);  // told by the pictures
}

TEMPLATE_LIST_TEST_CASE("a mixture's gradient is the weighted sum of its datasets'", "[trainer]", Platforms) {
  using R = typename TestType::Real;
  using Case = TrainerCase<TestType>;
  using Connect = typename Case::Trains::Connect;
  Case mixed, parts;
  mixed.trainer.weights = drawn<Connect, TestType>(53);
  parts.trainer.weights = drawn<Connect, TestType>(53);
  const auto a = Case::dataset("a", 0.7, 100), b = Case::dataset("b", 1.3, 200);
  const UpdateReport report = mixed.trainer.update({a, b});

  auto& gradients = parts.trainer.gradients;
  std::vector<double> expected(gradients.flat.size()), magnitude = expected;
  for (const auto& dataset : {a, b}) {
    gradients.clear();
    const LossReport alone = parts.trainer.pass(dataset.batch(1), 1);
    CHECK(alone.loss == report.datasets[dataset.name == "a" ? 0 : 1].loss);
    for (std::size_t i = 0; i < expected.size(); ++i)
      expected[i] += dataset.weight * static_cast<double>(gradients.flat[i]);
  }
  // The weight enters at the loss and passes some 100 roundings to the deepest gradient.
  const auto& got = mixed.trainer.gradients.flat;
  CHECK(distance(got.data(), expected.data(), got.size()).relative < chain_bound<R>(200));
  double squares = 0;
  for (const R g : got) squares += static_cast<double>(g) * static_cast<double>(g);
  CHECK(std::abs(report.gradient_norm / std::sqrt(squares) - 1) < chain_bound<R>(1024));

  const std::vector<R> kept = gradients.flat;
  parts.trainer.pass(a.batch(1), 0);  // a look at a loss leaves gradients alone
  CHECK(gradients.flat == kept);
}

TEMPLATE_LIST_TEST_CASE("an update is the same whoever runs it, with any number of threads", "[trainer]", Platforms) {
  using Case = TrainerCase<TestType>;
  Case one;
  Context<TestType> three_threads(3, std::size_t{1} << 26);
  typename Case::Trains three(three_threads, one.lm.views, 43, {.peak = 0.02, .warmup = 5});
  for (int step = 0; step < 3; ++step) {
    one.trainer.update({Case::dataset("a", 1, 7)});
    three.update({Case::dataset("a", 1, 7)});
  }
  CHECK(three.weights.flat == one.trainer.weights.flat);
}

TEMPLATE_LIST_TEST_CASE("a batch in parts has the gradient of the batch, and the same bits every time", "[trainer]",
                        Platforms) {
  using R = typename TestType::Real;
  using Case = TrainerCase<TestType>;
  Case whole;
  const auto batch = Case::batch(3, 7);
  whole.trainer.weights = drawn<typename Case::Trains::Connect, TestType>(53);
  const LossReport expected = whole.trainer.pass(batch, 0.7);
  const auto in_parts = [&](int at_once) {
    Context<TestType> ctx(2, std::size_t{1} << 26);
    typename Case::Trains parts(ctx, whole.lm.views, 43, {}, {}, {.sequences_at_once = at_once});
    parts.weights = drawn<typename Case::Trains::Connect, TestType>(53);
    const LossReport got = parts.pass(batch, 0.7);
    CHECK((got.tokens == expected.tokens && got.rows == expected.rows));
    CHECK(got.loss == Approx(expected.loss).epsilon(chain_bound<R>(8)));
    CHECK(ctx.arena().peak() < whole.ctx.arena().peak());
    return parts.gradients.flat;
  };
  const auto& gradient = whole.trainer.gradients.flat;
  for (const int at_once : {1, 2, 3, 6}) {
    INFO(at_once << " of 7 at once");
    const auto got = in_parts(at_once);
    CHECK(distance(got.data(), gradient.data(), got.size()).relative < chain_bound<R>(200));
    CHECK(in_parts(at_once) == got);
  }
}

TEST_CASE("tokens count alike over all datasets where that is asked for", "[trainer]") {
  using Case = TrainerCase<Cpu<double>>;
  Case merged;
  Context<Cpu<double>> ctx(1, std::size_t{1} << 26);
  Case::Trains alike(ctx, merged.lm.views, 43, {}, {}, {.mean = TokenMean::of_datasets});
  merged.trainer.weights = drawn<Case::Trains::Connect, Cpu<double>>(53);
  alike.weights = drawn<Case::Trains::Connect, Cpu<double>>(53);
  const DatasetStream<double> few{"few", 1, [](long) { return Case::batch(1, 2); }},
      many{"many", 1, [](long) { return Case::batch(2, 9); }};
  merged.trainer.update({few, many}, Mixing::merged);
  alike.update({few, many});
  const auto &got = alike.gradients.flat, &expected = merged.trainer.gradients.flat;
  CHECK(distance(got.data(), expected.data(), got.size()).relative < chain_bound<double>(200));
}

TEST_CASE("the z-loss has the gradient of what is reported", "[trainer]") {
  using Case = TrainerCase<Cpu<double>>;
  const Case c;
  Context<Cpu<double>> ctx(1, std::size_t{1} << 26);
  Case::Trains trainer(ctx, c.lm.views, 43, {}, {}, {.z_loss = 0.5});
  trainer.weights = drawn<Case::Trains::Connect, Cpu<double>>(53);
  const auto batch = Case::batch(3);
  CHECK(trainer.pass(batch, 1).z > 0.1);
  check_weight_directions(
      trainer.weights, trainer.gradients,
      [&] {
        const LossReport report = trainer.pass(batch, 0);
        return report.loss + 0.5 * report.z;
      },
      3);
}

TEMPLATE_LIST_TEST_CASE("blocks that are computed again give the same bits", "[trainer]", Platforms) {
  using Case = TrainerCase<TestType>;
  Case kept;
  Context<TestType> ctx(2, std::size_t{1} << 26);
  typename Case::Trains again(ctx, kept.lm.views, 43, {.peak = 0.02, .warmup = 5}, {}, {.recompute = true});
  kept.trainer.weights = drawn<typename Case::Trains::Connect, TestType>(53);
  again.weights = drawn<typename Case::Trains::Connect, TestType>(53);
  for (int step = 0; step < 3; ++step) {
    const auto one = kept.trainer.update({Case::dataset("a", 1, 7), Case::dataset("b", 0.3, 90)});
    const auto two = again.update({Case::dataset("a", 1, 7), Case::dataset("b", 0.3, 90)});
    CHECK(one.datasets[1].loss == two.datasets[1].loss);
    CHECK(again.gradients.flat == kept.trainer.gradients.flat);
  }
  CHECK(again.weights.flat == kept.trainer.weights.flat);
  CHECK(ctx.arena().peak() < kept.ctx.arena().peak());
}

TEST_CASE("a batch that asks for nothing has no loss and no gradient", "[trainer]") {
  using Case = TrainerCase<Cpu<double>>;
  Case c;
  auto batch = Case::batch(3);
  for (Sequence& s : batch.sequences) s.targets.clear();
  const LossReport report = c.trainer.pass(batch, 1);
  CHECK((report.loss == 0 && report.tokens == 0 && report.rows == 15));
  CHECK(all_zero(c.trainer.gradients.flat));
}

TEST_CASE("a step that is not finite is refused, and nothing has changed", "[trainer]") {
  using Case = TrainerCase<Cpu<double>>;
  using Connect = Case::Trains::Connect;
  Case c;
  c.trainer.weights = drawn<Connect, Cpu<double>>(53);
  c.trainer.update({Case::dataset("cats", 1, 7)});
  const std::vector<double> weights = c.trainer.weights.flat, first = c.trainer.optimizer.first.flat;
  const auto unchanged = [&] {
    return c.trainer.weights.flat == weights && c.trainer.optimizer.first.flat == first &&
           c.trainer.optimizer.steps() == 1 && c.ctx.arena().kept() == 0 && c.ctx.arena().scratched() == 0;
  };
  std::string refused;
  c.trainer.refused = [&](const TrainingBatch<double>& batch, const std::string& dataset, long step) {
    refused += dataset + ' ' + std::to_string(step) + ' ' + std::to_string(batch.sequences.size()) + ';';
  };
  const DatasetStream<double> broken{"dogs", 1, [](long step) {
                                       auto batch = Case::batch(static_cast<std::uint64_t>(step));
                                       batch.features[4] = std::numeric_limits<double>::quiet_NaN();
                                       return batch;
                                     }};
  CHECK_THROWS_WITH(c.trainer.update({Case::dataset("cats", 1, 7), broken}),
                    "[trainer] the loss of dataset dogs at step 2 is not finite");
  CHECK(unchanged());
  CHECK(refused == "dogs 2 5;");
  const auto endless = Case::dataset("cats", std::numeric_limits<double>::infinity(), 7);
  CHECK_THROWS_WITH(c.trainer.update({endless}), Catch::Contains("[optimizer] the gradient's norm at step 2 is ") &&
                                                     Catch::Contains("expected a finite number"));
  CHECK(unchanged());
  CHECK(refused == "dogs 2 5;cats 2 5;");
  const DatasetStream<double> foreign{"birds", 1, [](long) {
                                        auto batch = Case::batch(1);
                                        batch.sequences[0].targets[1] = 11;
                                        return batch;
                                      }};
  CHECK_THROWS_WITH(c.trainer.update({foreign}), Catch::Contains("the vocabulary has 11 entries"));
  CHECK(unchanged());
}

TEST_CASE("no batch is refused for what went wrong between processes", "[trainer]") {
  using Case = TrainerCase<Cpu<float>>;
  /// Another process that has what this one sends, until it is gone.
  struct Leaving final : dist::Transport {
    int rank() const override { return 0; }
    int size() const override { return 2; }
    void exchange(std::span<const std::span<const std::byte>> send,
                  std::span<const std::span<std::byte>> receive) override {
      if (left-- <= 0) fail("broken", "the other one is gone");
      for (std::size_t r = 0; r < receive.size(); ++r)
        std::copy_n(send[r].begin(), std::min(send[r].size(), receive[r].size()), receive[r].begin());
    }
    std::atomic<int> left = 0;
  } transport;
  int refused = 0, failed = 0;
  for (int stays = 0;; ++stays) {
    Case c;
    dist::HostGroup<Cpu<float>> group(transport);
    c.trainer.join(group);
    c.trainer.refused = [&](const auto&, const std::string&, long) { ++refused; };
    transport.left = stays;
    try {
      c.trainer.update({Case::dataset("cats", 1, 7)});
      break;
    } catch (const Error& error) {
      CHECK(error.what() == std::string("[broken] the other one is gone"));
      ++failed;
    }
  }
  CHECK(failed > 4);  // sums of tokens, of gradients, of losses and of the norm, and weights handed round
  CHECK(refused == 0);
}

}  // namespace trainer_test
