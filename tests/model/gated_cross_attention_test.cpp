#include <flamingo/model/gated_cross_attention.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/cpu.hpp>
#include <flamingo/model/media.hpp>

#include "check/agree.hpp"
#include "check/xattn.hpp"
#include "support/gradient_check.hpp"
#include "support/layer.hpp"
#include "support/platforms.hpp"

namespace gated_cross_attention_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

/// A gated block with text and media, and what its gradient check needs.
template <XattnConfig C, int D, int E, Platform P>
struct GatedCase {
  using Layer = model::GatedCrossAttention<C, D, E, P>;
  using R = typename P::Real;

  Context<P> ctx{1, std::size_t{1} << 26};
  Store<Layer, P> weights, gradients;
  SpanList spans;
  std::vector<int> blind{};  ///< rows whose dense half is masked, where C masks it
  Tensor<R> x, media, z, dz, dx, dmedia;

  GatedCase(Store<Layer, P> w, SpanList s, Tensor<R> text, Tensor<R> visual)
      : weights(std::move(w)),
        spans(std::move(s)),
        x(std::move(text)),
        media(std::move(visual)),
        z(x.rows(), D, R(7)),
        dz(drawn_rows<R>(x.rows(), D, 3)),
        dx(x.rows(), D, R(7)),
        dmedia(media.rows(), E, R(7)) {}

  template <Need need>
  auto run(const SpanList& list, Tensor<R>& in, Tensor<R>& out) {
    const auto k = keep<Layer::KV>(ctx, media.rows()), v = keep<Layer::KV>(ctx, media.rows());
    auto m = Layer::template project<need>(ctx, weights.views, media.template rows_on<P, E>(), k, v);
    Pools<P> pools;
    pools.add({k, v});
    auto s = Layer::template forward<need>(ctx, weights.views, in.template rows_on<P, D>(), pools, table(ctx, list),
                                           out.template rows_on<P, D>(), table(ctx, blind));
    return std::pair(m, s);
  }
  void forward() {
    run<no_gradients>(spans, x, z);
    ctx.arena().release(0);
  }
  void backward() {
    const auto [m, s] = run<all_gradients>(spans, x, z);
    backward(m, s, dx.template rows_on<P, D>(), dmedia.template rows_on<P, E>(), gradients.views);
    ctx.arena().release(0);
  }
  template <class SavedMedia, class Saved, class DX, class DM, class G>
  void backward(const SavedMedia& m, const Saved& s, const DX& to_x, const DM& to_media, const G& g) {
    const auto scope = ctx.scope();
    const auto dk = scratch<Layer::KV>(ctx, media.rows()), dv = scratch<Layer::KV>(ctx, media.rows());
    gradients.clear();
    Layer::backward(ctx, weights.views, s, table(ctx, spans), dz.template rows_on<P, D>(), to_x,
                    PoolGradients<P>{{{dk, dv}}}, g, table(ctx, blind));
    Layer::project_backward(ctx, weights.views, m, dk, dv, to_media, g);
  }
};

template <class R, class X>
Tensor<R> copied(const X& rows) {
  Tensor<R> t(rows.rows, rows.width);
  std::copy_n(rows.data, t.size(), t.begin());
  return t;
}

constexpr XattnConfig peer(int heads, int head_dim, Visibility visibility) {
  return open_flamingo_masks({.heads = heads, .head_dim = head_dim, .activation = Activation::gelu}, visibility);
}

template <class R>
void check_all_peers() {
  constexpr auto last = Visibility::last_image, all = Visibility::all_earlier;
  check_agreement(
      check_xattn<peer(4, 8, last), 24, 20, Cpu<R>>(golden_path("xattn_openflamingo_immediate.safetensors")));
  check_agreement(check_xattn<peer(4, 8, all), 24, 20, Cpu<R>>(golden_path("xattn_openflamingo_all.safetensors")));
  check_agreement(
      check_xattn<peer(4, 8, all), 24, 20, Cpu<R>>(golden_path("xattn_openflamingo_all_leading_text.safetensors")));
  check_agreement(
      check_xattn<peer(8, 64, last), 16, 12, Cpu<R>>(golden_path("xattn_openflamingo_default.safetensors")));
  check_agreement(
      check_xattn<peer(2, 8, last), 16, 12, Cpu<R>>(golden_path("xattn_openflamingo_fewer_tokens.safetensors")));
  check_agreement(
      check_xattn<peer(2, 8, last), 16, 12, Cpu<R>>(golden_path("xattn_openflamingo_more_tokens.safetensors")));
  check_agreement(check_xattn<peer(3, 8, last), 20, 20, Cpu<R>>(golden_path("xattn_lucidrains_immediate.safetensors")));
  check_agreement(check_xattn<peer(3, 8, all), 20, 20, Cpu<R>>(golden_path("xattn_lucidrains_all.safetensors")));
}

