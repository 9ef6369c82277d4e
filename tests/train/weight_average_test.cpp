#include <flamingo/train/weight_average.hpp>

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>

#include <flamingo/kernels/cpu/adamw.hpp>

#include "io/files.hpp"
#include "support/platforms.hpp"

namespace weight_average_test {

using namespace flamingo;
using namespace flamingo::test;
using flamingo::tests::error_of;
using flamingo::tests::TemporaryFolder;

namespace {

struct Layer {
  template <class S>
  struct Parameters {
    Vector<S, 300> weight;
  };
  static constexpr void each(auto& visit, auto&... p) { visit(vector_spec("weight", 300, Init::zero()), p.weight...); }
};

/// Weights of update t.
template <class P>
Store<Layer, P> at(int t) {
  Store<Layer, P> weights;
  for (int i = 0; i < 300; ++i) weights.views.weight.data[i] = static_cast<typename P::Real>(std::sin(t * (i + 1)));
  return weights;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a mean of weights is plain at first, then exponential", "[weight_average]", Platforms) {
  using P = TestType;
  Context<P> ctx(2, 1 << 12);
  WeightAverage<Layer, P> average(0.75);
  double plain = 0, exponential = 0;
  for (int t = 1; t <= 9; ++t) {
    average.follow(ctx, at<P>(t));
    const double now = std::sin(t * 42);
    plain += now;
    exponential = t <= 4 ? plain / t : 0.75 * exponential + 0.25 * now;
    CHECK(static_cast<double>(average.mean.views.weight.data[41]) == Approx(exponential).epsilon(1e-4).margin(1e-6));
  }
  WeightAverage<Layer, P> first(0.999);
  first.follow(ctx, at<P>(5));
  CHECK(first.mean.flat == at<P>(5).flat);
}

TEST_CASE("a mean is saved and goes on bit for bit", "[weight_average]") {
  using P = Cpu<float>;
  const TemporaryFolder folder;
  const auto path = folder.path() / "mean.safetensors";
  Context<P> ctx(1, 1 << 12);
  WeightAverage<Layer, P> straight(0.75), resumed(0.75);
  for (int t = 1; t <= 7; ++t) {
    straight.follow(ctx, at<P>(t));
    if (t == 3) straight.save(ctx, path, 103, {{"model", "tiny"}});
  }
  CHECK_THAT(error_of([&] { resumed.load(path, 102); }), Catch::EndsWith(" is of step 103, the run is at 102"));
  CHECK(resumed.steps() == 0);
  resumed.load(path, 103);
  CHECK(resumed.steps() == 3);
  for (int t = 4; t <= 7; ++t) resumed.follow(ctx, at<P>(t));
  CHECK(resumed.mean.flat == straight.mean.flat);

  TensorWriter other(io::DType::f32);
  const Store<Layer, P> weights;
  other.add<Layer>(weights.views);
  other.save(path);
  CHECK_THAT(error_of([&] { resumed.load(path, 107); }),
             Catch::EndsWith(" does not say how many updates it 'followed'"));
  other.save(path, {{"followed", "7"}});
  CHECK_THAT(error_of([&] { resumed.load(path, 107); }), Catch::EndsWith(" does not say of which 'step'"));
  CHECK((resumed.mean.flat == straight.mean.flat && resumed.steps() == 7));
  CHECK_THAT(error_of([&] { (WeightAverage<Layer, P>(1)); }), Catch::Contains("decay is 1"));
}

}  // namespace weight_average_test
