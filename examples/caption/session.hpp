/// The trained model at work: documents in, captions, scores and heat maps out.
#pragma once
#include <string>
#include <vector>

#include "model.hpp"

#include <flamingo/infer/generate.hpp>
#include <flamingo/infer/score.hpp>

namespace caption {

/// A picture's features, and the name by which documents call it.
struct Seen {
  std::string name;
  std::vector<float> features;
};

/// A captioner over borrowed weights: one engine whose media are shared by all prompts.
class Captioner {
 public:
  using ConnectorWeights = flamingo::Store<Connector, P>::Views;
  using Engine = flamingo::Engine<Model, ConnectorWeights, LmWeights>;

  Captioner(flamingo::Context<P>& ctx, const Backbones& backbones, const ConnectorWeights& connector, int media = 512)
      : backbones_(backbones), engine_(ctx, connector, backbones.lm.views, {.text_rows = 16384, .media = media}) {}

  Engine& engine() { return engine_; }

  /// The prompt " image A. image B. ... image" of support pictures with their captions and one picture to be named.
  flamingo::TextState prompt(std::span<const std::pair<const Seen*, std::string>> support, const Seen& picture) {
    flamingo::Document document;
    std::vector<flamingo::CachedMedium> media;
    for (const auto& [seen, text] : support) {
      document.image(seen->name).text(" " + text);
      media.push_back(add(*seen));
    }
    document.image(picture.name);
    media.push_back(add(picture));
    return engine_.begin(flamingo::sequence_of(document, backbones_.tokenizer, backbones_.tags, {.context = 8192}),
                         media);
  }

  /// What the model says, greedily, up to the end of the chunk.
  flamingo::Generated describe(flamingo::TextState& state, int most_tokens = 12) {
    return describe(std::span(&state, 1), most_tokens)[0];
  }
  std::vector<flamingo::Generated> describe(std::span<flamingo::TextState> states, int most_tokens = 12) {
    const flamingo::GenerateOptions options{.max_new_tokens = most_tokens,
                                            .stop_ids = backbones_.tags.end_of_chunk,
                                            .bytes_of = [this](int id) { return backbones_.tokenizer.bytes(id); }};
    return flamingo::generate(engine_, states, options);
  }

  /// log p of each text, its end included, after the prompt.
  std::vector<flamingo::Score> rank(flamingo::TextState& state, std::span<const std::string> texts) {
    std::vector<std::vector<int>> candidates;
    for (const std::string& text : texts) {
      candidates.push_back(backbones_.tokenizer.encode(" " + text));
      candidates.back().insert(candidates.back().end(), backbones_.tags.end_of_chunk.begin(),
                               backbones_.tags.end_of_chunk.end());
    }
    return flamingo::score(engine_, state, std::span<const std::vector<int>>(candidates));
  }

  flamingo::CachedMedium add(const Seen& seen) {
    return engine_.add_medium(flamingo::Rows<P, Encoder::D, const float>{
        seen.features.data(), static_cast<int>(seen.features.size()) / Encoder::D, {}});
  }

 private:
  const Backbones& backbones_;
  Engine engine_;
};

}  // namespace caption