constexpr int D = 7, E = 5, latents = 3;
constexpr XattnConfig paper{.heads = 2, .head_dim = 3, .widening = 2, .norm_media = true};
constexpr XattnConfig vectors{.heads = 2,
                              .head_dim = 3,
                              .widening = 1,
                              .activation = Activation::silu,
                              .vector_gates = true,
                              .visibility = Visibility::all_earlier};
constexpr XattnConfig evenly{.heads = 2,
                             .head_dim = 3,
                             .widening = 1,
                             .activation = Activation::gelu,
                             .before_first = NoImage::uniform,
                             .beyond_last = NoImage::uniform};
/// Idefics' block, with grouped keys on top: RMS norms, those of each head's queries and keys among them, and SwiGLU.
constexpr XattnConfig idefics{.heads = 2,
                              .kv_heads = 1,
                              .head_dim = 3,
                              .qk_norm = QkNorm::heads_rms,
                              .hidden = 11,
                              .activation = Activation::silu,
                              .gated_dense = true,
                              .norm = NormKind::rms,
                              .vector_gates = true,
                              .epsilon = 1e-3f};

/// Llama 3.2's layer, whose dense half is masked too: as its authors have it, and as transformers does.
template <NoImage Rule>
constexpr XattnConfig llama{.heads = 2,
                            .head_dim = 3,
                            .qk_norm = QkNorm::heads_rms,
                            .hidden = 11,
                            .activation = Activation::silu,
                            .gated_dense = true,
                            .norm = NormKind::rms,
                            .visibility = Visibility::last_run,
                            .before_first = Rule,
                            .mask_dense = true};

/// Two sequences: text before the first medium, a medium that nobody sees and more tags than media.
template <XattnConfig C>
SpanList two_sequences() {
  SpanList list;
  add_media_spans(list, C, std::vector<int>{0, 0, 1, 1, 2}, 0, 0, 3, latents);
  add_media_spans(list, C, std::vector<int>{0, 1, 1, 2, 2, 3}, 5, 3, 2, latents);
  return list;
}
constexpr int rows = 11, media = 5;

template <XattnConfig C, Platform P>
GatedCase<C, D, E, P> small_case() {
  using Layer = model::GatedCrossAttention<C, D, E, P>;
  using R = typename P::Real;
  return {drawn<Layer, P>(17), two_sequences<C>(), drawn_rows<R>(rows, D, 1), drawn_rows<R>(media * latents, E, 2)};
}

template <XattnConfig C>
void check_differences() {
  auto c = small_case<C, Cpu<double>>();
  c.backward();
  const auto loss = [&] {
    c.forward();
    return inner(c.dz, c.z);
  };
  CHECK(gradient_check(c.x, c.dx, loss).relative < difference_bound());
  CHECK(gradient_check(c.media, c.dmedia, loss).relative < difference_bound());
  check_weight_gradients(c.weights, c.gradients, loss);
}

}  // namespace

TEST_CASE("gated blocks agree with the peers' in float", "[xattn][golden]") { check_all_peers<float>(); }
TEST_CASE("gated blocks agree with the peers' in double", "[xattn][golden]") { check_all_peers<double>(); }

TEST_CASE("gated blocks' gradients are those of finite differences", "[xattn]") {
  check_differences<paper>();
  check_differences<vectors>();
  check_differences<evenly>();
  check_differences<idefics>();
}

