#include <flamingo/ops/cross_entropy.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/kernels/cpu/arrange.hpp>
#include <flamingo/kernels/cpu/cross_entropy.hpp>
#include <flamingo/kernels/cpu/linear.hpp>
#include <flamingo/kernels/cpu/residual.hpp>

#include "support/compare.hpp"
#include "support/gradient_check.hpp"
#include "support/packing.hpp"
#include "support/platforms.hpp"
#include "support/tolerance.hpp"

namespace cross_entropy_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int N = 7, D = 11, V = 61, A = 3;
// A logit, an exponential, a sum over the vocabulary, a logarithm.
constexpr std::size_t roundings = D + V + A + 8;

template <class R>
struct CrossEntropyCase {
  using P = Cpu<R>;
  Tensor<R> x = Tensor<R>::random(N, D, 1, -2, 2), table = Tensor<R>::random(V, D, 2),
            added = Tensor<R>::random(A, D, 3), weights = Tensor<R>::random(1, N, 4);
  // First and last entry of the table, first and last of the added rows, one twice.
  Tensor<int> targets = Tensor<int>::of({0, V - 1, V, V + A - 1, 17, 17, 40});
  Tensor<R> nll{1, N, R(7)}, lse{1, N, R(7)}, dx{N, D, R(7)}, dtable{V, D}, dadded{A, D};

  float smoothing = 0, z_loss = 0;

  void forward(Context<P>& ctx, int chunk) {
    ops::cross_entropy(ctx, x.template rows_on<P>(), table.template matrix_on<P>(), added.template matrix_on<P>(),
                       targets.view_on<P>(), chunk, nll.template view_on<P>(), lse.template view_on<P>(), smoothing);
  }
  template <class DX, class DTable, class DAdded>
  void backward(Context<P>& ctx, int chunk, const DX& to_x, const DTable& to_table, const DAdded& to_added) {
    const auto& sums = lse;
    const auto& scale = weights;
    ops::cross_entropy_backward(ctx, x.template rows_on<P>(), table.template matrix_on<P>(),
                                added.template matrix_on<P>(), targets.view_on<P>(), chunk, sums.template view_on<P>(),
                                scale.template view_on<P>(), to_x, to_table, to_added, smoothing, z_loss);
  }
  void backward(Context<P>& ctx, int chunk) {
    backward(ctx, chunk, dx.template rows_on<P>(), dtable.template matrix_on<P>(), dadded.template matrix_on<P>());
  }
};

/// With the case's share of lse².
Tensor<double> naive(const CrossEntropyCase<double>& c) {
  Tensor<double> nll(1, N);
  for (int n = 0; n < N; ++n) {
    double sum = 0, target = 0;
    const double smoothing = static_cast<double>(c.smoothing);
    for (int v = 0; v < V + A; ++v) {
      double logit = 0;
      for (int i = 0; i < D; ++i) logit += c.x(n, i) * (v < V ? c.table(v, i) : c.added(v - V, i));
      sum += std::exp(logit);
      if (v == c.targets(0, n)) target += (1 - smoothing) * logit;
      target += smoothing / (V + A) * logit;
    }
    nll(0, n) = std::log(sum) - target + static_cast<double>(c.z_loss) * std::pow(std::log(sum), 2);
  }
  return nll;
}

// One entry at a time, a prime number of them, the table's size, and more than there are.
constexpr std::array<int, 4> chunks{1, 7, V, 1000};

}  // namespace

TEMPLATE_LIST_TEST_CASE("cross_entropy is the same in any chunks, with added rows", "[cross_entropy]", Platforms) {
  using R = typename TestType::Real;
  CrossEntropyCase<R> c;
  CrossEntropyCase<double> exact;
  Context<TestType> ctx(1, 1 << 20);
  Context<Cpu<double>> exact_ctx(1, 1 << 20);
  const int chunk = GENERATE(from_range(chunks.begin(), chunks.end()));
  CAPTURE(chunk);
  c.smoothing = exact.smoothing = GENERATE(0.0f, 0.3f);
  exact.forward(exact_ctx, 1000);
  exact.backward(exact_ctx, 1000);
  c.forward(ctx, chunk);
  c.backward(ctx, chunk);
  CHECK(distance(c.nll, naive(exact)).relative < chain_bound<R>(roundings));
  CHECK(distance(c.dx, exact.dx).relative < chain_bound<R>(3 * roundings));
  CHECK(distance(c.dtable, exact.dtable).relative < chain_bound<R>(3 * roundings));
  CHECK(distance(c.dadded, exact.dadded).relative < chain_bound<R>(3 * roundings));
  CHECK((c.nll.intact() && c.lse.intact() && c.dx.intact() && c.dtable.intact() && c.dadded.intact()));
  CHECK(ctx.arena().scratched() == 0);
}

