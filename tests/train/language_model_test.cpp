#include <flamingo/train/language_model.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <flamingo/dist/host_group.hpp>

#include "dist/threads.hpp"
#include "support/compare.hpp"
#include "support/layer.hpp"
#include "support/platforms.hpp"
#include "train/language_model_case.hpp"

namespace language_model_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("windows of a text ask each token for the next, and are functions of the step", "[language_model]") {
  const std::vector<int> text{5, 3, 1, 4, 2, 6, 0};
  const TextWindows windows{text, 3};
  CHECK(windows.count() == 2);
  const Sequence second = windows.at(3);
  CHECK(second.ids == std::vector<int>{4, 2, 6});
  CHECK(second.targets == std::vector<int>{2, 6, 0});
  CHECK(second.phi == std::vector<int>{0, 0, 0});
  std::vector<std::vector<int>> begins;
  for (long step = 0; step < 40; ++step) {
    const auto batch = windows.drawn(1, step, 3);
    const auto again = windows.drawn(1, step, 3);
    REQUIRE(batch.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) CHECK(batch[i].ids == again[i].ids);
    begins.push_back({batch[0].ids[0], batch[1].ids[0], batch[2].ids[0]});
  }
  std::vector<int> seen(7, 0);
  for (const auto& ids : begins)
    for (const int id : ids) ++seen[static_cast<std::size_t>(id)];
  CHECK(seen == std::vector<int>{0, seen[1], 0, seen[3], seen[4], seen[5], 0});  // places 0 to 3, the last of them too
  for (const int id : {1, 3, 4, 5}) CHECK(seen[static_cast<std::size_t>(id)] > 10);
  CHECK_THROWS_WITH((TextWindows{text, 7}.drawn(1, 1, 1)),
                    "[text] it has 7 tokens, expected more than one window of 7");
  CHECK_THROWS_WITH((TextWindows{text, 0}.drawn(1, 1, 1)),
                    "[text] it has 7 tokens, expected more than one window of 0");
  CHECK_THROWS_WITH((TextWindows{text, 0}.count()), "[text] a window of 0 tokens, expected at least 1");
}

TEST_CASE("a language model learns a text", "[language_model]") {
  using Case = LanguageModelCase<Cpu<float>>;
  Case c;
  const auto held_out = c.first(5);
  c.text.erase(c.text.begin(), c.text.begin() + 61);
  const TextLoss before = c.trainer.loss(held_out, 2);
  CHECK(before.tokens == 60);
  CHECK(before.loss == Approx(std::log(8)).margin(0.02));  // of new weights
  Case::Trains::Update last;
  for (int step = 1; step <= 150; ++step) last = c.trainer.update(c.batch(step));
  CHECK((last.tokens == 72 && last.rate == 0.02));
  const TextLoss after = c.trainer.loss(held_out, 5);
  CHECK(after.loss < 0.6 * before.loss);  // what is drawn is some 0.5 nats a token
  CHECK((c.ctx.arena().kept() == 0 && c.ctx.arena().scratched() == 0));
}

TEST_CASE("processes with texts of their own train one language model", "[language_model]") {
  using P = Cpu<float>;
  using Case = LanguageModelCase<P>;
  constexpr int processes = 3;
  Case alone;
  std::vector<Case::Trains::Update> expected;
  for (int step = 1; step <= 5; ++step) expected.push_back(alone.trainer.update(alone.batch(step), 2));
  const TextLoss held_out = alone.trainer.loss(alone.first(5), 2);
  for (const bool divided : {true, false})
    on_threads(processes, [&](dist::Transport& transport) {
      Case c;
      dist::HostGroup<P> group(transport);
      c.trainer.join(group, {.divided_state = divided});
      const auto share = [&](std::vector<Sequence> all) {  // none for the first process
        const std::size_t each = all.size() / (processes - 1), rank = static_cast<std::size_t>(transport.rank());
        if (rank == 0) return std::vector<Sequence>{};
        const auto from = all.begin() + static_cast<std::ptrdiff_t>((rank - 1) * each);
        return std::vector<Sequence>(from,
                                     rank + 1 == processes ? all.end() : from + static_cast<std::ptrdiff_t>(each));
      };
      for (int step = 1; step <= 5; ++step) {
        const auto given = c.trainer.update(share(c.batch(step)), 2);
        const auto& wanted = expected[static_cast<std::size_t>(step - 1)];
        check(given.tokens == wanted.tokens && std::abs(given.loss / wanted.loss - 1) < 1e-5 &&
                  std::abs(given.gradient_norm / wanted.gradient_norm - 1) < 1e-4,
              "together", "step ", step, ": loss ", given.loss, " and norm ", given.gradient_norm, ", expected ",
              wanted.loss, " and ", wanted.gradient_norm);
      }
      const TextLoss given = c.trainer.loss(share(c.first(5)), 2);
      check(given.tokens == held_out.tokens && std::abs(given.loss / held_out.loss - 1) < 1e-5, "together",
            "held out: ", given.loss, ", expected ", held_out.loss);
    });
}

