/// Checks of Llama 3.2 Vision (transformers' MllamaForConditionalGeneration): vision, projector, every layer, logits,
/// loss, the gradients of everything, and decoding.
#pragma once
#include <algorithm>
#include <filesystem>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <flamingo/config/presets/mllama.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/model/mllama_names.hpp>
#include <flamingo/model/vision/mllama_vision.hpp>
#include <flamingo/model/weights.hpp>

#include "check/decoding.hpp"

namespace flamingo::test {

/// A Llama 3.2 Vision with weights of a file, or gradients.
template <auto C, Platform P>
struct MllamaParts {
  using Model = model::Flamingo<C, P>;
  using Vision = model::MllamaVisionTransformer<C.vision, P>;
  using Connect = typename Model::Connect;
  using Decoder = typename Model::Decoder;

  Store<Vision, P> vision;
  Store<Connect, P> connector;
  Store<Decoder, P> lm;

  MllamaParts() = default;
  /// Strict: every number of the file is used.
  explicit MllamaParts(const io::Safetensors& file) {
    LoadReport found(file.path().string());
    load_numbers<Vision>(file, vision.views, mllama_vision_names(), &found);
    load_numbers<Connect>(file, connector.views, mllama_connector_names(C), &found);
    load_numbers<Decoder>(file, lm.views, mllama_lm_names(C), &found);
    found.look_for_unexpected(file, {});
    found.finish();
  }
};

/// The batch of a file of Llama 3.2 Vision.
template <class R>
struct MllamaBatch {
  int pictures = 0;                   ///< of each row; those that it lacks are empty pictures
  std::vector<TiledPicture> tiled{};  ///< of all rows
  Tensor<R> pixels{0, 3};             ///< of the tiles that are there
  std::vector<Sequence> sequences{};  ///< φ from image tokens
  PaddedBatch padded;

  template <auto C>
  static MllamaBatch of(Golden& golden, int image_id) {
    MllamaBatch batch{.padded = {golden.file.at("in.input_ids"), golden.ids("in.attention_mask")}};
    batch.read_pictures(golden, C.vision);
    const auto labels = golden.ids("in.labels");
    for (std::size_t b = 0; b < batch.padded.sequences.size(); ++b) {
      Sequence s;
      s.ids = batch.padded.sequences[b];
      std::vector<int> tags;
      for (std::size_t t = 0; t < s.ids.size(); ++t)
        if (s.ids[t] == image_id) tags.push_back(static_cast<int>(t));
      s.phi = phi_of(tags, static_cast<int>(s.ids.size()));
      s.targets = batch.padded.targets(b, labels);
      s.first_medium = static_cast<int>(b) * batch.pictures;
      s.media = batch.pictures;
      batch.sequences.push_back(s);
    }
    batch.compare_masks(golden, C.xattn, C.vision.tiles);
    return batch;
  }
  /// Rows of features to be seen of picture m.
  int visible(int m, const MllamaVision& c) const { return tiled[static_cast<std::size_t>(m)].tiles * c.tile_rows(); }

