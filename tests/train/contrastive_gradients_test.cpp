#include <flamingo/train/contrastive.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include <flamingo/cpu.hpp>

#include "train/contrastive_case.hpp"

namespace contrastive_gradients_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("encoding in chunks gives the gradient of the whole batch, in double", "[contrastive]") {
  check_chunks<Cpu<double>>(1e-14);
}

TEST_CASE("the gradient of contrastive pretraining is that of finite differences", "[contrastive]") {
  using P = Cpu<double>;
  PairCase<P> c({.chunk = 2});
  const auto batch = pairs_of<double>(1, 5);
  const std::vector<double> shares{0.1, 0.4, 0.2, 0.7, 0.3};
  c.trainer.pass(batch, shares);
  const auto gradients = c.trainer.gradients.flat;
  const auto loss = [&] {
    const auto losses = c.trainer.pass(batch);
    double sum = 0;
    for (std::size_t n = 0; n < 5; ++n) sum += shares[n] * losses[n];
    return sum;
  };
  check_weight_directions(c.trainer.weights, c.trainer.gradients, loss);
  CHECK(c.trainer.gradients.flat == gradients);  // a look at the loss leaves gradients alone
}

TEST_CASE("a mixture accumulates the weighted gradients of its datasets, merges their pairs, or takes turns",
          "[contrastive]") {
  using P = Cpu<double>;
  // Rates so small that nothing moves: each update's gradient is that of the same weights.
  const auto options = [](Mixing mixing) {
    return ContrastiveOptions{.mixing = mixing, .vision_clip = 0, .other_clip = 0};
  };
  const auto a = stream_of<double>("a", 0.7, 100, 5), b = stream_of<double>("b", 1.3, 200, 7);
  PairCase<P> parts;
  const auto gradient_of = [&](const PairBatch<double>& batch, std::span<const double> shares) {
    parts.trainer.gradients.clear();
    parts.trainer.pass(batch, shares);
    return parts.trainer.gradients.flat;
  };
  const std::vector<double> shares_a(5, 0.7 / 5), shares_b(7, 1.3 / 7);
  const auto ga = gradient_of(a.batch(1), shares_a), gb = gradient_of(b.batch(1), shares_b);
  const auto apart = [](const std::vector<double>& x, const std::vector<double>& y) {
    return distance(x.data(), y.data(), y.size()).relative;
  };

  PairCase<P> accumulated(options(Mixing::accumulation));
  const auto report = accumulated.trainer.update({a, b});
  auto sum = ga;
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += gb[i];
  CHECK(apart(accumulated.trainer.gradients.flat, sum) < 1e-14);
  REQUIRE(report.datasets.size() == 2);
  CHECK((report.datasets[0].pairs == 5 && report.datasets[1].pairs == 7));
  double squares = 0;
  for (const double g : sum) squares += g * g;
  CHECK(report.gradient_norm == Approx(std::sqrt(squares)));

  PairCase<P> merged(options(Mixing::merged));
  const auto merged_report = merged.trainer.update({a, b});
  auto all = a.batch(1);
  const auto more = b.batch(1);
  for (Grid grid : more.pictures) {
    grid.first += 5 * 36;
    all.pictures.push_back(grid);
  }
  all.pixels.insert(all.pixels.end(), more.pixels.begin(), more.pixels.end());
  all.texts.insert(all.texts.end(), more.texts.begin(), more.texts.end());
  auto shares = shares_a;
  shares.insert(shares.end(), shares_b.begin(), shares_b.end());
  CHECK(apart(merged.trainer.gradients.flat, gradient_of(all, shares)) < 1e-14);
  CHECK(merged_report.datasets[0].loss > report.datasets[0].loss);  // there are more negatives

  PairCase<P> turns(options(Mixing::round_robin));
  CHECK(turns.trainer.update({a, b}).datasets[0].pairs == 5);
  CHECK(apart(turns.trainer.gradients.flat, ga) < 1e-14);
  const auto second = turns.trainer.update({a, b});
  CHECK(second.datasets[0].pairs == 7);
  parts.trainer.weights.flat = turns.trainer.weights.flat;  // for the third update
  turns.trainer.update({a, b});
  CHECK(apart(turns.trainer.gradients.flat, gradient_of(a.batch(2), shares_a)) < 1e-14);
}

TEST_CASE("the vision encoder's gradient is clipped by its weights, the others' by their norm", "[contrastive]") {
  using P = Cpu<double>;
  using Net = SmallPairNet<P>;
  const auto a = stream_of<double>("a", 1, 100);
  PairCase<P> free({.vision_clip = 0, .other_clip = 0}), clipped({.vision_clip = 1e-3, .other_clip = 1e-2});
  const double norm = free.trainer.update({a}).other_norm;
  REQUIRE(norm > 1e-2);
  CHECK(clipped.trainer.update({a}).other_norm == Approx(norm));
  auto expected = std::move(free.trainer.gradients);
  const auto before = drawn<Net, P>(5);
  const auto outside = [](const Spec& spec) { return !std::string_view(spec.name).starts_with("vision."); };
  CHECK(clip_adaptively(before, expected, {.share = 1e-3, .excludes = outside}) > 0);
  auto compare = [&](const Spec& spec, const auto& g, const auto& e) {
    INFO(std::string(std::string_view(spec.name)));
    const bool inside = std::string_view(spec.name).starts_with("vision.");
    if (!inside)
      for (std::size_t i = 0; i < spec.size(); ++i) e.data[i] *= 1e-2 / norm;
    CHECK(distance(g.data, e.data, spec.size()).relative < 1e-12);
  };
  Net::each(compare, clipped.trainer.gradients.views, expected.views);
}

TEST_CASE("a contrastive step that is not finite is refused, and nothing has changed", "[contrastive]") {
  using P = Cpu<double>;
  PairCase<P> c;
  c.trainer.update({stream_of<double>("a", 1, 7)});
  const auto weights = c.trainer.weights.flat, first = c.trainer.optimizer.first.flat;
  const auto unchanged = [&] {
    return c.trainer.weights.flat == weights && c.trainer.optimizer.first.flat == first &&
           c.trainer.optimizer.steps() == 1 && c.ctx.arena().kept() == 0 && c.ctx.arena().scratched() == 0;
  };
  const PairStream<double> broken{"b", 1, [](long) {
                                    auto batch = pairs_of<double>(1);
                                    batch.pixels[4] = std::numeric_limits<double>::quiet_NaN();
                                    return batch;
                                  }};
  CHECK_THROWS_WITH(c.trainer.update({stream_of<double>("a", 1, 7), broken}),
                    "[contrastive] the loss of dataset b at step 2 is not finite");
  CHECK(unchanged());
  CHECK_THROWS_WITH(c.trainer.update({stream_of<double>("a", std::numeric_limits<double>::infinity(), 7)}),
                    Catch::Contains("[optimizer] the gradient's norm at step 2 is "));
  CHECK(unchanged());
  CHECK_THROWS_WITH(c.trainer.update({}), "[contrastive] there is no dataset, expected at least one");
  auto uneven = pairs_of<double>(1, 5);
  uneven.texts.pop_back();
  CHECK_THROWS_WITH(c.trainer.pass(uneven),
                    "[contrastive] a batch has 5 pictures and 4 texts, expected as many, and some");
  CHECK(unchanged());
}

}  // namespace contrastive_gradients_test
