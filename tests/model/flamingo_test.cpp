#include <flamingo/model/flamingo.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "model/flamingo_case.hpp"
#include "support/platforms.hpp"

namespace flamingo_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr FlamingoConfig<NoVision, Llama> config{
    .vision = {},
    .resampler = {.vision_dim = 3,
                  .norm_input = true,
                  .dim = 5,
                  .latents = 2,
                  .layers = 2,
                  .heads = 2,
                  .head_dim = 3,
                  .widening = 2,
                  .frames = 2},
    .xattn = {.every = 2, .offset = 1, .heads = 2, .head_dim = 3, .widening = 2},
    .lm = {.dim = 7,
           .layers = 5,
           .heads = 4,
           .kv_heads = 2,
           .head_dim = 6,
           .hidden = 13,
           .vocabulary = 11,
           .added = 2,
           .context = 64}};

template <Platform P>
using Case = FlamingoCase<config, P>;

template <class R>
bool same_rows(const Tensor<R>& a, const Tensor<R>& b, int first, int count) {
  return rows_of(a, first, count) == rows_of(b, first, count);
}

}  // namespace

TEST_CASE("gated blocks stand before the decoder blocks that every and offset name", "[flamingo]") {
  using Model = Case<Cpu<float>>::Model;
  STATIC_REQUIRE(Model::gated_blocks == 2);
  for (std::size_t i = 0; i < 5; ++i) CHECK(Model::gated_before(i) == (i == 1 ? 0 : i == 3 ? 1 : Model::none));
  CHECK(config.first_gated() == 1);
}

TEMPLATE_LIST_TEST_CASE("at initialisation the model is the bare language model, bit for bit", "[flamingo]",
                        Platforms) {
  using R = typename TestType::Real;
  const R size = GENERATE(R(0), R(1), R(1e4));
  Case<TestType> c;
  initialise<typename Case<TestType>::Connect>(c.connector.views, 37);
  for (R& x : c.features) x *= size;
  c.run();
  CHECK(c.hidden == c.bare_hidden());
  const Tensor<R> logits = c.logits();
  c.hidden = c.bare_hidden();
  CHECK(logits == c.logits());
}

TEMPLATE_LIST_TEST_CASE("an image changes no logit before its tag, bit for bit", "[flamingo]", Platforms) {
  using R = typename TestType::Real;
  Case<TestType> c;
  c.run();
  const Tensor<R> before = c.logits();
  struct Change {
    int medium, first_row, tag, last_row;
  };
  for (const auto& [medium, first, tag, last] : {Change{0, 0, 2, 7}, Change{1, 0, 5, 7}, Change{2, 7, 7, 12}}) {
    INFO("medium " << medium);
    Case<TestType> changed;
    const Medium& m = c.media[static_cast<std::size_t>(medium)];
    for (int row = m.first; row < m.first + m.rows; ++row) changed.features(row, 0) += R(1);
    changed.run();
    const Tensor<R> after = changed.logits();
    CHECK(same_rows(after, before, 0, tag));
    CHECK(same_rows(after, before, last, 15 - last));
    for (int row = tag; row < last; ++row) CHECK_FALSE(same_rows(after, before, row, 1));
  }
}

TEMPLATE_LIST_TEST_CASE("rows without a medium to see get exactly zero from cross-attention", "[flamingo]", Platforms) {
  using R = typename TestType::Real;
  using M = typename Case<TestType>::Model;
  Case<TestType> c;
  int blocks = 0;
  c.template run<Case<TestType>::frozen_lm>(false, [&](const auto& saved, const DecoderPlan&) {
    for (const auto& gated : saved.gated) {
      ++blocks;
      for (int row = 0; row < 15; ++row) {
        const R* x = gated.attended.row(row);
        const bool blind = row < 2 || row >= 10;  // leading text; a tag too many; a text without media
        CHECK(std::all_of(x, x + M::D, [](R v) { return v == R(0); }) == blind);
      }
    }
  });
  CHECK(blocks == 2);
}

TEMPLATE_LIST_TEST_CASE("a batch is its members alone, bit for bit", "[flamingo]", Platforms) {
  using R = typename TestType::Real;
  Case<TestType> batch;
  batch.run();
  const Tensor<R> logits = batch.logits();
  for (std::size_t s = 0; s < 3; ++s) {
    INFO("document " << s);
    Case<TestType> one = batch.alone(s);
    one.run();
    const int count = static_cast<int>(batch.sequences[s].ids.size());
    CHECK(one.hidden == rows_of(batch.hidden, batch.first_row(s), count));
    CHECK(one.logits() == rows_of(logits, batch.first_row(s), count));
  }
}

TEMPLATE_LIST_TEST_CASE("a text without media trains the feed-forwards alone", "[flamingo]", Platforms) {
  Case<TestType> all;
  Case<TestType> c = all.alone(2);
  c.run(true);
  auto check = [](const Spec& spec, const auto& g) {
    const std::string_view name = spec.name;
    const bool dense = name.find("dense") != name.npos && !name.starts_with("resampler");
    INFO(std::string(name));
    CHECK(std::any_of(g.data, g.data + spec.size(), [](auto x) { return x != 0; }) == dense);
  };
  Case<TestType>::Connect::each(check, c.connector_gradients.views);
}

TEMPLATE_LIST_TEST_CASE("a frozen and a trained decoder give the connector the same gradients", "[flamingo]",
                        Platforms) {
  using C = Case<TestType>;
  C frozen_case, trained_case;
  const double loss = frozen_case.template run<C::frozen_lm>(true);
  CHECK(trained_case.template run<C::trained_lm>(true) == loss);
  CHECK(trained_case.connector_gradients.flat == frozen_case.connector_gradients.flat);
  CHECK(trained_case.dfeatures == frozen_case.dfeatures);
  CHECK(all_zero(frozen_case.lm_gradients.flat));
  CHECK_FALSE(all_zero(trained_case.lm_gradients.flat));
  CHECK(frozen_case.ctx.arena().peak() < trained_case.ctx.arena().peak());
}

TEMPLATE_LIST_TEST_CASE("likelihoods of all continuations sum to 1, and the loss is their negative logarithm",
                        "[flamingo]", Platforms) {
  using C = Case<TestType>;
  C c;
  c.sequences.clear();
  for (int a = 0; a < C::V; ++a)
    for (int b = 0; b < C::V; ++b)  // all of them read the same two media
      c.sequences.push_back(
          {.ids = {12, 4, a}, .phi = {1, 2, 2}, .targets = {-1, a, b}, .first_medium = 0, .media = 2});
  c.run();
  const auto logits = c.logits();
  const auto log_likelihood = [&](int row, int id) {
    double sum = 0;
    for (int v = 0; v < C::V; ++v) sum += std::exp(static_cast<double>(logits(row, v)));
    return static_cast<double>(logits(row, id)) - std::log(sum);
  };
  double total = 0;
  for (std::size_t i = 0; i < c.sequences.size(); ++i) {
    const double nll = static_cast<double>(c.nll[2 * i]) + static_cast<double>(c.nll[2 * i + 1]);
    total += std::exp(-nll);
    const int row = 3 * static_cast<int>(i);
    const auto& targets = c.sequences[i].targets;
    CHECK(std::abs(nll + log_likelihood(row + 1, targets[1]) + log_likelihood(row + 2, targets[2])) < 1e-5);
  }
  CHECK(std::abs(total - 1) < 1e-6);
}

}  // namespace flamingo_test
