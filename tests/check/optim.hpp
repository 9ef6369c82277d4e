/// Checks of AdamW, clipping and warm-up: weights, moments, the gradient's norm and the rate after every step.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/train/optimizer.hpp>
#include <flamingo/train/schedule.hpp>

#include "check/golden.hpp"

namespace flamingo::test {

/// The parameters of the goldens' little network: (gelu(x w1ᵀ + b1) tanh(gate)) w2ᵀ + b2, of these widths.
struct Sizes {
  int in, hidden, out;
};
template <Sizes N>
struct Network {
  template <class S>
  struct Parameters {
    Matrix<S, N.hidden, N.in> w1;
    Vector<S, N.hidden> b1;
    Matrix<S, N.out, N.hidden> w2;
    Vector<S, N.out> b2;
    Vector<S, 1> gate;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(matrix_spec("w1", N.hidden, N.in, Init::zero()), p.w1...);
    visit(vector_spec("b1", N.hidden, Init::zero()), p.b1...);
    visit(matrix_spec("w2", N.out, N.hidden, Init::zero()), p.w2...);
    visit(vector_spec("b2", N.out, Init::zero()), p.b2...);
    visit(vector_spec("gate", 1, Init::zero()), p.gate...);
  }
};

/// Each step takes the file's gradients; weights and moments are our own from the first step on.
template <Sizes N, Platform P = Cpu<float>>
Report check_optim(const std::filesystem::path& path) {
  using Layer = Network<N>;
  using R = typename P::Real;
  Golden golden(path);
  const io::Json config = golden.meta("config");
  const auto number = [&](std::string_view key) { return config.at(key).as_double(); };
  std::vector<std::string> decayed;
  for (const io::Json& name : config.at("decayed").as_array()) decayed.emplace_back(name.as_string());
  Optimizer<Layer, P> optimizer({.beta1 = config.at("betas").as_array()[0].as_double(),
                                 .beta2 = config.at("betas").as_array()[1].as_double(),
                                 .epsilon = number("eps"),
                                 .clip = number("clip"),
                                 .group = [&](const Spec& spec) {
                                   const bool decays = std::find(decayed.begin(), decayed.end(),
                                                                 std::string_view(spec.name)) != decayed.end();
                                   return Group{1, decays ? number("wd") : 0};
                                 }});
  const Schedule schedule{.peak = number("lr"), .warmup = static_cast<long>(number("warmup"))};
  const auto prefixed = [](std::string prefix) {
    return [prefix = std::move(prefix)](std::string_view name) { return prefix + std::string(name); };
  };
  Context<P> ctx(1, 1 << 20);
  Store<Layer, P> weights, gradients;
  load_numbers<Layer>(golden.file, weights.views, prefixed("param."));
  const int steps = static_cast<int>(number("steps"));
  if (steps < 1) golden.report.note("it has no steps");
  for (int i = 0; i < steps; ++i) {
    const std::string step = "step." + std::to_string(i) + ".";
    load_numbers<Layer>(golden.file, gradients.views, prefixed(step + "grad."));
    const std::vector<double> rate{schedule.rate(i)};
    golden.output(step + "lr", std::span<const double>(rate));
    const std::vector<double> norm{optimizer.step(ctx, weights, gradients, rate[0])};
    golden.output(step + "grad_norm", std::span<const double>(norm));
    const auto compare = [&](const Store<Layer, P>& ours, const std::string& what) {
      auto one = [&](const Spec& spec, const auto& leaf) {
        golden.output(step + what + "." + std::string(spec.name), std::span<const R>(leaf.data, spec.size()));
      };
      Layer::each(one, ours.views);
    };
    compare(weights, "param");
    compare(Store<Layer, P>(optimizer.first.flat), "exp_avg");
    compare(Store<Layer, P>(optimizer.second.flat), "exp_avg_sq");
  }
  return golden.report;
}

}  // namespace flamingo::test
