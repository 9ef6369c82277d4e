#include <flamingo/train/optimizer.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <limits>

#include <flamingo/kernels/cpu/adamw.hpp>

#include "support/compare.hpp"
#include "support/golden.hpp"
#include "support/platforms.hpp"

using namespace flamingo;
using namespace flamingo::test;

namespace {

/// The parameters of the goldens' little network.
template <int I, int H, int O>
struct Network {
  template <class S>
  struct Parameters {
    Matrix<S, H, I> w1;
    Vector<S, H> b1;
    Matrix<S, O, H> w2;
    Vector<S, O> b2;
    Vector<S, 1> gate;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(matrix_spec("w1", H, I, Init::zero()), p.w1...);
    visit(vector_spec("b1", H, Init::zero()), p.b1...);
    visit(matrix_spec("w2", O, H, Init::zero()), p.w2...);
    visit(vector_spec("b2", O, Init::zero()), p.b2...);
    visit(vector_spec("gate", 1, Init::zero()), p.gate...);
  }
};

template <class Layer, Platform P>
void read(const io::Safetensors& file, const std::string& prefix, Store<Layer, P>& store) {
  load_numbers<Layer>(file, store.views, [&](std::string_view name) { return prefix + std::string(name); });
}

template <class Layer, Platform P>
void check_golden(const std::string& name) {
  const io::Safetensors file(golden_path(name));
  const io::Json config = metadata(file, "config");
  const auto number = [&](std::string_view key) { return config.at(key).as_double(); };
  const double decay = number("wd");
  Optimizer<Layer, P> optimizer({.beta1 = config.at("betas").as_array()[0].as_double(),
                                 .beta2 = config.at("betas").as_array()[1].as_double(),
                                 .epsilon = number("eps"),
                                 .clip = number("clip"),
                                 .group = [decay](const Spec& spec) {
                                   return Group{1, std::string_view(spec.name).starts_with("w") ? decay : 0};
                                 }});
  Context<P> ctx(1, 1 << 20);
  Store<Layer, P> weights, gradients, expected;
  read(file, "param.", weights);
  for (int i = 0; i < static_cast<int>(number("steps")); ++i) {
    const std::string step = "step." + std::to_string(i) + ".";
    INFO(name << ' ' << step);
    const auto agrees = [&](const Store<Layer, P>& ours, const std::string& what) {
      read(file, step + what + ".", expected);
      INFO(what);
      CHECK(distance(ours.flat.data(), expected.flat.data(), ours.flat.size()).relative <= 1e-5);
    };
    read(file, step + "grad.", gradients);
    const double norm = optimizer.step(ctx, weights, gradients, numbers<double>(file.at(step + "lr"))[0]);
    CHECK(norm == Approx(numbers<double>(file.at(step + "grad_norm"))[0]).epsilon(1e-5));
    agrees(weights, "param");
    agrees(optimizer.first, "exp_avg");
    agrees(optimizer.second, "exp_avg_sq");
  }
}

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
  check_golden<Network<8, 6, 3>, TestType>("optim_adamw.safetensors");
  check_golden<Network<5, 4, 2>, TestType>("optim_adamw_noclip.safetensors");
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
