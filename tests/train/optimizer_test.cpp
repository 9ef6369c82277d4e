#include <flamingo/train/optimizer.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <limits>

#include <flamingo/kernels/cpu/adamw.hpp>

#include "check/agree.hpp"
#include "check/optim.hpp"
#include "support/platforms.hpp"

namespace optimizer_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

/// Two parameters that the paper treats differently, with a third between them.
struct Parts {
  template <class S>
  struct Parameters {
    Vector<S, 3> resampler, gate;
    Vector<S, 5> second;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(vector_spec("resampler.norm.scale", 3, Init::one()), p.resampler...);
    visit(vector_spec("gated.0.attention_gate", 3, Init::one()), p.gate...);
    visit(vector_spec("resampler.norm.bias", 5, Init::one()), p.second...);
  }
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("updates agree with torch's AdamW and clipping", "[optimizer][golden]", Platforms) {
  check_agreement(check_optim<Sizes{8, 6, 3}, TestType>(golden_path("optim_adamw.safetensors")));
  check_agreement(check_optim<Sizes{5, 4, 2}, TestType>(golden_path("optim_adamw_noclip.safetensors")));
}

TEST_CASE("the paper's groups: no decay on the resampler", "[optimizer]") {
  using P = Cpu<double>;
  Context<P> ctx(1, 1 << 20);
  Store<Parts, P> weights(1), gradients;
  Optimizer<Parts, P> optimizer;
  CHECK(optimizer.step(ctx, weights, gradients, 0.5) == 0);
  for (int i = 0; i < 3; ++i) {
    CHECK(weights.views.resampler.data[i] == 1);
    CHECK(weights.views.gate.data[i] == 1 - 0.5 * 0.1);
  }
  for (int i = 0; i < 5; ++i) CHECK(weights.views.second.data[i] == 1);
}

TEST_CASE("a group's rate is a factor of the schedule's", "[optimizer]") {
  using P = Cpu<double>;
  Context<P> ctx(1, 1 << 20);
  Store<Parts, P> weights(1), gradients;
  std::fill(gradients.flat.begin(), gradients.flat.end(), 1e-3);
  Optimizer<Parts, P> optimizer({.group = [](const Spec& spec) {
    return Group{std::string_view(spec.name).starts_with("gated") ? 0.25 : 0.0, 0};
  }});
  optimizer.step(ctx, weights, gradients, 0.5);
  // The first step of Adam is the rate itself, but for ε.
  CHECK(weights.views.gate.data[0] == Approx(1 - 0.5 * 0.25).epsilon(1e-4));
  CHECK((weights.views.resampler.data[0] == 1 && weights.views.second.data[4] == 1));
}

TEST_CASE("a gradient without a finite norm is refused and changes nothing", "[optimizer]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  Store<Parts, P> weights(1), gradients;
  Optimizer<Parts, P> optimizer;
  gradients.views.gate.data[1] = std::numeric_limits<float>::infinity();
  CHECK_THROWS_WITH(optimizer.step(ctx, weights, gradients, 0.5),
                    "[optimizer] the gradient's norm at step 1 is inf, expected a finite number: weights and moments "
                    "are as they were");
  CHECK(optimizer.steps() == 0);
  CHECK(weights.flat == Store<Parts, P>(1).flat);
}

TEST_CASE("a share of divided state does not pass for the whole", "[optimizer]") {
  using P = Cpu<float>;
  Context<P> ctx(1, 1 << 20);
  Store<Parts, P> weights(1), gradients;
  Optimizer<Parts, P> optimizer;
  const dist::Range share{16, 32};  // the gate and what fills its line
  optimizer.keep({&share, 1});
  CHECK_THROWS_WITH(optimizer.step(ctx, weights, gradients, 0.5), Catch::Contains("divided among processes"));
  optimizer.update(ctx, weights, gradients, 0.5, 0);
  const Store<Parts, P> before(1);
  CHECK(weights.views.gate.data[0] == Approx(1 - 0.5 * 0.1));  // decay alone
  std::copy_n(before.flat.begin() + 16, 3, weights.flat.begin() + 16);
  CHECK(weights.flat == before.flat);
}

}  // namespace optimizer_test