 private:
  void read_pictures(Golden& golden, const MllamaVision& c) {
    const io::TensorView& tensor = golden.file.at("in.pixel_values");  // (B, pictures, K, 3, image, image)
    const auto cells = static_cast<std::size_t>(c.image * c.image);
    check(tensor.shape.size() == 6 && tensor.shape[2] == c.tiles && tensor.shape[3] == 3 &&
              tensor.shape[4] == c.image && tensor.shape[5] == c.image,
          "golden", tensor.name, " has shape ", io::shape_text(tensor.shape), ", expected (batch, pictures, ", c.tiles,
          ", 3, ", c.image, ", ", c.image, ')');
    pictures = static_cast<int>(tensor.shape[1]);
    const auto all = numbers<R>(tensor);
    const auto ratios = golden.ids("in.aspect_ratio_ids"), mask = golden.ids("in.aspect_ratio_mask");
    const auto K = static_cast<std::size_t>(c.tiles);
    std::vector<std::size_t> there;
    for (std::size_t m = 0; m < ratios.size(); ++m) {
      const auto of_picture = std::span(mask).subspan(m * K, K);
      const int tiles = std::accumulate(of_picture.begin(), of_picture.end(), 0);
      tiled.push_back({tiles, ratios[m]});
      for (std::size_t t = 0; t < K; ++t) {
        const std::size_t tile = m * K + t;
        if (of_picture[t] != (t < static_cast<std::size_t>(tiles)))
          golden.report.note("in.aspect_ratio_mask: the tiles of a picture are not its first ones");
        if (t < static_cast<std::size_t>(tiles)) there.push_back(tile);
        const auto numbers_of = std::span(all).subspan(tile * 3 * cells, 3 * cells);
        if (t >= static_cast<std::size_t>(tiles) &&
            std::any_of(numbers_of.begin(), numbers_of.end(), [](R x) { return x != R(0); }))
          golden.report.note("in.pixel_values: a tile that is not there has pixels");
      }
    }
    pixels = Tensor<R>(static_cast<int>(there.size() * cells), 3);
    for (std::size_t i = 0; i < there.size(); ++i)
      for (std::size_t colour = 0; colour < 3; ++colour)
        for (std::size_t cell = 0; cell < cells; ++cell)
          pixels(static_cast<int>(i * cells + cell), static_cast<int>(colour)) =
              all[(there[i] * 3 + colour) * cells + cell];
  }
  /// What transformers' processor made of the image tokens must be what our rule makes of them.
  void compare_masks(Golden& golden, const XattnConfig& c, int K) const {
    const auto mask = golden.ids("in.cross_attention_mask");  // (B, T, pictures, K)
    for (std::size_t b = 0; b < sequences.size(); ++b) {
      const std::vector<int> runs = runs_of(sequences[b].phi, pictures);
      for (std::size_t t = 0; t < sequences[b].phi.size(); ++t) {
        const int phi = sequences[b].phi[t], last = phi - 1,
                  first = phi && c.visibility == Visibility::last_run ? runs[static_cast<std::size_t>(last)] : last;
        auto at = static_cast<std::size_t>(padded.order[b][t] * pictures * K);
        bool same = true;
        for (int m = 0; m < pictures; ++m)
          for (int k = 0; k < K; ++k, ++at)
            same &= mask[at] == (phi && m >= first && m <= last &&
                                 k < tiled[b * static_cast<std::size_t>(pictures) + static_cast<std::size_t>(m)].tiles);
        if (!same)
          golden.report.note("in.cross_attention_mask: token " + std::to_string(t) + " of row " + std::to_string(b) +
                             " sees other tiles than ours");
      }
    }
  }
};

/// A file of MllamaForConditionalGeneration whose weights are in `folder`; by default the one beside it without "_io".
template <auto C, Platform P = Cpu<float>>
Report check_mllama(const std::filesystem::path& path, std::filesystem::path folder = {}) {
  using Parts = MllamaParts<C, P>;
  using Model = typename Parts::Model;
  using Vision = typename Parts::Vision;
  using Connect = typename Parts::Connect;
  using Decoder = typename Parts::Decoder;
  using Projector = typename Model::ResamplerLayer;
  using Real = typename P::Real;
  using A = AccumulateOf<P>;
  constexpr typename Model::Trained trained{.connector = true, .lm = true};
  constexpr int D = Model::D, E = Model::E, R = Model::R, F = Projector::E, chunk = 37;

  Golden golden(path);
  if (folder.empty()) {
    std::string name = path.stem().string();
    if (name.ends_with("_io")) name.resize(name.size() - 3);
    folder = path.parent_path() / name;
  }
  const auto number = [](const io::Json& object, std::string_view name, int missing) {
    const io::Json* found = object.find(name);
    return found && !found->is_null() ? static_cast<int>(found->as_double()) : missing;
  };
  const io::Json config =
      io::Json::parse(std::string(io::MappedFile(folder / "config.json").text()), (folder / "config.json").string());
  const Parts weights{io::Safetensors(folder / "model.safetensors")};
  const auto batch = MllamaBatch<Real>::template of<C>(golden, number(config, "image_token_index", 128256));
  const int M = static_cast<int>(batch.tiled.size());

  Context<P> ctx(1);
  Tensor<Real> features(M * R, F);
  {
    const auto kept = ctx.kept_scope();
    const auto scope = ctx.scope();
    Parts gradients;
    const auto feature_rows = features.template rows_on<P, F>();
    const auto pixels = batch.pixels.template rows_on<P, 3>();
    const auto seen =
        Vision::template forward<weight_gradients>(ctx, weights.vision.views, pixels, batch.tiled, feature_rows);
    golden.output("mid.vision_output", features);

    std::vector<Medium> media;
    for (int m = 0; m < M; ++m) media.push_back({.first = m * R, .rows = R, .visible = batch.visible(m, C.vision)});
    const auto projecting = ResamplerPlan::of(C.resampler, media);
    Tensor<Real> projected(M * R, E);
    const auto latents = projected.template rows_on<P, E>();
    const auto projection = Projector::template forward<all_gradients>(ctx, weights.connector.views.resampler,
                                                                       feature_rows, projecting, latents);
    golden.output("mid.projector", projected);

    const auto plan = DecoderPlan::of(batch.sequences, C.xattn, R, visible_rows(media, R));
    const int N = plan.rows(), asked = static_cast<int>(plan.targets.size());
    const auto hidden = keep<D>(ctx, N);
    const auto decoded =
        Model::template forward<trained>(ctx, weights.connector.views, weights.lm.views, plan, latents, hidden);
    int layer = -1;  // in transformers' numbering; what enters a layer left the one before it
    const auto enters = [&](const auto& x) {
      if (layer >= 0) {
        Tensor<Real> t(N, D);
        std::copy_n(x.data, t.size(), t.begin());
        golden.output("mid.layer." + std::to_string(layer), t, batch.padded.places);
      }
      ++layer;
    };
    for (std::size_t i = 0; i <= Model::layers; ++i) {
      if (const std::size_t j = Model::gated_before(i); j != Model::none) enters(decoded.gated[j].norm.x);
      if (i < Model::layers) enters(decoded.blocks[i].norm.x);
    }
    enters(hidden);
    Tensor<Real> logits(N, Model::V);
    Decoder::logits(ctx, weights.lm.views, hidden, logits.template rows_on<P, Model::V>());
    golden.output("out.logits", logits, batch.padded.places);

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
    const auto dfeatures = scratch<F>(ctx, M * R);
    Decoder::loss_backward(ctx, weights.lm.views, lost, targets, chunk, table(ctx, share), dasked, gradients.lm.views);
    ops::clear(ctx, dhidden);
    ops::scatter_add(ctx, dasked, loss_rows, dhidden);
    Model::backward(ctx, weights.connector.views, weights.lm.views, decoded, plan, dhidden, dlatents,
                    gradients.connector.views, gradients.lm.views);
    Projector::backward(ctx, weights.connector.views.resampler, projection, projecting, dlatents, dfeatures,
                        gradients.connector.views.resampler);
    Vision::backward(ctx, weights.vision.views, seen, dfeatures, NoGrad{}, gradients.vision.views);
    // nn.Embedding's padding_idx: the reference gives this row no gradient, whoever reads it.
    const io::Json* text = config.find("text_config");
    const int pad = text ? number(*text, "pad_token_id", 128004) : 128004;
    if (pad >= 0 && pad < C.lm.vocabulary) std::fill_n(gradients.lm.views.embedding.row(pad), D, Real(0));
    golden.template gradients<Vision>(gradients.vision.views, mllama_vision_names());
    golden.template gradients<Connect>(gradients.connector.views, mllama_connector_names(C));
    golden.template gradients<Decoder>(gradients.lm.views, mllama_lm_names(C));
  }

  auto engine = make_engine<Model>(ctx, weights.connector.views, weights.lm.views,
                                   {.text_rows = 1 << 14, .media = std::max(M, 1)});
  std::vector<TextState> prompts;
  for (const Sequence& s : batch.sequences) {
    std::vector<CachedMedium> media;
    for (int m = s.first_medium; m < s.first_medium + s.media; ++m) {
      Tensor<Real> own = rows_of(features, m * R, R);
      media.push_back(engine.add_medium(own.template rows_on<P, F>(), 1, 0, batch.visible(m, C.vision)));
    }
    prompts.push_back(engine.begin(s, media));
  }
  check_decoding(golden, engine, prompts, static_cast<std::size_t>(batch.padded.length));
  return golden.report;
}

}  // namespace flamingo::test
