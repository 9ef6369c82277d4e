#include <flamingo/train/measures.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include <flamingo/core/store.hpp>
#include <flamingo/kernels/cpu/context.hpp>
#include <flamingo/kernels/cpu/linear.hpp>

namespace measures_test {

using namespace flamingo;

namespace {

using P = Cpu<float>;

/// Two gates among what is none.
struct Gated {
  template <class S>
  struct Parameters {
    Vector<S, 1> one;
    Vector<S, 3> many, scale;
    Matrix<S, 2, 3> matrix;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(vector_spec("block.attention_gate", 1, Init::zero()), p.one...);
    visit(vector_spec("block.dense_gate", 3, Init::zero()), p.many...);
    visit(vector_spec("block.scale", 3, Init::one()), p.scale...);
    visit(matrix_spec("block.dense.own_gate", 2, 3, Init::zero()), p.matrix...);
  }
};

struct Batch {
  double loss;
};
struct Update {
  std::vector<Batch> datasets;
  double gradient_norm = 3, rate = 0.5;
};

}  // namespace

TEST_CASE("an update's numbers have the names of their datasets", "[measures]") {
  const Measures all = measures_of(Update{{{1.5}, {2.5}}}, {"pairs", "pages"});
  REQUIRE(all.size() == 4);
  CHECK((all[0].name == "loss/pairs" && all[0].value == 1.5 && all[1].name == "loss/pages" && all[1].value == 2.5));
  CHECK((all[2].name == "gradient norm" && all[2].value == 3 && all[3].name == "rate" && all[3].value == 0.5));
  CHECK_THROWS_WITH(measures_of(Update{{{1.5}}}, {}), "[measures] the update has 1 batches, got names for 0");
}

TEST_CASE("gates are told as what they let through", "[measures]") {
  Context<P> ctx;
  Store<Gated, P> weights;
  weights.views.one.data[0] = -0.5f;
  for (int i = 0; i < 3; ++i) weights.views.many.data[i] = i == 1 ? -2.0f : 1.0f;
  const Measures all = gates_of<Gated>(ctx, weights.views);
  REQUIRE(all.size() == 2);
  CHECK((all[0].name == "gate/block.attention_gate" && all[1].name == "gate/block.dense_gate"));
  CHECK(all[0].value == Approx(std::tanh(-0.5)));
  CHECK(all[1].value == Approx((2 * std::tanh(1.0) + std::tanh(2.0)) / 3));
}

TEST_CASE("speed is what was done since it was last asked for", "[measures]") {
  Context<P> ctx;
  const double peak = measured_peak(ctx);
  CHECK(peak > 1e8);
  Speed speed(1e6), plain;
  speed.add(300, operations_of(300, 2, 1));
  speed.add(100);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const Measures all = speed.take();
  REQUIRE((all.size() == 2 && all[0].name == "speed/tokens a second" && all[1].name == "speed/utilisation"));
  CHECK((all[0].value > 0 && all[0].value <= 400 / 0.02));
  CHECK(all[1].value / all[0].value == Approx(300 * 16 / 1e6 / 400));
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(speed.take()[0].value == 0);
  CHECK(plain.take().size() == 1);
}

}  // namespace measures_test
