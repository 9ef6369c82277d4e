#include <flamingo/model/projector.hpp>

#include <catch2/catch.hpp>
#include <concepts>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/model/resampler.hpp>

#include "support/gradient_check.hpp"
#include "support/layer.hpp"

namespace projector_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("a projector maps each row by itself, and has the gradients of its differences", "[projector]") {
  using P = Cpu<double>;
  constexpr ResamplerConfig C{.vision_dim = 5, .dim = 3, .latents = 4, .layers = 0, .project = true};
  using Layer = model::ResamplerOf<C, P>::type;
  STATIC_REQUIRE(std::same_as<Layer, model::Projector<C, P>>);
  STATIC_REQUIRE(std::same_as<model::ResamplerOf<ResamplerConfig{.layers = 0}, P>::type,
                              model::NoResampler<ResamplerConfig{.layers = 0}, P>>);
  STATIC_REQUIRE(parameter_count<Layer>() == 5 * 3 + 3);

  Context<P> ctx(1, std::size_t{1} << 20);
  Store<Layer, P> weights = drawn<Layer, P>(3), gradients;
  Tensor<double> x = drawn_rows<double>(8, 5, 1), y(8, 3), dx(8, 5);
  const Tensor<double> dy = drawn_rows<double>(8, 3, 2);
  const std::vector<Medium> media{{.first = 0, .rows = 4, .visible = 3}, {.first = 4, .rows = 4}};
  CHECK(visible_rows(media, 4) == std::vector<int>{3, 4});
  const auto plan = ResamplerPlan::of(C, media);
  const auto run = [&] {
    auto saved = Layer::template forward<all_gradients>(ctx, weights.views, x.rows_on<P, 5>(), plan, y.rows_on<P, 3>());
    ctx.arena().release(0);
    return saved;
  };
  const auto saved = run();
  for (int n = 0; n < 8; ++n)
    for (int o = 0; o < 3; ++o) {
      double sum = weights.views.lead_in_bias.data[o];
      for (int i = 0; i < 5; ++i) sum += weights.views.lead_in.row(o)[i] * x(n, i);
      CHECK(y(n, o) == Approx(sum).epsilon(1e-14));
    }
  Tensor<double> d = dy;
  Layer::backward(ctx, weights.views, saved, plan, d.rows_on<P, 3>(), dx.rows_on<P, 5>(), gradients.views);
  const auto loss = [&] {
    run();
    return inner(dy, y);
  };
  CHECK(gradient_check(x, dx, loss).relative < difference_bound());
  check_weight_gradients(weights, gradients, loss);
}

}  // namespace projector_test