TEST_CASE("cross_entropy's gradients are those of finite differences", "[cross_entropy]") {
  CrossEntropyCase<double> c;
  c.smoothing = GENERATE(0.0f, 0.3f, 1.0f);
  c.z_loss = c.smoothing == 1 ? 0 : 0.25f;
  Context<Cpu<double>> ctx(1, 1 << 20);
  c.forward(ctx, 7);
  c.backward(ctx, 7);
  const auto loss = [&] { return inner(c.weights, naive(c)); };
  CHECK(gradient_check(c.x, c.dx, loss).relative < difference_bound());
  CHECK(gradient_check(c.table, c.dtable, loss).relative < difference_bound());
  CHECK(gradient_check(c.added, c.dadded, loss).relative < difference_bound());
}

TEMPLATE_LIST_TEST_CASE("the likelihoods of all entries sum to 1", "[cross_entropy]", Platforms) {
  using R = typename TestType::Real;
  CrossEntropyCase<R> c;
  Context<TestType> ctx(1, 1 << 20);
  Tensor<double> sum(1, N);
  for (int v = 0; v < V + A; ++v) {
    for (int& target : c.targets) target = v;
    c.forward(ctx, 7);
    for (int n = 0; n < N; ++n) sum(0, n) += std::exp(-static_cast<double>(c.nll(0, n)));
  }
  for (const double total : sum) CHECK(total == Approx(1).epsilon(chain_bound<R>(roundings)));
}

TEMPLATE_LIST_TEST_CASE("an unwanted gradient of cross_entropy changes no other bit", "[cross_entropy]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  CrossEntropyCase<R> all, inputs, table, added, twice;
  Context<P> ctx(1, 1 << 20);
  for (auto* c : {&all, &inputs, &table, &added, &twice}) c->forward(ctx, 7);
  all.backward(ctx, 7);
  inputs.backward(ctx, 7, inputs.dx.template rows_on<P>(), NoGrad{}, NoGrad{});
  table.backward(ctx, 7, NoGrad{}, table.dtable.template matrix_on<P>(), NoGrad{});
  added.backward(ctx, 7, NoGrad{}, NoGrad{}, added.dadded.template matrix_on<P>());
  CHECK(inputs.dx == all.dx);
  CHECK(table.dtable == all.dtable);
  CHECK(added.dadded == all.dadded);

  for (int time = 0; time < 2; ++time) twice.backward(ctx, 7);
  CHECK(twice.dx == all.dx);  // written
  for (R& g : all.dtable) g *= 2;
  CHECK(distance(twice.dtable, all.dtable).relative < chain_bound<R>(2 * N));  // added to
}

TEMPLATE_LIST_TEST_CASE("cross_entropy reads a packed vocabulary, and none of added rows", "[cross_entropy]",
                        Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const int width = 32;
  const auto x = Tensor<R>::random(N, width, 1, -0.1, 0.1);
  const PackedTensor packed(Format::q8_0, V, width, 5);
  auto numbers = packed.numbers.template as<R>();
  Tensor<R> none(0, width), nll(1, N), lse(1, N), nll_plain(1, N), lse_plain(1, N);
  const auto targets = Tensor<int>::of({0, 1, 2, 3, 5, 59, 60});
  Context<P> ctx(1, 1 << 20);
  ops::cross_entropy(ctx, x.template rows_on<P>(), packed.on<P>(), none.template matrix_on<P>(), targets.view_on<P>(),
                     13, nll.template view_on<P>(), lse.template view_on<P>());
  ops::cross_entropy(ctx, x.template rows_on<P>(), numbers.template matrix_on<P>(), none.template matrix_on<P>(),
                     targets.view_on<P>(), 13, nll_plain.template view_on<P>(), lse_plain.template view_on<P>());
  CHECK(nll == nll_plain);
  CHECK(lse == lse_plain);
}

