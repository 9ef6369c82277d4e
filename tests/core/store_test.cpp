#include <flamingo/core/store.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <utility>
#include <vector>

#include <flamingo/kernels/cpu/context.hpp>

namespace store_test {

using namespace flamingo;
using P = Cpu<float>;

namespace {

struct Forwards {
  template <class S>
  struct Parameters {
    Matrix<S, 31, 37> w;
    Vector<S, 7> scale, bias;
  };
  template <class Visit, class... W>
  static constexpr void each(Visit& visit, W&... w) {
    visit(matrix_spec("w", 31, 37, Init::normal(0.5f)), w.w...);
    visit(vector_spec("scale", 7, Init::one()), w.scale...);
    visit(vector_spec("bias", 7, Init::zero()), w.bias...);
  }
};
/// The same parameters in another order.
struct Backwards {
  template <class S>
  using Parameters = Forwards::Parameters<S>;
  template <class Visit, class... W>
  static constexpr void each(Visit& visit, W&... w) {
    visit(vector_spec("bias", 7, Init::zero()), w.bias...);
    visit(vector_spec("scale", 7, Init::one()), w.scale...);
    visit(matrix_spec("w", 31, 37, Init::normal(0.5f)), w.w...);
  }
};
/// Enough numbers for threads.
struct Large {
  static constexpr int rows = 1100, columns = 1000;
  template <class S>
  struct Parameters {
    Matrix<S, rows, columns> w;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(matrix_spec("w", rows, columns, Init::normal(0.5f)), p.w...);
  }
};

}  // namespace

TEST_CASE("a store places each parameter at a multiple of 16, and zeros between", "[store]") {
  static_assert(flat_size<Forwards>() == 1152 + 16 + 16);
  const Store<Forwards, P> store(7);
  CHECK(store.flat.size() == flat_size<Forwards>());
  CHECK(store.views.w.data == store.flat.data());
  CHECK(store.views.scale.data == store.flat.data() + 1152);
  CHECK(store.views.bias.data == store.flat.data() + 1168);
  for (std::size_t i = 31 * 37; i < 1152; ++i) CHECK(store.flat[i] == 0);
  for (std::size_t i = 1152 + 7; i < 1168; ++i) CHECK(store.flat[i] == 0);
}

TEST_CASE("initial values depend on seed and name alone", "[store]") {
  const Store<Forwards, P> a(7), again(7), other(8);
  const Store<Backwards, P> b(7);
  CHECK(a.flat == again.flat);
  CHECK(a.flat != other.flat);
  double mean = 0, square = 0;
  constexpr int n = 31 * 37;
  for (std::size_t i = 0; i < n; ++i) {
    CHECK(a.views.w.data[i] == b.views.w.data[i]);
    mean += static_cast<double>(a.views.w.data[i]) / n;
    square += std::pow(static_cast<double>(a.views.w.data[i]), 2) / n;
  }
  CHECK(std::abs(mean) < 5 * 0.5 / std::sqrt(n));
  CHECK(std::abs(square - 0.25) < 5 * 0.25 * std::sqrt(2.0 / n));
  for (std::size_t i = 0; i < 7; ++i) {
    CHECK(a.views.scale.data[i] == 1);
    CHECK(a.views.bias.data[i] == 0);
  }
  // Drawn in float: the same numbers in every type.
  const Store<Forwards, Cpu<double>> wide(7);
  for (std::size_t i = 0; i < n; ++i) CHECK(static_cast<float>(wide.views.w.data[i]) == a.views.w.data[i]);
}

TEST_CASE("a layer that threads draw has the numbers of one that is drawn one by one", "[store]") {
  const Store<Large, P> store(7);
  Random random(7, hash("w"));
  std::size_t other = 0;
  for (const float x : store.flat) other += x != 0.5f * random.normal();
  CHECK(other == 0);
}

TEST_CASE("weights, gradients and moments are parallel lists", "[store]") {
  Store<Forwards, P> weights(7), gradients;
  CHECK(gradients.flat == std::vector<float>(weights.flat.size()));
  int visited = 0;
  auto both = [&](const Spec& spec, auto& w, auto& g) {
    CHECK(w.data - weights.flat.data() == g.data - gradients.flat.data());
    CHECK(w.size() == spec.size());
    g.data[0] = 3;
    ++visited;
  };
  Forwards::each(both, weights.views, gradients.views);
  CHECK(visited == 3);
  const float* flat = weights.flat.data();
  Store<Forwards, P> moved = std::move(weights);
  CHECK(moved.views.w.data == flat);
  gradients.clear();
  CHECK(gradients.flat == std::vector<float>(moved.flat.size()));
}

TEST_CASE("a frozen part takes no place, and the lists stay parallel", "[store]") {
  Forwards::Parameters<Frozen> none;
  std::array<float, flat_size<Forwards>()> flat;
  flat.fill(7);
  place<Forwards>(flat.data(), none);
  CHECK(flat[0] == 7);
}

TEST_CASE("a rounded store holds matrices in the platform's type and vectors in that of sums", "[store]") {
  using B = Cpu<bfloat16>;
  const Store<Forwards, B, float> source(7);
  const RoundedStore<Forwards, B> rounded(source);
  for (std::size_t i = 0; i < 31 * 37; ++i) CHECK(rounded.views.w.data[i] == bfloat16(source.views.w.data[i]));
  for (std::size_t i = 0; i < 7; ++i) CHECK((rounded.views.scale.data[i] == 1 && rounded.views.bias.data[i] == 0));
}

TEST_CASE("numbers of the host are read as rows, which an int counts", "[store]") {
  Context<Dry<P>> ctx;
  const CountedNumbers<float> numbers(std::size_t{3} << 30), more(std::size_t{3} << 31);
  CHECK(readable_rows<3>(ctx, numbers).rows == 1 << 30);
  CHECK_THROWS_WITH(readable_rows<3>(ctx, more), "[rows] got 2147483648 rows of 3, expected at most 2147483647");
  CHECK(rows_in(6, 3) == 2);
  const std::vector<float> host{1, 2, 3, 4, 5, 6};
  Context<P> cpu(1, 64);
  const auto rows = readable_rows<3>(cpu, host);
  CHECK((rows.rows == 2 && rows.data == host.data()));
}

TEST_CASE("a store is made of numbers of its own length alone", "[store]") {
  const Store<Forwards, P> a(7), copy(a.flat);
  CHECK((copy.flat == a.flat && copy.views.w.data == copy.flat.data()));
  CHECK_THROWS_WITH((Store<Forwards, P>(std::vector<float>(5))), "[store] 5 numbers for a layer of 1184");
  Context<P>* no_context = nullptr;
  static_assert(std::is_same_v<decltype(host_copy(*no_context, a)), const Store<Forwards, P>&>);
}

}  // namespace store_test
