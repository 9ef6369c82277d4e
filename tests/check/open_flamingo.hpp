/// Checks of a whole OpenFlamingo: pictures, Resampler, every block, logits under both rules of sight, the loss, the
/// gradients of what is trained, and decoding.
#pragma once
#include <cmath>
#include <filesystem>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/infer/engine.hpp>
#include <flamingo/model/clip/clip_names.hpp>
#include <flamingo/model/open_flamingo_names.hpp>
#include <flamingo/model/vision/vit.hpp>

#include "check/decoding.hpp"
#include "check/masks.hpp"
#include "check/pictures.hpp"

namespace flamingo::test {

/// C is a FlamingoConfig<Vit, Mpt or GptNeox> that attends to the last medium.
template <auto C, Platform P>
struct OpenFlamingoCase {
  using Model = model::Flamingo<C, P>;
  using Vision = model::VisionTransformer<C.vision, P>;
  using Decoder = typename Model::Decoder;
  using Resampler = typename Model::ResamplerLayer;
  using Real = typename P::Real;
  static constexpr int D = Model::D, V = Model::V, E = Model::E, R = Model::R;

  Golden golden;
  Store<Vision, P> vision;
  Store<typename Model::Connect, P> connector, connector_gradients;
  Store<Decoder, P> lm, lm_gradients;
  Context<P> ctx{1};
  std::vector<Medium> media;
  int per_sequence = 0;  ///< media, those of padding included
  Tensor<Real> features{0, 1};
  PaddedBatch batch;
  std::vector<Sequence> sequences;

  explicit OpenFlamingoCase(const std::filesystem::path& path)
      : golden(path), batch(golden.file.at("in.lang_x"), golden.ids("in.attention_mask")) {
    load_numbers<Vision>(golden.file, vision.views, open_clip_vit_names(C.vision).within("", "param.vision_encoder."));
    load_numbers<typename Model::Connect>(golden.file, connector.views, open_flamingo_names(C).within("", "param."));
    load_numbers<Decoder>(golden.file, lm.views, open_flamingo_lm_names(C.lm).within("", "param."));

    const auto& shape = golden.file.at("in.vision_x").shape;  // (B, M, frames, 3, height, width)
    per_sequence = static_cast<int>(shape[1]);
    const int frames = static_cast<int>(shape[2]), rows = frames * Vision::S;
    for (int m = 0; m < static_cast<int>(shape[0]) * per_sequence; ++m)
      media.push_back({m * rows, rows, frames, m % per_sequence});

    const auto tag = static_cast<int>(golden.meta("config").at("media_token_id").as_double());
    const auto labels = golden.ids("in.labels");
    for (std::size_t b = 0; b < batch.sequences.size(); ++b) {
      Sequence s;
      s.ids = batch.sequences[b];
      std::vector<int> tags;
      for (std::size_t t = 0; t < s.ids.size(); ++t)
        if (s.ids[t] == tag) tags.push_back(static_cast<int>(t));
      s.phi = phi_of(tags, static_cast<int>(s.ids.size()));
      s.targets = batch.targets(b, labels);
      s.first_medium = static_cast<int>(b) * per_sequence;
      s.media = per_sequence;
      sequences.push_back(s);
    }
  }

  /// Patch tokens of all pictures, and the class token's projection into CLIP's common space.
  void see() {
    const GoldenPictures<Real> in(golden.file.at("in.vision_x"));
    const auto pictures = static_cast<int>(in.grids.size());
    features = Tensor<Real>(pictures * Vision::S, C.vision.dim);
    Vision::forward(ctx, vision.views, in.template rows<P>(), in.grids, features.template rows_on<P, C.vision.dim>());
    golden.output("mid.vision_tokens", features);

    constexpr Vit whole = [] {
      Vit c = C.vision;
      c.class_out = c.post_norm = true;
      return c;
    }();
    using Tower = model::VisionTransformer<whole, P>;
    Store<Tower, P> tower;
    load_numbers<Tower>(golden.file, tower.views, open_clip_vit_names(whole).within("", "param.vision_encoder."));
    Tensor<Real> rows(pictures * Tower::T, C.vision.dim);
    Tower::forward(ctx, tower.views, in.template rows<P>(), in.grids, rows.template rows_on<P, C.vision.dim>());
    const auto projection = golden.at("param.vision_encoder.proj");  // (width, common space)
    const auto width = static_cast<int>(golden.file.at("param.vision_encoder.proj").shape[1]);
    Tensor<double> pooled(pictures, width);
    for (int p = 0; p < pooled.rows(); ++p)
      for (int o = 0; o < width; ++o)
        for (int i = 0; i < C.vision.dim; ++i)
          pooled(p, o) += static_cast<double>(rows(p * Tower::T, i)) *
                          static_cast<double>(projection[static_cast<std::size_t>(i * width + o)]);
    golden.output("mid.vision_pooled", pooled);
  }

  template <class X>
  static Tensor<Real> copied(const X& rows) {
    Tensor<Real> t(rows.rows, static_cast<int>(rows.width));
    std::copy_n(rows.data, t.size(), t.data());
    return t;
  }
  Tensor<Real> logits(const Tensor<Real>& hidden) {
    Tensor<Real> y(hidden.rows(), V);
    auto rows = hidden;
    Decoder::logits(ctx, lm.views, rows.template rows_on<P, D>(), y.template rows_on<P, V>());
    return y;
  }