TEMPLATE_LIST_TEST_CASE("a row that is asked for many targets gives each the bits it has alone", "[cross_entropy]",
                        Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const int chunk = GENERATE(from_range(chunks.begin(), chunks.end()));
  CrossEntropyCase<R> c;
  Context<P> ctx(1, 1 << 20);
  std::vector<ops::Target> targets;
  Tensor<R> expected(1, 3 * N);
  for (int round = 0; round < 3; ++round) {  // row 5 is asked for in each, row 0 once, in no order of ids
    for (int n = 0; n < N; ++n) c.targets(0, n) = (n * 29 + round * 47) % (V + A);
    c.forward(ctx, chunk);
    for (int n = 0; n < N; ++n)
      if (round == 0 || n == 5 || (n + round) % 3 == 0) {
        expected(0, static_cast<int>(targets.size())) = c.nll(0, n);
        targets.push_back({n, c.targets(0, n)});
      }
  }
  const int T = static_cast<int>(targets.size());
  Tensor<R> at(T, 1), lse(1, N);
  const auto ask = [&] {
    ops::log_likelihoods(ctx, c.x.template rows_on<P>(), c.table.template matrix_on<P>(),
                         c.added.template matrix_on<P>(), targets, chunk, at.template rows_on<P, 1>(),
                         lse.template view_on<P>());
  };
  ask();
  for (int t = 0; t < T; ++t) CHECK(lse(0, targets[static_cast<std::size_t>(t)].row) - at(t, 0) == expected(0, t));
  targets[2].id = V + A;
  CHECK_THROWS_WITH(ask(),
                    Catch::Contains("[log_likelihoods] target 64 of row 2: there are 7 rows, and the vocabulary"));
}

TEST_CASE("cross_entropy survives logits that no exponential holds", "[cross_entropy]") {
  CrossEntropyCase<float> c;
  CrossEntropyCase<double> exact;
  for (float& x : c.x) x *= 1000;
  for (double& x : exact.x) x *= 1000;
  Context<Cpu<float>> ctx(1, 1 << 20);
  Context<Cpu<double>> exact_ctx(1, 1 << 20);
  c.forward(ctx, 7);
  exact.forward(exact_ctx, 7);
  for (const double nll : exact.nll) CHECK(std::isfinite(nll));
  CHECK(distance(c.nll, exact.nll).relative < chain_bound<float>(roundings));
}

TEST_CASE("cross_entropy says what is wrong", "[cross_entropy]") {
  using P = Cpu<float>;
  CrossEntropyCase<float> c;
  Context<P> ctx(1, 1 << 20);
  CHECK_THROWS_WITH(c.forward(ctx, 0), "[cross_entropy] chunk is 0, expected a positive number of vocabulary entries");
  CHECK_THROWS_WITH(c.backward(ctx, -1),
                    "[cross_entropy_backward] chunk is -1, expected a positive number of vocabulary entries");
  SECTION("smoothing") {
    c.smoothing = 1.5f;
    CHECK_THROWS_WITH(c.forward(ctx, 7), "[cross_entropy] smoothing is 1.5, expected a share: 0 to 1");
  }
  SECTION("targets") {
    c.targets = Tensor<int>::of({1, 2});
    CHECK_THROWS_WITH(c.forward(ctx, 7), "[cross_entropy] x is (7, 11) with 2 targets");
    CHECK_THROWS_WITH(c.backward(ctx, 7), "[cross_entropy_backward] x is (7, 11) with 2 targets");
  }
  SECTION("a target beyond the vocabulary") {
    c.targets(0, 3) = V + A;
    CHECK_THROWS_WITH(c.forward(ctx, 7), "[cross_entropy] target 64 at row 3: the vocabulary has 64 entries");
    c.targets(0, 3) = -1;
    CHECK_THROWS_WITH(c.forward(ctx, 7), "[cross_entropy] target -1 at row 3: the vocabulary has 64 entries");
  }
  SECTION("widths") {
    c.added = Tensor<float>(A, 5);
    CHECK_THROWS_WITH(c.forward(ctx, 7),
                      "[cross_entropy] x is (7, 11), table is (61, 11), added is (3, 5): "
                      "their last axes differ");
  }
}

}  // namespace cross_entropy_test
