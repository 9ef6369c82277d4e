#include <flamingo/model/clip/contrastive.hpp>

#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/cpu.hpp>

#include "support/gradient_check.hpp"
#include "support/layer.hpp"

namespace contrastive_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr int J = 3;

/// nll of each picture's text and of each text's picture, from all logits.
Tensor<double> naive(const Tensor<double>& pictures, const Tensor<double>& texts, double log_scale, double smoothing) {
  const int N = pictures.rows();
  Tensor<double> nll(1, 2 * N);
  for (int side = 0; side < 2; ++side)
    for (int n = 0; n < N; ++n) {
      double sum = 0, own = 0, all = 0;
      for (int m = 0; m < N; ++m) {
        double logit = 0;
        for (int j = 0; j < J; ++j) logit += side ? texts(n, j) * pictures(m, j) : pictures(n, j) * texts(m, j);
        logit *= std::exp(log_scale);
        sum += std::exp(logit);
        all += logit;
        if (m == n) own = logit;
      }
      nll(0, side * N + n) = std::log(sum) - (1 - smoothing) * own - smoothing / N * all;
    }
  return nll;
}

template <Platform P>
struct LossCase {
  using R = typename P::Real;
  using Loss = model::Contrastive<J, P>;
  int N;
  float smoothing = 0;
  Context<P> ctx{1, 1 << 28};
  Tensor<R> pictures = drawn_rows<R>(N, J, 1), texts = drawn_rows<R>(N, J, 2), log_scale = Tensor<R>::of({R(0.5)});
  Tensor<R> nll{1, 2 * N}, dpictures{N, J, R(7)}, dtexts{N, J, R(7)}, dlog_scale{1, 1};
  Tensor<R> weights = Tensor<R>::random(1, 2 * N, 3, 0.5, 1.5);

  template <Need need>
  auto forward() {
    return Loss::template forward<need>(ctx, log_scale.template vector_on<P, 1>(), pictures.template rows_on<P, J>(),
                                        texts.template rows_on<P, J>(), nll.template view_on<P>(), smoothing);
  }
  template <class DS>
  void backward(const DS& ds) {
    const auto mark = ctx.kept_scope();
    const auto saved = forward<all_gradients>();
    const View<P, 1, const R> each{weights.data(), {2 * N}};
    Loss::backward(ctx, log_scale.template vector_on<P, 1>(), saved, each, dpictures.template rows_on<P, J>(),
                   dtexts.template rows_on<P, J>(), ds);
  }
};

}  // namespace

TEST_CASE("the contrastive loss is that of all logits, however many pairs there are", "[clip]") {
  const int N = GENERATE(1, 5, model::Contrastive<J, Cpu<double>>::chunk + 7);
  const float smoothing = GENERATE(0.0f, 0.1f);
  LossCase<Cpu<double>> exact{N, smoothing};
  LossCase<Cpu<float>> single{N, smoothing};
  exact.forward<no_gradients>();
  single.forward<no_gradients>();
  const auto expected = naive(exact.pictures, exact.texts, 0.5, static_cast<double>(smoothing));
  CHECK(distance(exact.nll, expected).largest < 1e-12);
  constexpr double largest_logit = 1.65 * J * 1.5 * 1.5;  // exp(1/2) <row, row>, of which each error is a share
  CHECK(distance(single.nll, expected).largest < largest_logit * chain_bound<float>(J + 16));
  if (N == 1) CHECK(exact.nll(0, 0) == Approx(0).margin(1e-15));
}

TEST_CASE("the contrastive loss's gradients are those of finite differences", "[clip]") {
  const float smoothing = GENERATE(0.0f, 0.3f);
  LossCase<Cpu<double>> c{5, smoothing};
  c.backward(c.dlog_scale.vector_on<Cpu<double>, 1>());
  const auto loss = [&] {
    return inner(c.weights, naive(c.pictures, c.texts, c.log_scale(0, 0), static_cast<double>(smoothing)));
  };
  CHECK(gradient_check(c.pictures, c.dpictures, loss).relative < difference_bound());
  CHECK(gradient_check(c.texts, c.dtexts, loss).relative < difference_bound());
  CHECK(gradient_check(c.log_scale, c.dlog_scale, loss).relative < difference_bound());
  LossCase<Cpu<double>> frozen_scale{5, smoothing};
  frozen_scale.backward(NoGrad{});
  CHECK(frozen_scale.dpictures == c.dpictures);
  CHECK(frozen_scale.dtexts == c.dtexts);
  CHECK(frozen_scale.ctx.arena().kept() == 0);
}

TEST_CASE("the contrastive loss asks for as many texts as pictures", "[clip]") {
  LossCase<Cpu<float>> c{5};
  c.texts = Tensor<float>(4, J);
  CHECK_THROWS_WITH(c.forward<no_gradients>(), Catch::Contains("there are 5 pictures, 4 texts and 10 likelihoods"));
}

}  // namespace contrastive_test
