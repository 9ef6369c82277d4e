/// Checks of Idefics (transformers' IdeficsForVisionText2Text): vision, Resampler, every block, logits, loss, the
/// gradients of everything, and decoding.
#pragma once
#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <flamingo/cpu.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/model/idefics_names.hpp>
#include <flamingo/model/vision/encoder.hpp>
#include <flamingo/model/weights.hpp>

#include "check/decoding.hpp"
#include "check/pictures.hpp"

namespace flamingo::test {

/// An Idefics with weights of a file, and gradients.
template <auto C, Platform P>
struct IdeficsParts {
  using Model = model::Flamingo<C, P>;
  using Vision = Encoder<C.vision, P>;
  using Connect = typename Model::Connect;
  using Decoder = typename Model::Decoder;

  Store<Vision, P> vision;
  Store<Connect, P> connector;
  Store<Decoder, P> lm;

  IdeficsParts() = default;
  /// Strict: every tensor of the file is used or known to be of no use.
  explicit IdeficsParts(const io::Safetensors& file) {
    LoadReport found(file.path().string());
    load_numbers<Vision>(file, vision.views, idefics_vision_names(), &found);
    load_numbers<Connect>(file, connector.views, idefics_connector_names(), &found);
    load_numbers<Decoder>(file, lm.views, idefics_lm_names(C.lm), &found);
    found.look_for_unexpected(file,
                              idefics_vision_names().with(idefics_connector_names()).with(idefics_lm_names(C.lm)));
    found.finish();
  }
};

namespace detail {

/// Rows as a tensor of their own.
template <class X>
auto tensor_of(const X& rows) {
  Tensor<std::remove_const_t<typename X::Element>> t(rows.rows, rows.width);
  std::copy_n(rows.data, t.size(), t.begin());
  return t;
}

}  // namespace detail

/// The batch of an Idefics file: φ from its image tokens, each row's pictures one after another. What transformers
/// made of them, its image masks, must say the same.
template <auto C>
std::vector<Sequence> idefics_sequences(Golden& golden, const PaddedBatch& batch) {
  const io::Json config = golden.meta("config");
  const io::Json* named = config.find("image_id");
  const int image = named ? static_cast<int>(named->as_double()) : C.lm.vocabulary + 1;
  const int pictures = static_cast<int>(golden.file.at("in.image_attention_mask").shape.back());
  const auto mask = golden.ids("in.image_attention_mask");
  std::vector<int> incremental;
  if (golden.has("in.incremental_image_mask")) incremental = golden.ids("in.incremental_image_mask");
  const auto labels = golden.ids("in.labels");
  std::vector<Sequence> sequences;
  for (std::size_t b = 0; b < batch.sequences.size(); ++b) {
    Sequence s;
    s.ids = batch.sequences[b];
    s.phi = phi_of_tags(s.ids, image);
    s.targets = batch.targets(b, labels);
    s.first_medium = static_cast<int>(b) * pictures;
    s.media = pictures;
    int closed = -1;
    const std::vector<int> seen = seen_phi(C.xattn, s.ids, s.phi, closed);
    for (std::size_t t = 0; t < seen.size(); ++t) {
      const auto place = static_cast<std::size_t>(batch.order[b][t]);
      bool same = true;
      for (int m = 0; m < pictures; ++m)
        same &= mask[place * static_cast<std::size_t>(pictures) + static_cast<std::size_t>(m)] == (seen[t] == m + 1);
      // Making the mask turns the -1 of tokens that see nothing into 0.
      if (!incremental.empty()) same &= incremental[place] == seen[t] - 1 || (seen[t] == 0 && incremental[place] == 0);
      if (!same)
        golden.report.note("in.image_attention_mask: token " + std::to_string(t) + " of row " + std::to_string(b) +
                           " sees another picture than " + std::to_string(seen[t]));
    }
    sequences.push_back(s);
  }
  return sequences;
}

/// A file of IdeficsForVisionText2Text whose weights are in `folder`; by default the one beside it without "_io".
template <auto C, Platform P = Cpu<float>>
Report check_idefics(const std::filesystem::path& path, std::filesystem::path folder = {}) {
  using Parts = IdeficsParts<C, P>;
  using Model = typename Parts::Model;
  using Vision = typename Parts::Vision;
  using Connect = typename Parts::Connect;
  using Decoder = typename Parts::Decoder;
  using Resampler = typename Model::ResamplerLayer;
  using Real = typename P::Real;
  using A = AccumulateOf<P>;
  constexpr typename Model::Trained trained{.connector = true, .lm = true};
  constexpr int D = Model::D, E = Model::E, R = Model::R, F = Resampler::E, chunk = 37;

  Golden golden(path);
  if (folder.empty()) {
    std::string name = path.stem().string();
    if (name.ends_with("_io")) name.resize(name.size() - 3);
    folder = path.parent_path() / name;
  }
  const Parts weights{io::Safetensors(folder / "model.safetensors")};
  const PaddedBatch batch(golden.file.at("in.input_ids"), golden.ids("in.attention_mask"));
  const std::vector<Sequence> sequences = idefics_sequences<C>(golden, batch);
  const GoldenPictures<Real> pictures(golden.file.at("in.pixel_values"));
  const int M = static_cast<int>(pictures.grids.size()), rows = Vision::features(pictures.grids[0]).rows();

  Context<P> ctx(1);
  Tensor<Real> features(M * rows, F);
  {
    const auto kept = ctx.kept_scope();
    const auto scope = ctx.scope();
    Parts gradients;
    const auto rows_of_features = features.template rows_on<P, F>();
    const auto seen = Vision::template forward<weight_gradients>(ctx, weights.vision.views, pictures.template rows<P>(),
                                                                 pictures.grids, rows_of_features);
    golden.output("mid.vision_embeddings", detail::tensor_of(seen.pre_norm.x));
    golden.output("mid.vision_last_hidden_state", features);
    if constexpr (C.vision.other_sizes != OtherSizes::refused) {
      const GoldenPictures<Real> larger(golden.file.at("in.hires_pixel_values"));
      int larger_rows = 0;
      for (const Grid& grid : larger.grids) larger_rows += Vision::features(grid).rows();
      Tensor<Real> y(larger_rows, F);
      Vision::forward(ctx, weights.vision.views, larger.template rows<P>(), larger.grids, y.template rows_on<P, F>());
      golden.output("out.hires_vision_last_hidden_state", y);
    }

    std::vector<Medium> media;
    for (int m = 0; m < M; ++m) media.push_back({m * rows, rows, 1, 0});
    const auto resampling = ResamplerPlan::of(C.resampler, media);
    const auto latents = keep<E>(ctx, M * R);
    const auto resampled = Resampler::template forward<all_gradients>(ctx, weights.connector.views.resampler,
                                                                      rows_of_features, resampling, latents);
    if (golden.has("mid.perceiver")) golden.output("mid.perceiver", detail::tensor_of(latents));

    const auto plan = DecoderPlan::of(sequences, C.xattn, R);
    const int N = plan.rows(), asked = static_cast<int>(plan.targets.size());
    const auto hidden = keep<D>(ctx, N);
    const auto decoded =
        Model::template forward<trained>(ctx, weights.connector.views, weights.lm.views, plan, latents, hidden);
    const auto text = [&](const std::string& name, const auto& x) {
      golden.output(name, detail::tensor_of(x), batch.places);
    };
    text("mid.embed_tokens", decoded.gated[0].norm.x);
    for (std::size_t i = 0; i < Model::layers; ++i) {
      if (const std::size_t j = Model::gated_before(i); j != Model::none)
        text("mid.gated_cross_attn." + std::to_string(j), decoded.blocks[i].norm.x);
      const std::string name = "mid.layer." + std::to_string(i);
      if (i + 1 == Model::layers)
        text(name, hidden);
      else if (const std::size_t j = Model::gated_before(i + 1); j != Model::none)
        text(name, decoded.gated[j].norm.x);
      else
        text(name, decoded.blocks[i + 1].norm.x);
    }
    Tensor<Real> logits(N, Model::V);
    Decoder::logits(ctx, weights.lm.views, hidden, logits.template rows_on<P, Model::V>());
    golden.output("out.logits", logits, batch.places);

    const auto loss_rows = table(ctx, plan.loss_rows), targets = table(ctx, plan.targets);
    const auto asked_rows = keep<D>(ctx, asked);
    const auto nll = take_vector<A, true>(ctx, asked);
    ops::gather(ctx, hidden, loss_rows, asked_rows);
    const auto lost =
        Decoder::template loss<Model::need_of_lm(trained)>(ctx, weights.lm.views, asked_rows, targets, chunk, nll);
    double loss = 0;
    for (int i = 0; i < asked; ++i) loss += static_cast<double>(nll.data[i]) / asked;
    golden.output("out.loss", Tensor<double>(1, 1, loss));

    const std::vector<A> share(static_cast<std::size_t>(asked), A(1) / static_cast<A>(asked));
    const auto dasked = scratch<D>(ctx, asked), dhidden = scratch<D>(ctx, N);
    const auto dlatents = scratch<E>(ctx, M * R);
    const auto dfeatures = scratch<F>(ctx, M * rows);
    Decoder::loss_backward(ctx, weights.lm.views, lost, targets, chunk, table(ctx, share), dasked, gradients.lm.views);
    ops::clear(ctx, dhidden);
    ops::scatter_add(ctx, dasked, loss_rows, dhidden);
    Model::backward(ctx, weights.connector.views, weights.lm.views, decoded, plan, dhidden, dlatents,
                    gradients.connector.views, gradients.lm.views);
    Resampler::backward(ctx, weights.connector.views.resampler, resampled, resampling, dlatents, dfeatures,
                        gradients.connector.views.resampler);
    Vision::backward(ctx, weights.vision.views, seen, pictures.grids, dfeatures, NoGrad{}, gradients.vision.views);
    // A ragged batch has no padding, so the embedding of its id gets no gradient, as there.
    golden.template gradients<Vision>(gradients.vision.views, idefics_vision_names());
    golden.template gradients<Connect>(gradients.connector.views, idefics_connector_names());
    golden.template gradients<Decoder>(gradients.lm.views, idefics_lm_names(C.lm));
  }

  auto engine = make_engine<Model>(ctx, weights.connector.views, weights.lm.views, {.media = std::max(M, 1)});
  std::vector<TextState> prompts;
  for (const Sequence& s : sequences) {
    std::vector<CachedMedium> media;
    for (int m = s.first_medium; m < s.first_medium + s.media; ++m) {
      Tensor<Real> own = rows_of(features, m * rows, rows);
      media.push_back(engine.add_medium(own.template rows_on<P, F>()));
    }
    prompts.push_back(engine.begin(s, media));
  }
  check_decoding(golden, engine, prompts, static_cast<std::size_t>(batch.length));
  return golden.report;
}

}  // namespace flamingo::test