TEST_CASE("a masked dense half leaves rows that see nothing as they are", "[xattn]") {
  const auto check_masked = []<XattnConfig C>() {
    using P = Cpu<double>;
    const std::vector<int> phi{0, 0, 1, 1, 2}, visible{latents, 2};
    const std::vector<SeenMedium> seen{{0, latents, 0}, {1, 2, 1}};
    SpanList list;
    std::vector<int> blind;
    add_media_spans(list, blind, C, phi, 0, seen, latents);
    CHECK(blind == std::vector<int>{0, 1});
    using Layer = model::GatedCrossAttention<C, D, E, P>;
    GatedCase<C, D, E, P> c(drawn<Layer, P>(17), list, drawn_rows<double>(5, D, 1),
                            drawn_rows<double>(2 * latents, E, 2));
    c.blind = blind;
    const auto [m, s] = c.template run<all_gradients>(c.spans, c.x, c.z);
    const auto attended = copied<double>(s.attended), widened = copied<double>(s.widened);
    for (int row = 0; row < 5; ++row) {
      CHECK(all_zero(rows_of(widened, row, 1)) == (row < 2));
      CHECK(all_zero(rows_of(attended, row, 1)) == (row < 2 && C.before_first == NoImage::zero));
      CHECK((rows_of(c.z, row, 1) == rows_of(c.x, row, 1)) == (row < 2 && C.before_first == NoImage::zero));
    }
    c.backward();
    const auto loss = [&] {
      c.forward();
      return inner(c.dz, c.z);
    };
    CHECK(gradient_check(c.x, c.dx, loss).relative < difference_bound());
    CHECK(gradient_check(c.media, c.dmedia, loss).relative < difference_bound());
    // The last row of a medium that shows two of three is seen by those alone that see everything.
    CHECK(all_zero(rows_of(c.dmedia, 2 * latents - 1, 1)) == (C.before_first == NoImage::zero));
    check_weight_gradients(c.weights, c.gradients, loss);
  };
  check_masked.template operator()<llama<NoImage::zero>>();
  check_masked.template operator()<llama<NoImage::unmasked>>();
}

TEMPLATE_LIST_TEST_CASE("a new gated block is the identity, bit for bit", "[xattn]", Platforms) {
  using R = typename TestType::Real;
  const R size = GENERATE(R(1), R(1e4));
  auto c = small_case<paper, TestType>();
  c.weights = Store<typename decltype(c)::Layer, TestType>(23);
  for (R& one : c.media) one *= size;
  c.forward();
  CHECK(c.z == c.x);
}

TEMPLATE_LIST_TEST_CASE("rows with φ = 0, and those past the last medium, get exactly zero", "[xattn]", Platforms) {
  using R = typename TestType::Real;
  auto c = small_case<paper, TestType>();
  const auto [m, s] = c.template run<all_gradients>(c.spans, c.x, c.z);
  const Tensor<R> attended = copied<R>(s.attended);
  for (int row = 0; row < rows; ++row) {
    const bool blind = row == 0 || row == 1 || row == 5 || row == 10;
    INFO(row);
    CHECK(all_zero(rows_of(attended, row, 1)) == blind);
    CHECK_FALSE(rows_of(c.z, row, 1) == rows_of(c.x, row, 1));  // the feed-forward acts on every row
  }
  c.backward();
  CHECK(all_zero(rows_of(c.dmedia, 2 * latents, latents)));  // medium 2 is seen by nobody
  CHECK_FALSE(all_zero(rows_of(c.dmedia, latents, latents)));
}

TEMPLATE_LIST_TEST_CASE("a block without media leaves its attention alone", "[xattn]", Platforms) {
  using R = typename TestType::Real;
  using Layer = model::GatedCrossAttention<paper, D, E, TestType>;
  SpanList none;
  add_media_spans(none, paper, std::vector<int>{0, 0, 1, 1, 1}, 0, 0, 0, latents);
  CHECK(none.spans.empty());
  GatedCase<paper, D, E, TestType> c(drawn<Layer, TestType>(17), none, drawn_rows<R>(5, D, 1), Tensor<R>(0, E));
  c.backward();
  auto& g = c.gradients.views;
  CHECK(distance(g.attention.query.data, std::vector<R>(g.attention.query.size()).data(), g.attention.query.size())
            .largest == 0);
  CHECK(g.attention_gate.data[0] == 0);
  CHECK(g.dense_gate.data[0] != 0);
  CHECK(std::all_of(c.dx.begin(), c.dx.end(), [](R x) { return std::isfinite(x) && x != R(7); }));
}

TEST_CASE("an unwanted gradient of a gated block changes no other bit", "[xattn]") {
  using P = Cpu<double>;
  auto all = small_case<paper, P>(), inputs = small_case<paper, P>(), weights = small_case<paper, P>();
  using Layer = decltype(all)::Layer;
  all.backward();
  const auto [m, s] = inputs.run<input_gradients>(inputs.spans, inputs.x, inputs.z);
  inputs.backward(m, s, inputs.dx.rows_on<P, D>(), inputs.dmedia.rows_on<P, E>(), frozen<Layer>);
  CHECK(inputs.z == all.z);
  CHECK(inputs.dx == all.dx);
  CHECK(inputs.dmedia == all.dmedia);
  CHECK(all_zero(inputs.gradients.flat));
  const auto [wm, ws] = weights.run<all_gradients>(weights.spans, weights.x, weights.z);
  weights.backward(wm, ws, weights.dx.rows_on<P, D>(), NoGrad{}, weights.gradients.views);
  CHECK(weights.gradients.flat == all.gradients.flat);
}

}  // namespace gated_cross_attention_test
