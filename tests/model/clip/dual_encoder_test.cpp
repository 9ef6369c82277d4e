#include <flamingo/model/clip/dual_encoder.hpp>

#include <catch2/catch.hpp>

#include "check/clip.hpp"
#include "support/gradient_check.hpp"
#include "support/layer.hpp"

namespace clip_dual_encoder_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

// The configs that tests/check/clip.py writes for the files.
constexpr ClipConfig gelu{
    .vision =
        {.image = 30, .patch = 10, .dim = 20, .layers = 2, .heads = 2, .hidden = 32, .activation = Activation::gelu},
    .text = {.context = 10,
             .vocabulary = 60,
             .dim = 20,
             .layers = 2,
             .heads = 2,
             .hidden = 28,
             .activation = Activation::gelu,
             .pooling = TextPooling::first_end,
             .end = 57},
    .projection = 12};
constexpr ClipConfig open_clip_2{.vision = {.image = 28, .patch = 7, .dim = 32, .layers = 3, .heads = 4, .hidden = 64},
                                 .text = {.context = 9, .vocabulary = 40, .dim = 24, .layers = 2, .heads = 3},
                                 .projection = 16};
constexpr ClipConfig open_clip_3 = [] {
  ClipConfig c = open_clip_2;
  c.vision.post_norm = true;
  return c;
}();

constexpr ClipConfig small{.vision = {.image = 6, .patch = 3, .dim = 6, .layers = 1, .heads = 2, .hidden = 5},
                           .text = {.context = 7, .vocabulary = 11, .dim = 4, .layers = 1, .heads = 1, .hidden = 5},
                           .projection = 3};
const std::vector<std::vector<int>> small_texts{{1, 4, 2, 10}, {1, 10, 3}, {1, 5, 5, 7, 2, 10}};
constexpr int N = 3;

/// The loss of three drawn pairs.
template <Platform P>
struct Pairs {
  using Net = model::DualEncoder<small, P>;
  using R = typename P::Real;
  using A = AccumulateOf<P>;
  Context<P> ctx{1, 1 << 24};
  Store<Net, P> w = drawn<Net, P>(5), g;
  Tensor<R> pixels = drawn_rows<R>(N * 36, 3, 1), dpixels{N * 36, 3}, images{N, Net::J}, texts{N, Net::J};
  std::vector<Grid> grids{{0, 6, 6}, {36, 6, 6}, {72, 6, 6}};
  ClipTextPlan plan = ClipTextPlan::of(small.text, small_texts);

  template <Need need, class W>
  auto run(const W& weights) {
    const auto x = pixels.template rows_on<P, 3>();
    const auto i = images.template rows_on<P, Net::J>(), t = texts.template rows_on<P, Net::J>();
    auto p = Net::template pictures<need>(ctx, weights, x, grids, i);
    auto l = Net::template texts<need>(ctx, weights, plan, t);
    const auto nll = take_vector<A, true>(ctx, 2 * N);
    auto c = Net::Loss::template forward<need>(ctx, weights.log_scale, i, t, nll);
    return std::tuple(std::move(p), std::move(l), std::move(c), nll);
  }
  double loss() {
    const auto mark = ctx.kept_scope();
    const auto nll = std::get<3>(run<no_gradients>(w.views));
    double sum = 0;
    for (int n = 0; n < 2 * N; ++n) sum += static_cast<double>(nll.data[n]) / (2 * N);
    return sum;
  }
  void backward() {
    const auto mark = ctx.kept_scope();
    const auto [p, l, c, nll] = run<all_gradients>(w.views);
    const auto weights = take_vector<A, true>(ctx, 2 * N);
    std::fill_n(weights.data, 2 * N, A(1) / (2 * N));
    const auto di = keep<Net::J>(ctx, N), dt = keep<Net::J>(ctx, N);
    Net::Loss::backward(ctx, w.views.log_scale, c, weights, di, dt, g.views.log_scale);
    Net::pictures_backward(ctx, w.views, p, grids, di, dpixels.template rows_on<P, 3>(), g.views);
    Net::texts_backward(ctx, w.views, l, plan, dt, g.views);
  }
};

}  // namespace

