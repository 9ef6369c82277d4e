#include "model.hpp"

#include <flamingo/cpu.hpp>
#include <flamingo/io/safetensors.hpp>
#include <flamingo/model/weights.hpp>

template little::Engine::Result little::Engine::forward(std::span<const flamingo::NewTokens>);
template flamingo::CachedMedium little::Engine::add_medium(const little::Features&, int, int, int);
template std::vector<flamingo::Score> flamingo::score(little::Engine&, flamingo::TextState&,
                                                      std::span<const std::vector<int>>, const flamingo::ScoreOptions&);
template flamingo::Generated flamingo::generate(little::Engine&, flamingo::TextState&,
                                                const flamingo::GenerateOptions&);

namespace little {

Little::Little(const std::filesystem::path& weights) {
  flamingo::load_numbers<Whole>(flamingo::io::Safetensors(weights), weights_.views);
}

flamingo::CachedMedium Little::look(std::span<const Picture> frames) {
  using Encoder = PatchEncoder<config.vision, P>;
  std::vector<float> pixels;
  std::vector<flamingo::Grid> grids;
  for (const Picture& frame : frames) {
    grids.push_back({static_cast<int>(pixels.size() / 3), side, side});
    pixels.insert(pixels.end(), frame.begin(), frame.end());
  }
  const auto scope = ctx_.scope();
  const auto features = flamingo::scratch<Encoder::D>(ctx_, static_cast<int>(frames.size()) * Encoder::S);
  Encoder::forward(ctx_, weights_.views.vision, {pixels.data(), static_cast<int>(pixels.size() / 3), {}}, grids,
                   features);
  return engine.add_medium(features, static_cast<int>(frames.size()));
}

flamingo::TextState Little::begin(const flamingo::Document& document,
                                  std::span<const flamingo::CachedMedium> media) const {
  return engine.begin(flamingo::sequence_of(document, tokenizer, tags, {.end_last_chunk = false}), media);
}

std::string Little::answer(flamingo::TextState& state) {
  return flamingo::generate(engine, state,
                            {.max_new_tokens = 8,
                             .stop_ids = tags.end_of_chunk,
                             .stop_texts = {"."},
                             .bytes_of = [this](int id) { return tokenizer.bytes(id); }})
      .text;
}

}  // namespace little