  /// Forward and backward; adds to the connector's gradients and to those of the decoder, `glm`.
  template <class GL>
  void train(const GL& glm) {
    constexpr typename Model::Trained trained{.connector = true, .lm = true};
    const auto kept = ctx.kept_scope();
    const auto scope = ctx.scope();
    const auto latents_plan = ResamplerPlan::of(C.resampler, media);
    const auto plan = DecoderPlan::of(sequences, C.xattn, R);
    const int N = plan.rows(), MR = latents_plan.media * R, asked = static_cast<int>(plan.targets.size());
    const Tensor<Real>& seen = features;
    Tensor<Real> hidden(N, D), latents(MR, E);
    const auto resampled = Resampler::template forward<all_gradients>(
        ctx, connector.views.resampler, seen.template rows_on<P, E>(), latents_plan, latents.template rows_on<P, E>());
    golden.output("mid.perceiver", latents);
    const auto saved = Model::template forward<trained>(
        ctx, connector.views, lm.views, plan, latents.template rows_on<P, E>(), hidden.template rows_on<P, D>());
    for (std::size_t i = 0; i < Model::layers; ++i) {
      const std::string number = std::to_string(i);
      if (Model::gated_before(i) != Model::none)
        golden.output("mid.gated_cross_attn." + number, copied(saved.blocks[i].norm.x), batch.places);
      const std::size_t next = i + 1 < Model::layers ? Model::gated_before(i + 1) : Model::none;
      golden.output("mid.decoder_layer." + number,
                    i + 1 == Model::layers ? hidden
                    : next == Model::none  ? copied(saved.blocks[i + 1].norm.x)
                                           : copied(saved.gated[next].norm.x),
                    batch.places);
    }
    golden.output("out.logits", logits(hidden), batch.places);

    const auto targets = table(ctx, plan.targets), loss_rows = table(ctx, plan.loss_rows);
    const auto rows = keep<D>(ctx, asked), drows = keep<D>(ctx, asked), dhidden = keep<D>(ctx, N);
    const auto dlatents = keep<E>(ctx, MR);
    const auto nll = take_vector<AccumulateOf<P>, true>(ctx, asked),
               share = take_vector<AccumulateOf<P>, true>(ctx, asked);
    ops::gather(ctx, hidden.template rows_on<P, D>(), loss_rows, rows);
    constexpr int chunk = 29;
    constexpr Need need = Model::need_of_lm(trained);
    const auto lost = Decoder::template loss<need>(ctx, lm.views, rows, targets, chunk, nll);
    double loss = 0;
    for (int i = 0; i < asked; ++i) {
      loss += static_cast<double>(nll.data[i]) / asked;
      share.data[i] = AccumulateOf<P>(1) / AccumulateOf<P>(asked);
    }
    golden.output("out.loss", Tensor<double>(1, 1, loss));
    Decoder::template loss_backward<need>(ctx, lm.views, lost, targets, chunk, share, drows, glm);
    ops::clear(ctx, dhidden);
    ops::scatter_add(ctx, drows, loss_rows, dhidden);
    Model::backward(ctx, connector.views, lm.views, saved, plan, dhidden, dlatents, connector_gradients.views, glm);
    Resampler::backward(ctx, connector.views.resampler, resampled, latents_plan, dlatents, NoGrad{},
                        connector_gradients.views.resampler);
    // The other rule of sight, by the same weights.
    constexpr XattnConfig everything = open_flamingo_masks(C.xattn, Visibility::all_earlier);
    const auto all = DecoderPlan::of(sequences, everything, R);
    Model::template forward<trained>(ctx, connector.views, lm.views, all, latents.template rows_on<P, E>(),
                                     hidden.template rows_on<P, D>());
    golden.output("out.logits_all_media", logits(hidden), batch.places);
  }

  template <class Engine>
  TextState begin(Engine& engine, std::size_t b) {
    std::vector<CachedMedium> own;
    for (int m = 0; m < per_sequence; ++m) {
      const Medium& medium = media[b * static_cast<std::size_t>(per_sequence) + static_cast<std::size_t>(m)];
      own.push_back(engine.add_medium(features.template rows_on<P>().slice(medium.first, medium.rows), medium.frames,
                                      medium.place));
    }
    return engine.begin(sequences[b], own);
  }
  void decode() {
    auto engine = make_engine<Model>(ctx, connector.views, lm.views);
    std::vector<TextState> prompts;
    for (std::size_t b = 0; b < sequences.size(); ++b) prompts.push_back(begin(engine, b));
    check_decoding(golden, engine, prompts, static_cast<std::size_t>(batch.length));
  }
};

/// A file of open_flamingo's Flamingo.
template <auto C, Platform P = Cpu<float>>
Report check_open_flamingo(const std::filesystem::path& path) {
  OpenFlamingoCase<C, P> c(path);
  c.see();
  c.train(c.lm_gradients.views);
  c.golden.template gradients<typename OpenFlamingoCase<C, P>::Model::Connect>(c.connector_gradients.views,
                                                                               open_flamingo_names(C));
  c.golden.template gradients<DecoderOf<C.lm, P>>(c.lm_gradients.views, open_flamingo_lm_names(C.lm));
  c.decode();
  return c.golden.report;
}

}  // namespace flamingo::test