TEST_CASE("CLIP's hidden states, embeddings, logits, loss and gradients agree with transformers", "[clip]") {
  const Report report = check_clip<gelu, ClipPeer::hugging_face>(golden_path("clip_model_gelu_io.safetensors"));
  INFO(report.text());
  CHECK(report.agrees());
  CHECK(report.gradients > 0);
}
TEST_CASE("CLIP's features, embeddings and loss agree with OpenCLIP, before and after its version 3", "[clip]") {
  const Report second = check_clip<open_clip_2, ClipPeer::open_clip>(golden_path("openclip_model_v2.safetensors")),
               third = check_clip<open_clip_3, ClipPeer::open_clip>(golden_path("openclip_model_v3.safetensors"));
  INFO(second.text() << "\n" << third.text());
  CHECK(second.agrees());
  CHECK(third.agrees());
}

TEST_CASE("a dual encoder's gradients are those of finite differences", "[clip]") {
  Pairs<Cpu<double>> pairs;
  pairs.backward();
  const auto loss = [&] { return pairs.loss(); };
  check_weight_gradients(pairs.w, pairs.g, loss);
  CHECK(distance(pairs.dpixels, differences(pairs.pixels, loss)).largest <
        gradient_bound(std::sqrt(inner(pairs.dpixels, pairs.dpixels)), loss()));
  CHECK(pairs.ctx.arena().kept() == 0);
  CHECK(pairs.ctx.arena().scratched() == 0);
}

TEST_CASE("embeddings have length 1 and do not depend on what else is embedded", "[clip]") {
  using P = Cpu<float>;
  Pairs<P> pairs;
  pairs.loss();
  using Net = Pairs<P>::Net;
  for (int n = 0; n < N; ++n) {
    const auto i = rows_of(pairs.images, n, 1), t = rows_of(pairs.texts, n, 1);
    CHECK(inner(i, i) == Approx(1).epsilon(chain_bound<float>(20)));
    CHECK(inner(t, t) == Approx(1).epsilon(chain_bound<float>(20)));
    Tensor<float> alone(1, Net::J);
    const auto out = alone.rows_on<P, Net::J>();
    const std::vector<Grid> one{{0, 6, 6}};
    Net::pictures(pairs.ctx, pairs.w.views, rows_of(pairs.pixels, 36 * n, 36).rows_on<P, 3>(), one, out);
    CHECK(alone == i);
    const std::vector<std::vector<int>> text{small_texts[static_cast<std::size_t>(n)]};
    Net::texts(pairs.ctx, pairs.w.views, ClipTextPlan::of(small.text, text), out);
    CHECK(alone == t);
  }
}

TEST_CASE("packed weights embed as stored ones", "[clip]") {
  using P = Cpu<float>;
  using Net = model::DualEncoder<gelu, P>;
  const auto file = std::make_shared<const io::Safetensors>(golden_path("clip_model_gelu/model.safetensors"));
  Store<Net, P> stored;
  load_numbers<Net>(*file, stored.views, hugging_face_clip_names());
  const auto packed = PackedWeights<Net, P>::load(file, Held::as_stored, hugging_face_clip_names());
  Context<P> ctx(1, 1 << 24);
  const auto x = drawn_rows<float>(900, 3, 1);
  const std::vector<Grid> grids{{0, 30, 30}};
  const ClipTextPlan plan = ClipTextPlan::of(gelu.text, std::vector<std::vector<int>>{{58, 3, 9, 57}});
  Tensor<float> a(2, Net::J), b(2, Net::J);
  const auto embed = [&](const auto& w, Tensor<float>& y) {
    const auto all = y.rows_on<P, Net::J>();
    Net::pictures(ctx, w, x.rows_on<P, 3>(), grids, all.slice(0, 1));
    Net::texts(ctx, w, plan, all.slice(1, 1));
  };
  embed(stored.views, a);
  embed(packed.views, b);
  CHECK(a == b);
}

TEST_CASE("a new dual encoder begins at the logit scale of its config", "[clip]") {
  using P = Cpu<float>;
  const Store<model::DualEncoder<small, P>, P> fresh(1);
  CHECK(fresh.views.log_scale.data[0] == small.first_log_scale);
}

}  // namespace clip_dual_encoder_test