TEST_CASE("a language model's gradient is that of differences, in one piece and in several", "[language_model]") {
  using P = Cpu<double>;
  using Case = LanguageModelCase<P>;
  using Decoder = Case::Decoder;
  Case c;
  c.trainer.weights = drawn<Decoder, P>(59);
  auto batch = c.batch(1);
  batch[2].targets.assign(batch[2].targets.size(), -1);  // not every sequence asks for as many
  batch[4].targets[3] = -1;
  const double whole =
      TextPass<Decoder, P>::run(c.ctx, c.trainer.weights.views, batch, 1, c.trainer.gradients.views).loss;
  check_weight_directions(c.trainer.weights, c.trainer.gradients, [&] { return c.trainer.loss(batch, 6).loss; });

  const std::vector<double> expected = c.trainer.gradients.flat;
  const auto report = c.trainer.update(batch, 4);
  CHECK(report.loss == Approx(whole).epsilon(1e-13));
  CHECK(report.tokens == 59);
  CHECK(distance(c.trainer.gradients.flat.data(), expected.data(), expected.size()).relative <
        chain_bound<double>(200));
}

TEST_CASE("under Adapters only the added row of a tied table is trained, with the gradient of its whole model",
          "[language_model]") {
  using P = Cpu<double>;
  using Case = LanguageModelCase<P>;
  using Decoder = Case::Decoder;
  using Views = Decoder::Parameters<Adapters<P>>;
  static_assert(std::is_same_v<decltype(Views::embedding), NoGrad>);
  static_assert(std::is_same_v<decltype(Views::blocks[0].attention.distance), NoGrad>);
  static_assert(std::is_same_v<decltype(Views::blocks[0].attention.u), NoGrad>);
  static_assert(std::is_same_v<decltype(Views::output), Nothing>);
  Case c;
  c.trainer.weights = drawn<Decoder, P>(59);
  const auto batch = c.batch(1);
  const auto whole = TextPass<Decoder, P>::run(c.ctx, c.trainer.weights.views, batch, 1, c.trainer.gradients.views);
  Tensor<double> added(1, tiny_chinchilla.dim);
  Views views{};
  views.added.data = added.data();
  const auto alone = TextPass<Decoder, P>::run(c.ctx, c.trainer.weights.views, batch, 1, views);
  CHECK(alone.loss == whole.loss);
  CHECK(added.intact());
  CHECK_FALSE(all_zero(added));
  CHECK(std::equal(added.begin(), added.end(), c.trainer.gradients.views.added.data));
}

TEST_CASE("a step of a language model that is not finite is refused, and nothing has changed", "[language_model]") {
  using Case = LanguageModelCase<Cpu<float>>;
  Case c;
  c.trainer.update(c.batch(1));
  c.trainer.weights.views.norm.scale.data[0] = std::numeric_limits<float>::infinity();
  const auto first = c.trainer.optimizer.first.flat;
  CHECK_THROWS_WITH(c.trainer.update(c.batch(2)), "[trainer] the loss at step 2 is not finite");
  CHECK(c.trainer.optimizer.first.flat == first);
  CHECK(c.trainer.optimizer.steps() == 1);
}

TEST_CASE("a batch that asks for nothing moves no weight", "[language_model]") {
  using Case = LanguageModelCase<Cpu<float>>;
  Case c;
  const auto weights = c.trainer.weights.flat;
  auto batch = c.batch(1);
  CHECK_THROWS_WITH(c.trainer.update({}),
                    "[trainer] a batch of 0 sequences with 0 targets in 1 pieces, expected at least one of each");
  CHECK_THROWS_WITH(c.trainer.update(batch, 0), Catch::Contains(" targets in 0 pieces, expected at least one of each"));
  CHECK_THROWS_WITH(c.trainer.loss(batch, 0), "[trainer] got 0 sequences at a time, expected at least 1");
  for (Sequence& s : batch) s.targets.assign(s.targets.size(), -1);
  CHECK_THROWS_WITH(c.trainer.update(batch), Catch::Contains(" with 0 targets in 1 pieces"));
  CHECK(c.trainer.weights.flat == weights);
  CHECK(c.trainer.optimizer.steps() == 0);
}

}  // namespace language_model_test
