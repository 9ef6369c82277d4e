/// A folder as OpenFlamingo's is, of a small model with drawn weights: the tower, the decoder and what was trained,
/// each in the file that the package writes, and the configs beside them.
#pragma once
#include <filesystem>
#include <fstream>

#include "support/layer.hpp"

#include <flamingo/io/torch_writer.hpp>
#include <flamingo/model/load.hpp>
#include <flamingo/model/open_flamingo_names.hpp>

namespace flamingo::test {

constexpr FlamingoConfig<Vit, Mpt> small_open_flamingo(int image, int vocabulary, int context) {
  return {
      .vision = {.image = image, .patch = 5, .dim = 12, .layers = 1, .heads = 3},
      .resampler = {.dim = 12,
                    .latents = 3,
                    .layers = 1,
                    .heads = 2,
                    .head_dim = 4,
                    .activation = Activation::gelu,
                    .frames = 0},
      .xattn = {.every = 2,
                .offset = 1,
                .heads = 2,
                .head_dim = 4,
                .activation = Activation::gelu,
                .beyond_last = NoImage::uniform},
      .lm = {
          .dim = 12, .layers = 2, .heads = 3, .hidden = 24, .vocabulary = vocabulary, .added = 3, .context = context}};
}

/// What is written of a config made by small_open_flamingo; no tokenizer.
template <const auto& config, Platform P>
struct OpenFlamingoWeights {
  using Loaded = LoadedModel<config, P>;
  Store<typename Loaded::Vision, P> vision = drawn<typename Loaded::Vision, P>(1);
  Store<typename Loaded::Connector, P> connector = drawn<typename Loaded::Connector, P>(2);
  Store<typename Loaded::Decoder, P> lm = drawn<typename Loaded::Decoder, P>(3);

  void write(const std::filesystem::path& folder) const {
    std::filesystem::create_directories(folder / "lm");
    TensorWriter tower(io::DType::f32), decoder(io::DType::f32), trained(io::DType::f32);
    tower.add<typename Loaded::Vision>(vision.views, open_clip_vit_names(config.vision).within("", "visual."));
    tower.save(folder / "vision.safetensors");
    decoder.add<typename Loaded::Decoder>(lm.views, mpt_names(config.lm));
    decoder.save(folder / "lm" / "model.safetensors");
    trained.add<typename Loaded::Connector>(connector.views, open_flamingo_names(config));
    auto tensors = trained.tensors();
    const auto tokens = decoder.tensors();
    tensors.push_back(tokens[0]);
    tensors.back().name = "lang_encoder.transformer.wte.weight";
    io::write_torch(folder / "checkpoint.pt", tensors);
    std::ofstream(folder / "lm" / "config.json")
        << R"({"model_type": "mpt", "d_model": 12, "n_layers": 2, "n_heads": 3, "expansion_ratio": 2, "vocab_size": )"
        << config.lm.vocabulary + config.lm.added << R"(, "max_seq_len": )" << config.lm.context << '}';
    std::ofstream(folder / "open_flamingo.json") << R"({"vision": {"image_size": )" << config.vision.image
                                                 << R"(, "patch_size": 5, "width": 12, "layers": 1, "head_width": 4},
               "perceiver": {"depth": 1, "dim_head": 4, "heads": 2, "num_latents": 3},
               "cross_attention": {"dim_head": 4, "heads": 2}})";
  }
};

}  // namespace flamingo::test
