/// What opening a checkpoint asks of its family besides weights: how pictures become features, where the tokenizer
/// lies, and how a prompt is framed. The type of the checkpoint's config picks it.
#pragma once
#include <concepts>
#include <filesystem>
#include <string_view>
#include <type_traits>
#include <vector>

#include "encode.hpp"

#include <flamingo/data/document.hpp>
#include <flamingo/data/idefics_prompt.hpp>
#include <flamingo/io/tokenizer.hpp>
#include <flamingo/model/load.hpp>
#include <flamingo/model/vision/processors.hpp>
#include <flamingo/model/vision/tiles.hpp>

namespace opened {

/// A prompt's tokens and what ends an answer to it.
struct Prompt {
  flamingo::Sequence sequence;
  std::vector<int> stop, banned;
};

inline int id_of(const flamingo::io::Tokenizer& tokenizer, std::string_view special) {
  const std::vector<int> ids = tokenizer.encode(special, {.parse_special = true});
  flamingo::check(ids.size() == 1, "open", "the tokenizer reads '", special, "' as ", ids.size(),
                  " tokens, expected 1");
  return ids[0];
}

/// Those of the ids that the model can write at all: Llama 3.2's image is read alone.
template <auto Lm>
std::vector<int> written(std::vector<int> ids) {
  std::erase_if(ids, [](int id) { return id >= flamingo::written_ids(Lm); });
  return ids;
}

/// Whether a part of a config is of type T.
template <auto Part, class T>
constexpr bool kind = std::same_as<std::remove_const_t<decltype(Part)>, T>;

template <auto C>
struct Family;

/// OpenFlamingo. Its tokens follow the tokenizer's own: <|endofchunk|>, <image>, <PAD>.
template <flamingo::FlamingoConfig C>
  requires(!kind<C.vision, flamingo::MllamaVision> && !kind<C.lm, flamingo::Llama>)
struct Family<C> {
  static std::filesystem::path tokenizer(const std::filesystem::path& folder) { return folder / "lm"; }
  template <class Loaded>
  static Features encode(flamingo::Context<P>& ctx, const Loaded& model, const flamingo::io::RawImage& picture) {
    const flamingo::OpenClipTransform transform{.side = C.vision.image};
    return encode_square<typename Loaded::Vision>(ctx, model.vision.views, flamingo::pixel_rows(transform, picture),
                                                  C.vision.image);
  }
  static Prompt prompt(const flamingo::Document& document, const flamingo::io::Tokenizer& tokenizer) {
    constexpr int end = C.lm.vocabulary, image = end + 1, padding = end + 2;
    const flamingo::Tags tags{.begin = {}, .image = {image}, .end_of_chunk = {end}};
    return {sequence_of(document, tokenizer, tags, {.end_last_chunk = false, .context = C.lm.context}),
            {end},
            {image, padding}};
  }
};

/// Idefics, whose processor writes the prompt.
template <flamingo::FlamingoConfig C>
  requires(kind<C.vision, flamingo::Vit> && kind<C.lm, flamingo::Llama>)
struct Family<C> {
  static std::filesystem::path tokenizer(const std::filesystem::path& folder) { return folder; }
  template <class Loaded>
  static Features encode(flamingo::Context<P>& ctx, const Loaded& model, const flamingo::io::RawImage& picture) {
    const flamingo::IdeficsImageProcessor processor{.side = C.vision.image};
    return encode_square<typename Loaded::Vision>(ctx, model.vision.views, flamingo::pixel_rows(processor, picture),
                                                  C.vision.image);
  }
  static Prompt prompt(const flamingo::Document& document, const flamingo::io::Tokenizer& tokenizer) {
    const flamingo::IdeficsTags tags;
    return {idefics_sequence(document, tokenizer),
            {id_of(tokenizer, tags.end)},
            {id_of(tokenizer, tags.image), id_of(tokenizer, tags.around_image)}};
  }
};

/// Llama 3.2 Vision.
template <flamingo::FlamingoConfig C>
  requires(kind<C.vision, flamingo::MllamaVision>)
struct Family<C> {
  static std::filesystem::path tokenizer(const std::filesystem::path& folder) { return folder; }
  template <class Loaded>
  static Features encode(flamingo::Context<P>& ctx, const Loaded& model, const flamingo::io::RawImage& picture) {
    const flamingo::MllamaImageProcessor processor{.side = C.vision.image, .max_tiles = C.vision.tiles};
    const auto tiles = flamingo::tiled_picture<float>(processor, picture);
    return encode_tiles<C.vision, typename Loaded::Vision>(ctx, model.vision.views, tiles.rows,
                                                           {tiles.tiles(), tiles.aspect_ratio_id});
  }
  static Prompt prompt(const flamingo::Document& document, const flamingo::io::Tokenizer& tokenizer) {
    const flamingo::Tags tags = flamingo::Tags::of(tokenizer, "<|begin_of_text|>", "<|image|>", "");
    return {sequence_of(document, tokenizer, tags, {.end_last_chunk = false, .context = C.lm.context}),
            {id_of(tokenizer, "<|end_of_text|>"), id_of(tokenizer, "<|eot_id|>")},
            written<C.lm>(tags.image)};
  }
};

}  // namespace opened
