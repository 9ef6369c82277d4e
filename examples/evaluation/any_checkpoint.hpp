/// Any published checkpoint's folder as a model of plans: its own preprocessing, its own tags, its prompts.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../open/families.hpp"
#include "folder_hash.hpp"
#include "program.hpp"
#include "recent.hpp"
#include "tagged_tokenizer.hpp"

#include <flamingo/eval/protocol/engine_model.hpp>
#include <flamingo/io/image_codecs.hpp>
#include <flamingo/io/sentencepiece.hpp>

namespace evaluation {

using opened::P;

/// The tags that a family adds, its prompts, and a picture as its encoder's grid covers it.
template <auto C>
struct Evaluated {
  static constexpr bool tiles = opened::kind<C.vision, flamingo::MllamaVision>,
                        idefics = !tiles && opened::kind<C.lm, flamingo::Llama>;

  static TaggedTokenizer::Tags tags() {
    if constexpr (tiles || idefics) return {};
    return {{"<|endofchunk|>", {C.lm.vocabulary}}, {"<image>", {C.lm.vocabulary + 1}}};
  }
  static flamingo::PromptSet prompts() {
    if constexpr (idefics) return flamingo::idefics_prompts();
    if constexpr (tiles) {
      flamingo::PromptSet set = flamingo::paper_prompts();
      set.name = "paper, in the tags of Llama 3.2 Vision";
      set.begin = "<|begin_of_text|>";
      set.image = "<|image|>";
      set.end_of_chunk = "\n";
      return set;
    }
    return flamingo::open_flamingo_prompts();
  }
  static flamingo::io::Image seen(const fs::path& file) {
    const flamingo::io::RawImage raw = flamingo::io::read_raw<flamingo::io::Codecs>(file);
    if constexpr (tiles) return flamingo::io::over(raw);
    if constexpr (idefics) return flamingo::IdeficsImageProcessor{.side = C.vision.image}(raw);
    return flamingo::OpenClipTransform{.side = C.vision.image}(raw);
  }
};

/// The program for one config: FOLDER PLAN DATA OUT [OPTION VALUE]...
template <auto C>
int run_checkpoint(std::span<char* const> words, const std::string& usage) {
  using Loaded = flamingo::LoadedModel<C, P>;
  using Family = opened::Family<C>;
  using Self = Evaluated<C>;
  flamingo::check(!words.empty(), "evaluate", usage);
  const fs::path folder = words[0];
  const Options o = Options::parse(words.subspan(1), usage);
  const TaggedTokenizer text(
      flamingo::io::Tokenizer::from_folder(Family::tokenizer(folder), flamingo::io::read_sentencepiece), Self::tags());
  const Loaded loaded = flamingo::load<C, P>(folder);
  flamingo::Context<P> ctx(o.threads);
  auto engine = flamingo::make_engine<typename Loaded::Model>(ctx, loaded.connector.views, loaded.lm.views);
  const std::string weights = hash_of_folder(folder);

  // Demonstrations come again and again. What cannot be read leaves nothing behind.
  Recent<flamingo::EncodedMedium<float>> kept(kept_bytes);
  const auto see = [&](const flamingo::TaskMedium& medium) -> const flamingo::EncodedMedium<float>& {
    if (const auto* known = kept.find(medium.path)) return *known;
    const std::vector<fs::path> frames = files_of(medium);
    flamingo::EncodedMedium<float> seen;
    seen.frames = std::max(1, static_cast<int>(frames.size()));
    const auto add = [&](const flamingo::io::RawImage& picture) {
      const opened::Features features = Family::encode(ctx, loaded, picture);
      seen.rows.insert(seen.rows.end(), features.rows.begin(), features.rows.end());
      seen.count += features.count;
      seen.visible = features.visible;
      const int across = static_cast<int>(std::lround(std::sqrt(static_cast<double>(features.count))));
      if (!Self::tiles && across * across == features.count) seen.columns = seen.lines = across;
    };
    if (frames.empty())
      add(flamingo::io::raw_of(
          {C.vision.image, C.vision.image,
           std::vector<std::uint8_t>(
               static_cast<std::size_t>(C.vision.image) * static_cast<std::size_t>(C.vision.image) * 3, 255)}));
    for (const fs::path& frame : frames) add(flamingo::io::read_raw<flamingo::io::Codecs>(frame));
    const std::size_t bytes = seen.rows.size() * sizeof(float);
    return kept.put(medium.path, std::move(seen), bytes);
  };
  flamingo::EngineModel model(engine, text, Self::prompts(), "the checkpoint's, mean of its rows", see);
  return run(model, o, weights, [](const fs::path& file) { return Self::seen(file); });
}

}  // namespace evaluation
