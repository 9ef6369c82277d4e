#include <flamingo/train/adaptive_clipping.hpp>

#include <catch2/catch.hpp>

namespace adaptive_clipping_test {

using namespace flamingo;

namespace {

using P = Cpu<double>;

/// A matrix of three units, a vector, a scalar, a classifier.
struct Layer {
  template <class S>
  struct Parameters {
    Matrix<S, 3, 2> weight;
    Vector<S, 2> bias;
    Vector<S, 1> gain;
    Matrix<S, 1, 2> classifier;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(matrix_spec("weight", 3, 2, Init::zero()), p.weight...);
    visit(vector_spec("bias", 2, Init::zero()), p.bias...);
    visit(vector_spec("gain", 1, Init::zero()), p.gain...);
    visit(matrix_spec("classifier", 1, 2, Init::zero()), p.classifier...);
  }
};

template <class Leaf>
void set(const Leaf& leaf, std::initializer_list<double> numbers) {
  std::copy(numbers.begin(), numbers.end(), leaf.data);
}
template <class Leaf>
std::vector<double> get(const Leaf& leaf) {
  return {leaf.data, leaf.data + leaf.size()};
}

}  // namespace

TEST_CASE("each unit's gradient is held to a share of its norm", "[train][adaptive_clipping]") {
  Store<Layer, P> w, g;
  set(w.views.weight, {3, 4, 0, 0, 3, 4});  // norms 5, 0, 5
  set(g.views.weight, {0, 1, 3e-6, 4e-6, 0.03, 0.04});
  set(w.views.bias, {0.6, 0.8});
  set(g.views.bias, {-6, 8});
  set(g.views.gain, {-7});
  set(w.views.classifier, {1, 0});
  set(g.views.classifier, {100, 100});
  CHECK(clip_adaptively(w, g) == 3);
  const auto weight = get(g.views.weight), bias = get(g.views.bias);
  CHECK(weight[0] == 0);
  CHECK(weight[1] == Approx(0.05));                                 // 1 -> 0.01 * 5
  CHECK((weight[2] == 3e-6 && weight[3] == 4e-6));                  // 5e-6 < 0.01 * 1e-3
  CHECK((weight[4] == 0.03 && weight[5] == 0.04));                  // exactly 0.05, or less by a rounding
  CHECK((bias[0] == Approx(-0.006) && bias[1] == Approx(0.008)));   // a vector is one unit
  CHECK(get(g.views.gain)[0] == Approx(-1e-5));                     // what is 0 may grow
  CHECK(get(g.views.classifier) == std::vector<double>{100, 100});  // left as it is

  set(g.views.classifier, {3, 4});
  CHECK(clip_adaptively(w, g, {.share = 0.5, .excludes = [](const Spec& spec) {
                                 return std::string_view(spec.name) != "classifier";
                               }}) == 1);
  CHECK(get(g.views.classifier)[0] == Approx(0.3));
  CHECK(get(g.views.classifier)[1] == Approx(0.4));
}

TEST_CASE("a tiny gradient is divided by no less than the smallest norm", "[train][adaptive_clipping]") {
  Store<Layer, P> w, g;
  set(g.views.gain, {1e-7});
  CHECK(clip_adaptively(w, g, {.share = 1e-6}) == 1);
  CHECK(get(g.views.gain)[0] == Approx(1e-7 * 1e-9 / 1e-6));
}

}  // namespace adaptive_clipping_test
