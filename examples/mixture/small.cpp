#include "small.hpp"

#include "../caption/model.hpp"

#include <flamingo/io/sentencepiece.hpp>

namespace caption {

/// vision.safetensors, lm.safetensors and tokenizer.model, as examples/train --small puts them into a folder.
Backbones Backbones::load(const std::filesystem::path& folder, flamingo::Held held, flamingo::Arrangement arrangement) {
  flamingo::Store<Encoder, P> vision;
  flamingo::load_numbers<Encoder>(flamingo::io::Safetensors(folder / "vision.safetensors"), vision.views);
  auto tokenizer = flamingo::io::sentencepiece_tokenizer(folder / "tokenizer.model");
  const auto words = [&](const char* text) { return tokenizer.encode(text, {.begins = false}); };
  const auto begin = tokenizer.eos();  // its texts follow one another, each ended by this
  flamingo::check(begin.has_value(), "small", folder.string(), ": the tokenizer has no token that ends a text");
  flamingo::Tags tags{.begin = {*begin}, .image = words(" image"), .end_of_chunk = words(".")};
  const auto file = std::make_shared<const flamingo::io::Safetensors>(folder / "lm.safetensors");
  return {std::move(vision), flamingo::PackedWeights<Lm, P>::load(file, held, {}, nullptr, arrangement),
          std::move(tokenizer), std::move(tags)};
}

}  // namespace caption
