/// Checks of a whole OpenFlamingo: pictures, Resampler, every block, logits under both rules of sight, the loss, the
/// gradients of what is trained, and decoding.
#pragma once
#include <cmath>
#include <filesystem>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/infer/engine.hpp>
#include <flamingo/model/open_flamingo_names.hpp>
#include <flamingo/model/vision/vit.hpp>

#include "check/decoding.hpp"

namespace flamingo::test {

/// OpenCLIP's names of a vision transformer.
inline TensorTable open_clip_names(const Vit& c) {
  const std::string block = "transformer.resblocks.*.";
  return {{{"patch", "conv1.weight", 0, 0, 0, Layout::channels_first},
           {"class_token", "class_embedding", 0, 0, 0, Layout::line},
           {"positions", "positional_embedding"},
           {"pre_norm.scale", "ln_pre.weight"},
           {"pre_norm.bias", "ln_pre.bias"},
           {"blocks.*.norm.scale", block + "ln_1.weight"},
           {"blocks.*.norm.bias", block + "ln_1.bias"},
           {"blocks.*.attention.query", block + "attn.in_proj_weight", 0, c.dim},
           {"blocks.*.attention.key", block + "attn.in_proj_weight", c.dim, c.dim},
           {"blocks.*.attention.value", block + "attn.in_proj_weight", 2 * c.dim, c.dim},
           {"blocks.*.attention.query_bias", block + "attn.in_proj_bias", 0, c.dim},
           {"blocks.*.attention.key_bias", block + "attn.in_proj_bias", c.dim, c.dim},
           {"blocks.*.attention.value_bias", block + "attn.in_proj_bias", 2 * c.dim, c.dim},
           {"blocks.*.attention.out", block + "attn.out_proj.weight"},
           {"blocks.*.attention.out_bias", block + "attn.out_proj.bias"},
           {"blocks.*.norm_dense.scale", block + "ln_2.weight"},
           {"blocks.*.norm_dense.bias", block + "ln_2.bias"},
           {"blocks.*.dense.up", block + "mlp.c_fc.weight"},
           {"blocks.*.dense.up_bias", block + "mlp.c_fc.bias"},
           {"blocks.*.dense.down", block + "mlp.c_proj.weight"},
           {"blocks.*.dense.down_bias", block + "mlp.c_proj.bias"},
           {"post_norm.scale", "ln_post.weight"},
           {"post_norm.bias", "ln_post.bias"}}};
}

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
    load_numbers<Vision>(golden.file, vision.views, open_clip_names(C.vision).within("", "param.vision_encoder."));
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
    const auto pixels = golden.at("in.vision_x");  // (pictures, 3, height, width)
    constexpr auto cells = static_cast<std::size_t>(C.vision.image) * static_cast<std::size_t>(C.vision.image);
    const auto pictures = pixels.size() / (3 * cells);
    Tensor<Real> x(static_cast<int>(pictures * cells), 3);
    std::vector<Grid> grids;
    for (std::size_t p = 0; p < pictures; ++p) {
      grids.push_back({static_cast<int>(p * cells), C.vision.image, C.vision.image});
      for (std::size_t i = 0; i < cells; ++i)
        for (std::size_t c = 0; c < 3; ++c) x.data()[3 * (p * cells + i) + c] = Real(pixels[(3 * p + c) * cells + i]);
    }
    const Tensor<Real>& in = x;
    features = Tensor<Real>(static_cast<int>(pictures) * Vision::S, C.vision.dim);
    Vision::forward(ctx, vision.views, in.template rows_on<P, 3>(), grids,
                    features.template rows_on<P, C.vision.dim>());
    golden.output("mid.vision_tokens", features);

    constexpr Vit whole = [] {
      Vit c = C.vision;
      c.class_out = c.post_norm = true;
      return c;
    }();
    using Tower = model::VisionTransformer<whole, P>;
    Store<Tower, P> tower;
    load_numbers<Tower>(golden.file, tower.views, open_clip_names(whole).within("", "param.vision_encoder."));
    Tensor<Real> rows(static_cast<int>(pictures) * Tower::T, C.vision.dim);
    Tower::forward(ctx, tower.views, in.template rows_on<P, 3>(), grids, rows.template rows_on<P, C.vision.dim>());
    const auto projection = golden.at("param.vision_encoder.proj");  // (width, common space)
    const auto width = static_cast<int>(golden.file.at("param.vision_encoder.proj").shape[1]);
    Tensor<double> pooled(static_cast<int>(pictures), width);
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

  void train() {
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
    Decoder::template loss_backward<need>(ctx, lm.views, lost, targets, chunk, share, drows, lm_gradients.views);
    ops::clear(ctx, dhidden);
    ops::scatter_add(ctx, drows, loss_rows, dhidden);
    Model::backward(ctx, connector.views, lm.views, saved, plan, dhidden, dlatents, connector_gradients.views,
                    lm_gradients.views);
    Resampler::backward(ctx, connector.views.resampler, resampled, latents_plan, dlatents, NoGrad{},
                        connector_gradients.views.resampler);
    golden.gradients<typename Model::Connect>(connector_gradients.views, open_flamingo_names(C));
    golden.gradients<Decoder>(lm_gradients.views, open_flamingo_lm_names(C.lm));

    // The other rule of sight, by the same weights.
    constexpr XattnConfig everything = [] {
      XattnConfig c = C.xattn;
      c.visibility = Visibility::all_earlier;
      c.before_first = NoImage::uniform;
      c.beyond_last = NoImage::zero;
      return c;
    }();
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
  c.train();
  c.decode();
  return c.golden.report;
}

}  // namespace flamingo::test
