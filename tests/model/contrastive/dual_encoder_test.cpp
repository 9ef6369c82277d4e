#include <flamingo/model/contrastive/dual_encoder.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>

#include "model/contrastive/pairs.hpp"
#include "support/gradient_check.hpp"

namespace contrastive_dual_encoder_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

const std::vector<std::vector<int>> texts{{1, 4, 2}, {10}, {1, 5, 5, 7, 2}};
constexpr int N = 3;

template <Platform P>
struct Pairs {
  using Net = SmallPairNet<P>;
  using R = typename P::Real;
  using A = AccumulateOf<P>;
  Context<P> ctx{1, 1 << 24};
  Store<Net, P> w = drawn<Net, P>(5), g;
  Tensor<R> pixels = drawn_rows<R>(N * 36, 3, 1), dpixels{N * 36, 3}, pictures{N, Net::J}, lines{N, Net::J};
  std::vector<Grid> grids = small_pictures(N);
  BertPlan plan = Net::plan_of(texts);

  template <Need need>
  auto run() {
    const auto i = pictures.template rows_on<P, Net::J>(), t = lines.template rows_on<P, Net::J>();
    const Tensor<R>& x = pixels;
    auto p = Net::template pictures<need>(ctx, w.views, x.template rows_on<P, 3>(), grids, i);
    auto l = Net::template texts<need>(ctx, w.views, plan, t);
    const auto nll = take_vector<A, true>(ctx, 2 * N);
    auto c = Net::Loss::template forward<need>(ctx, w.views.log_scale, i, t, nll, Net::smoothing);
    return std::tuple(std::move(p), std::move(l), std::move(c), nll);
  }
  double loss() {
    const auto kept = ctx.kept_scope();
    const auto nll = std::get<3>(run<no_gradients>());
    double sum = 0;
    for (int n = 0; n < 2 * N; ++n) sum += static_cast<double>(nll.data[n]) / (2 * N);
    return sum;
  }
  void backward() {
    const auto kept = ctx.kept_scope();
    const auto [p, l, c, nll] = run<all_gradients>();
    const auto weights = take_vector<A, true>(ctx, 2 * N);
    std::fill_n(weights.data, 2 * N, A(1) / (2 * N));
    const auto di = keep<Net::J>(ctx, N), dt = keep<Net::J>(ctx, N);
    Net::Loss::backward(ctx, w.views.log_scale, c, weights, di, dt, g.views.log_scale);
    Net::pictures_backward(ctx, w.views, p, grids, di, dpixels.template rows_on<P, 3>(), g.views);
    Net::texts_backward(ctx, w.views, l, plan, dt, g.views);
  }
};

}  // namespace

TEST_CASE("the gradients of a mean-pooled dual encoder are those of finite differences", "[contrastive]") {
  Pairs<Cpu<double>> pairs;
  pairs.backward();
  const auto loss = [&] { return pairs.loss(); };
  check_weight_gradients(pairs.w, pairs.g, loss);
  CHECK(distance(pairs.dpixels, differences(pairs.pixels, loss)).largest <
        gradient_bound(std::sqrt(inner(pairs.dpixels, pairs.dpixels)), loss()));
  CHECK((pairs.ctx.arena().kept() == 0 && pairs.ctx.arena().scratched() == 0));
}

TEST_CASE("a picture's embedding is the projected mean of its encoder's rows, whatever else is embedded",
          "[contrastive]") {
  using P = Cpu<double>;
  using Net = SmallPairNet<P>;
  Pairs<P> pairs;
  pairs.loss();
  const std::vector<Grid> one = small_pictures(1);
  for (int n = 0; n < N; ++n) {
    const auto x = rows_of(pairs.pixels, 36 * n, 36);
    Tensor<double> rows(4, Net::D), mean(1, Net::D), expected(1, Net::J), text(1, Net::J);
    Net::VisionTower::forward(pairs.ctx, pairs.w.views.vision, x.rows_on<P, 3>(), one, rows.rows_on<P, Net::D>());
    for (int d = 0; d < Net::D; ++d) mean(0, d) = (rows(0, d) + rows(1, d) + rows(2, d) + rows(3, d)) / 4;
    double squares = 0;
    for (int j = 0; j < Net::J; ++j) {
      for (int d = 0; d < Net::D; ++d) expected(0, j) += pairs.w.views.vision_projection.row(j)[d] * mean(0, d);
      squares += expected(0, j) * expected(0, j);
    }
    for (double& number : expected) number /= std::sqrt(squares);
    CHECK(distance(rows_of(pairs.pictures, n, 1), expected).largest < 1e-14);
    const std::vector<std::vector<int>> line{texts[static_cast<std::size_t>(n)]};
    Net::texts(pairs.ctx, pairs.w.views, Net::plan_of(line), text.rows_on<P, Net::J>());
    CHECK(text == rows_of(pairs.lines, n, 1));
  }
}

TEST_CASE("the defaults of contrastive pretraining are the paper's", "[contrastive]") {
  constexpr ContrastiveConfig<Vit> paper{};
  STATIC_REQUIRE(paper.projection == 1376);
  STATIC_REQUIRE(paper.smoothing == 0.1f);
  STATIC_REQUIRE((paper.text.vocabulary == 100000 && paper.text.context == 64));
  STATIC_REQUIRE(paper.text.hidden_size() == 1024);
  const Store<SmallPairNet<Cpu<float>>, Cpu<float>> fresh(1);
  CHECK(fresh.views.log_scale.data[0] == small_pair_config.first_log_scale);
}

}  // namespace contrastive_dual_encoder_test
