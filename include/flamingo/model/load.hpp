/// A published model out of its folder: which tables name its tensors, and its three parts as one value.
#pragma once
#include <filesystem>
#include <memory>
#include <utility>

#include <flamingo/io/checkpoint.hpp>
#include <flamingo/model/clip/clip_names.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/model/idefics_names.hpp>
#include <flamingo/model/mllama_names.hpp>
#include <flamingo/model/open_flamingo_names.hpp>
#include <flamingo/model/published.hpp>
#include <flamingo/model/vision/encoder.hpp>
#include <flamingo/model/weights.hpp>

namespace flamingo {

/// Where the parts of a model lie in the files of whoever published it.
struct ModelNames {
  TensorTable vision, connector, lm;
};

/// OpenFlamingo: what it trained, its language model and its CLIP, under the names of its own whole model.
inline ModelNames published_names(const FlamingoConfig<Vit, Mpt>& c, const io::Checkpoint& file) {
  const bool old = file.find("lang_encoder.transformer.ln_f.weight") != nullptr;
  return {open_clip_vit_names(c.vision).within("", "vision_encoder."), open_flamingo_names(c),
          open_flamingo_lm_names(c.lm, old ? MptNaming::ln_mlp : MptNaming::norm_ffn)};
}
inline ModelNames published_names(const FlamingoConfig<Vit, GptNeox>& c, const io::Checkpoint&) {
  return {open_clip_vit_names(c.vision).within("", "vision_encoder."), open_flamingo_names(c),
          open_flamingo_lm_names(c.lm)};
}
/// Idefics.
inline ModelNames published_names(const FlamingoConfig<Vit, Llama>& c, const io::Checkpoint&) {
  return {idefics_vision_names(), idefics_connector_names(), idefics_lm_names(c.lm)};
}
/// Llama 3.2 Vision.
inline ModelNames published_names(const FlamingoConfig<MllamaVision, Llama>& c, const io::Checkpoint&) {
  return {mllama_vision_names(), mllama_connector_names(c), mllama_lm_names(c)};
}

/// The weights of a whole model, read-only. Copies share them, and threads may.
template <auto C, Platform P>
struct LoadedModel {
  using Model = model::Flamingo<C, P>;
  using Vision = Encoder<C.vision, P>;
  using Connector = typename Model::Connect;
  using Decoder = typename Model::Decoder;

  PackedWeights<Vision, P> vision;
  PackedWeights<Connector, P> connector;
  PackedWeights<Decoder, P> lm;
};

/// How the matrices of each part are held.
struct HeldParts {
  Held vision = Held::as_stored, connector = Held::as_stored, lm = Held::as_stored;
  Arrangement arrangement = Arrangement::rows;  ///< of the connector's and the decoder's matrices

  static constexpr HeldParts all(Held held) { return {held, held, held, {}}; }
};

/// The model in `folder` (io::open_checkpoint), whose files stay mapped while any copy of its weights lives. Throws
/// Error where the folder's config contradicts C, with each differing field side by side, and where a tensor is
/// missing, of another shape, or asked for by nobody.
template <auto C, Platform P>
LoadedModel<C, P> load(const std::filesystem::path& folder, const HeldParts& held = {}) {
  using Loaded = LoadedModel<C, P>;
  check_config_of(C, folder);
  const auto file = std::make_shared<const io::Checkpoint>(io::open_checkpoint(folder));
  const ModelNames names = published_names(C, *file);
  LoadReport report(folder.string());
  Loaded loaded{PackedWeights<typename Loaded::Vision, P>::load(file, held.vision, names.vision, &report),
                PackedWeights<typename Loaded::Connector, P>::load(file, held.connector, names.connector, &report,
                                                                   held.arrangement),
                PackedWeights<typename Loaded::Decoder, P>::load(file, held.lm, names.lm, &report, held.arrangement)};
  report.look_for_unexpected(*file, names.vision.with(names.connector).with(names.lm));
  report.finish();
  return loaded;
}

}  // namespace flamingo
