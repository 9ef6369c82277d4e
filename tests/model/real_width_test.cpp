// One block of Flamingo-80B's language model and one of its gated blocks at their real width of 8192, forward and
// backward. They take some 7 GiB.
#include <catch2/catch.hpp>

#include <flamingo/config/presets/flamingo.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/model/decoder.hpp>
#include <flamingo/model/gated_cross_attention.hpp>

#include "support/gradient_check.hpp"
#include "support/layer.hpp"

namespace real_width_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<float>;
constexpr auto paper = presets::flamingo_80b;
constexpr int D = paper.lm.dim, N = 7;

/// Each gradient against the difference of `loss()` along a drawn direction in which every number moves by a
/// two-hundredth of its deviation: enough for the loss to move by far more than `noise`, what it is rounded by, and
/// little enough for the third derivative. Weights move in place; there is no room for a copy of them.
template <class Layer, class Loss>
void check_directions(Store<Layer, P>& weights, Store<Layer, P>& gradients, double noise, const Loss& loss) {
  auto compare = [&](const Spec& spec, auto& w, auto& g) {
    INFO(std::string(std::string_view(spec.name)));
    const float reach = spec.role == Role::vector ? 0.29f : 1 / std::sqrt(static_cast<float>(spec.columns)),
                step = reach / 200;
    const auto each_sign = [&](const auto& f) {
      Random random(20221128, hash(spec.name));
      for (std::size_t i = 0; i < spec.size();) {
        std::uint32_t bits = random.bits();
        for (int b = 0; b < 32 && i < spec.size(); ++b, bits >>= 1) f(i++, bits & 1 ? 1.0f : -1.0f);
      }
    };
    const auto move = [&](float by) { each_sign([&](std::size_t i, float sign) { w.data[i] += by * sign; }); };
    double along = 0, squares = 0;
    each_sign([&](std::size_t i, float sign) {
      const double x = static_cast<double>(g.data[i]);
      along += x * static_cast<double>(sign);
      squares += x * x;
    });
    move(step);
    const double above = loss();
    move(-2 * step);
    const double below = loss();
    move(step);
    const double difference = (above - below) / (2 * static_cast<double>(step));
    CAPTURE(difference, along, std::sqrt(squares));
    CHECK(std::abs(difference - along) < 0.005 * std::sqrt(squares) + noise / static_cast<double>(step));
    if (std::string_view(spec.name) != "attention.key_bias") CHECK(squares > 0);  // all keys move alike
  };
  Layer::each(compare, weights.views, gradients.views);
}
/// What <dz, z> is rounded by: each product by some 4e-6 of itself, for sums of 32768 terms lie before it, and the
/// errors of many products add up as their squares.
double noise_of(const Tensor<float>& dz, const Tensor<float>& z) {
  double squares = 0;
  for (std::size_t i = 0; i < z.size(); ++i) squares += std::pow(static_cast<double>(dz.data()[i] * z.data()[i]), 2);
  return 4e-6 * std::sqrt(squares);
}
/// The gradient of an input, along a drawn direction.
template <class Loss>
void check_input(Tensor<float>& x, const Tensor<float>& dx, double noise, const Loss& loss) {
  const auto direction = Tensor<float>::random(x.rows(), x.columns(), 61);
  const Tensor<float> before = x;
  const float step = 0.01f;
  const auto at = [&](float distance) {
    for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = before.data()[i] + distance * direction.data()[i];
    return loss();
  };
  const double difference = (at(step) - at(-step)) / (2 * static_cast<double>(step));
  x = before;
  const double norm = std::sqrt(inner(dx, dx));
  CHECK(norm > 0);
  CHECK(std::abs(difference - inner(dx, direction)) < 0.005 * norm + noise / static_cast<double>(step));
}

}  // namespace

