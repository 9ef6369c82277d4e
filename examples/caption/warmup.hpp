/// A contrastive warm-up of the Resampler: before any caption is written, the mean latent of a picture learns to find
/// the mean embedding of its caption among those of the batch (InfoNCE, both directions). No pass through the language
/// model.
///
/// The gated layers then meet latents that already tell pictures apart in the language model's own terms; without it
/// the captions' words are learned long before the pictures are looked at.
#pragma once
#include <cmath>
#include <vector>

#include "batches.hpp"

namespace caption {

/// Two linear maps into a space of `space` numbers. They are thrown away after the warm-up.
struct Projections {
  static constexpr int space = 256;
  template <class S>
  struct Parameters {
    flamingo::Matrix<S, space, Model::E> picture;
    flamingo::Matrix<S, space, Model::D> text;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(flamingo::matrix_spec("picture", space, Model::E, flamingo::Init::normal(0.05f)), p.picture...);
    visit(flamingo::matrix_spec("text", space, Model::D, flamingo::Init::normal(0.05f)), p.text...);
  }
};

/// Rows of length 1, and the gradient through that.
struct UnitRows {
  std::vector<float> lengths;

  template <class X>
  explicit UnitRows(const X& x) {
    for (int n = 0; n < x.rows; ++n) {
      float squares = 1e-12f;
      for (int d = 0; d < x.width; ++d) squares += x.row(n)[d] * x.row(n)[d];
      lengths.push_back(std::sqrt(squares));
      for (int d = 0; d < x.width; ++d) x.row(n)[d] /= lengths.back();
    }
  }
  /// dx = (dy - y <y, dy>) / length, in place.
  template <class X>
  void backward(const X& y, const X& dy) const {
    for (int n = 0; n < y.rows; ++n) {
      float along = 0;
      for (int d = 0; d < y.width; ++d) along += y.row(n)[d] * dy.row(n)[d];
      for (int d = 0; d < y.width; ++d)
        dy.row(n)[d] = (dy.row(n)[d] - y.row(n)[d] * along) / lengths[static_cast<std::size_t>(n)];
    }
  }
};

/// Trains trainer.weights.resampler for `steps` updates of `pairs` pictures.
template <class Trainer>
void warm_up(flamingo::Context<P>& ctx, Trainer& trainer, const std::vector<Picture>& pictures,
             const Features& features, const Backbones& backbones, const std::vector<std::size_t>& members, long steps,
             int pairs) {
  using Resampler = Model::ResamplerLayer;
  constexpr float sharpness = 14;  // the inverse temperature, about CLIP's at its beginning
  flamingo::Store<Projections, P> maps(7), dmaps;
  flamingo::OptimizerOptions options{.beta2 = 0.98};
  options.group = [](const flamingo::Spec&) { return flamingo::Group{1, 0}; };
  flamingo::Optimizer<Connector, P> optimizer(options);
  flamingo::Optimizer<Projections, P> map_optimizer(options);
  const flamingo::Schedule schedule{
      .peak = 1e-3, .warmup = 20, .shape = flamingo::Schedule::Shape::cosine, .steps = steps, .floor = 0.1};
  flamingo::Progress progress(std::cerr, "warm-up", steps);
  double recent = 0;
  for (long step = 1; step <= steps; ++step) {
    const std::size_t mark = ctx.arena().kept();
    const auto scope = ctx.scope();
    flamingo::Random random(21, static_cast<std::uint64_t>(step));
    Batch batch;
    std::vector<std::size_t> drawn;
    auto text = flamingo::scratch<Model::D>(ctx, pairs);  // (N, D): mean embeddings of captions
    flamingo::ops::clear(ctx, text);
    for (int n = 0; n < pairs; ++n) {
      const std::size_t i = members[static_cast<std::size_t>(random.below(static_cast<int>(members.size())))];
      drawn.push_back(i);
      add_medium(batch, features.of(i, random.below(features.variations(i))), 0, 0.4f, random);
      const std::vector<int> ids = backbones.tokenizer.encode(" " + pictures[i].caption);
      const auto inner = ctx.scope();
      const auto rows = flamingo::scratch<Model::D>(ctx, static_cast<int>(ids.size()));
      Lm::embed(ctx, backbones.lm.views, flamingo::table(ctx, ids), rows);
      for (int t = 0; t < rows.rows; ++t)
        for (int d = 0; d < Model::D; ++d) text.row(n)[d] += rows.row(t)[d] / static_cast<float>(rows.rows);
    }
    const UnitRows text_scale(text);  // frozen embeddings, brought to one scale

    const auto plan = flamingo::ResamplerPlan::of(config.resampler, batch.media);
    const auto latents = flamingo::keep<Model::E>(ctx, pairs * Model::R);
    const flamingo::Rows<P, Encoder::D, const float> rows{
        batch.features.data(), static_cast<int>(batch.features.size()) / Encoder::D, {}};
    const auto saved =
        Resampler::forward<flamingo::weight_gradients>(ctx, trainer.weights.views.resampler, rows, plan, latents);
    const auto pooled = flamingo::scratch<Model::E>(ctx, pairs), dpooled = flamingo::scratch<Model::E>(ctx, pairs);
    flamingo::ops::clear(ctx, pooled);
    for (int n = 0; n < latents.rows; ++n)
      for (int d = 0; d < Model::E; ++d) pooled.row(n / Model::R)[d] += latents.row(n)[d] / float(Model::R);
    const auto a = flamingo::scratch<Projections::space>(ctx, pairs),
               b = flamingo::scratch<Projections::space>(ctx, pairs);
    const auto da = flamingo::scratch<Projections::space>(ctx, pairs),
               db = flamingo::scratch<Projections::space>(ctx, pairs);
    flamingo::ops::linear(ctx, pooled, maps.views.picture, a);
    flamingo::ops::linear(ctx, text, maps.views.text, b);
    const UnitRows unit_a(a), unit_b(b);

    // logits[i][j] = sharpness <a_i, b_j>; pairs of one concept are right answers to each other.
    std::vector<double> logits(static_cast<std::size_t>(pairs * pairs)), gradient(logits.size(), 0);
    const auto at = [pairs](int i, int j) { return static_cast<std::size_t>(i * pairs + j); };
    for (int i = 0; i < pairs; ++i)
      for (int j = 0; j < pairs; ++j) {
        float dot = 0;
        for (int d = 0; d < Projections::space; ++d) dot += a.row(i)[d] * b.row(j)[d];
        logits[at(i, j)] = static_cast<double>(sharpness * dot);
      }
    double loss = 0;
    const auto direction = [&](auto&& place) {  // place(i, j): the logit of answer j to question i
      for (int i = 0; i < pairs; ++i) {
        double all = 0, right = 0;
        const auto same = [&](int j) {
          return pictures[drawn[static_cast<std::size_t>(i)]].concept_key ==
                 pictures[drawn[static_cast<std::size_t>(j)]].concept_key;
        };
        for (int j = 0; j < pairs; ++j) {
          const double e = std::exp(logits[place(i, j)]);
          all += e;
          if (same(j)) right += e;
        }
        loss -= std::log(right / all) / (2 * pairs);
        for (int j = 0; j < pairs; ++j) {
          const double e = std::exp(logits[place(i, j)]);
          gradient[place(i, j)] += (e / all - (same(j) ? e / right : 0)) / (2 * pairs);
        }
      }
    };
    direction(at);
    direction([&](int i, int j) { return at(j, i); });
    flamingo::ops::clear(ctx, da);
    flamingo::ops::clear(ctx, db);
    for (int i = 0; i < pairs; ++i)
      for (int j = 0; j < pairs; ++j) {
        const float g = sharpness * static_cast<float>(gradient[at(i, j)]);
        for (int d = 0; d < Projections::space; ++d) {
          da.row(i)[d] += g * b.row(j)[d];
          db.row(j)[d] += g * a.row(i)[d];
        }
      }
    unit_a.backward(a, da);
    unit_b.backward(b, db);
    dmaps.clear();
    trainer.gradients.clear();
    flamingo::ops::linear_backward(ctx, pooled, maps.views.picture, da, dpooled, dmaps.views.picture);
    flamingo::ops::linear_backward(ctx, text, maps.views.text, db, flamingo::NoGrad{}, dmaps.views.text);
    const auto dlatents = flamingo::scratch<Model::E>(ctx, latents.rows);
    for (int n = 0; n < latents.rows; ++n)
      for (int d = 0; d < Model::E; ++d) dlatents.row(n)[d] = dpooled.row(n / Model::R)[d] / float(Model::R);
    Resampler::backward(ctx, trainer.weights.views.resampler, saved, plan, dlatents, flamingo::NoGrad{},
                        trainer.gradients.views.resampler);
    optimizer.step(ctx, trainer.weights, trainer.gradients, schedule.rate(step));
    map_optimizer.step(ctx, maps, dmaps, schedule.rate(step));
    ctx.arena().release(mark);
    recent += (loss - recent) / static_cast<double>(std::min<long>(step, 20));
    std::ostringstream what;
    what << "loss " << recent << " of " << std::log(pairs);
    progress.report(step, what.str());
  }
}

}  // namespace caption
