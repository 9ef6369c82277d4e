#include "model.hpp"

namespace caption {

#ifndef FLAMINGO_SMALL
Backbones Backbones::load(const std::filesystem::path& folder, flamingo::Held held, flamingo::Arrangement arrangement) {
  const auto gguf = std::make_shared<const flamingo::io::Gguf>(folder / "SmolLM2-135M-Instruct.Q4_1.gguf");
  flamingo::check_gguf_llama(config.lm, *gguf);
  auto tokenizer = flamingo::io::Tokenizer::from_gguf(*gguf);
  // The language model knows these words: " image" begins a picture, a full stop ends what is said of it.
  auto tags = flamingo::Tags::of(tokenizer, "<|endoftext|>", " image", ".");
  return {flamingo::load_efficientnet<config.vision, P>(
              flamingo::io::Safetensors(folder / "efficientnet_lite0.safetensors")),
          flamingo::PackedWeights<Lm, P>::load(gguf, held, flamingo::gguf_llama_names(config.lm), nullptr, arrangement),
          std::move(tokenizer), std::move(tags)};
}
#endif

std::vector<float> encode(flamingo::Context<P>& ctx, const Backbones& backbones,
                          std::span<const flamingo::io::Image> images) {
  constexpr int side = config.vision.image;
  std::vector<float> pixels;
  std::vector<flamingo::Grid> grids;
  for (const flamingo::io::Image& image : images) {
    grids.push_back({static_cast<int>(pixels.size() / 3), side, side});
    const auto rows = flamingo::pixel_rows(image, side, pixel_scale);
    pixels.insert(pixels.end(), rows.begin(), rows.end());
  }
  std::vector<float> features(images.size() * static_cast<std::size_t>(cells * Encoder::D));
  const auto scope = ctx.scope();
  Encoder::forward(ctx, backbones.vision.views,
                   flamingo::Rows<P, 3, const float>{pixels.data(), static_cast<int>(pixels.size() / 3), {}}, grids,
                   flamingo::Rows<P, Encoder::D>{features.data(), static_cast<int>(images.size()) * cells, {}});
  return features;
}

}  // namespace caption