TEST_CASE("a block of the 80B's language model at its real width", "[.all]") {
  using Block = DecoderOf<paper.lm, P>::Block;
  STATIC_REQUIRE(parameter_count<Block>() == std::size_t{13} * D * D + std::size_t{15} * D);  // 0.87 B
  Context<P> ctx(2);
  auto weights = drawn<Block, P>(7);
  Store<Block, P> gradients;
  Tensor<float> x = drawn_rows<float>(N, D, 1), z(N, D), dz = drawn_rows<float>(N, D, 2), dx(N, D);
  const std::vector<int> positions{0, 1, 2, 0, 1, 2, 3};
  SpanList spans;
  spans.begin(0, 3);
  spans.add({0, 0, 3, 0, 1});
  spans.begin(3, 4);
  spans.add({0, 3, 4, 0, 1});
  const auto run = [&]<Need need>() {
    const auto k = keep<Block::KV>(ctx, N), v = keep<Block::KV>(ctx, N);
    Pools<P> pools;
    pools.add({k, v});
    return Block::forward<need>(ctx, weights.views, x.rows_on<P, D>(), {table(ctx, positions), 4}, k, v, pools,
                                table(ctx, spans), z.rows_on<P, D>());
  };
  {
    const auto kept = ctx.kept_scope();
    const auto saved = run.operator()<all_gradients>();
    Block::backward(ctx, weights.views, saved, {table(ctx, positions), 4}, table(ctx, spans), dz.rows_on<P, D>(),
                    dx.rows_on<P, D>(), gradients.views);
  }
  const auto loss = [&] {
    const auto kept = ctx.kept_scope();
    const auto scope = ctx.scope();
    run.operator()<no_gradients>();
    return inner(dz, z);
  };
  const double noise = noise_of(dz, z);
  check_input(x, dx, noise, loss);
  check_directions(weights, gradients, noise, loss);
}

TEST_CASE("a gated block of the 80B at its real width", "[.all]") {
  constexpr int E = paper.resampler.out(), R = paper.resampler.latents;
  using Block = model::GatedCrossAttention<paper.xattn, D, E, P>;
  STATIC_REQUIRE((E == D && parameter_count<Block>() == std::size_t{12} * D * D + 6 * D + 2));  // 0.81 B
  Context<P> ctx(2);
  auto weights = drawn<Block, P>(11);
  Store<Block, P> gradients;
  Tensor<float> media = drawn_rows<float>(2 * R, E, 3), dmedia(2 * R, E);
  Tensor<float> x = drawn_rows<float>(N, D, 1), z(N, D), dz = drawn_rows<float>(N, D, 2), dx(N, D);
  SpanList spans;  // the first row sees nothing
  spans.begin(1, 3);
  spans.add({0, 0, R, 0, 0});
  spans.begin(4, 3);
  spans.add({0, R, R, 0, 0});
  const auto run = [&]<Need need>(auto& projected) {
    const auto k = keep<Block::KV>(ctx, 2 * R), v = keep<Block::KV>(ctx, 2 * R);
    projected = Block::project<need>(ctx, weights.views, media.rows_on<P, E>(), k, v);
    Pools<P> pools;
    pools.add({k, v});
    return Block::forward<need>(ctx, weights.views, x.rows_on<P, D>(), pools, table(ctx, spans), z.rows_on<P, D>());
  };
  {
    const auto kept = ctx.kept_scope();
    const auto scope = ctx.scope();
    Block::SavedMedia<all_gradients> projected;
    const auto saved = run.operator()<all_gradients>(projected);
    const auto dk = scratch<Block::KV>(ctx, 2 * R), dv = scratch<Block::KV>(ctx, 2 * R);
    Block::backward(ctx, weights.views, saved, table(ctx, spans), dz.rows_on<P, D>(), dx.rows_on<P, D>(),
                    PoolGradients<P>{{{dk, dv}}}, gradients.views);
    Block::project_backward(ctx, weights.views, projected, dk, dv, dmedia.rows_on<P, E>(), gradients.views);
  }
  const auto loss = [&] {
    const auto kept = ctx.kept_scope();
    const auto scope = ctx.scope();
    Block::SavedMedia<no_gradients> projected;
    run.operator()<no_gradients>(projected);
    return inner(dz, z);
  };
  const double noise = noise_of(dz, z);
  check_input(x, dx, noise, loss);
  check_input(media, dmedia, noise, loss);
  check_directions(weights, gradients, noise, loss);
}

}  // namespace real_width_test
