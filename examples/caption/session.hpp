/// The trained model at work: documents in, captions, scores and heat maps out.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model.hpp"

#include <flamingo/infer/attention_map.hpp>
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

  Captioner(flamingo::Context<P>& ctx, const Backbones& backbones, const ConnectorWeights& connector, int media = 512);
  ~Captioner();

  /// The prompt " image A. image B. ... image" of support pictures with their captions and one picture to be named.
  flamingo::TextState prompt(std::span<const std::pair<const Seen*, std::string>> support, const Seen& picture);

  /// What the model says, greedily, up to the end of the chunk.
  flamingo::Generated describe(flamingo::TextState& state, int most_tokens = 12) {
    return describe(std::span(&state, 1), most_tokens)[0];
  }
  std::vector<flamingo::Generated> describe(std::span<flamingo::TextState> states, int most_tokens = 12);

  /// log p of each text, its end included, after the prompt.
  std::vector<flamingo::Score> rank(flamingo::TextState& state, std::span<const std::string> texts);

  /// Nats a token of what each picture's document " image caption." asks for.
  std::vector<double> nats_of(std::span<const std::pair<Seen, std::string>> captions);

  /// Where the words of a caption looked: the mean heat over its tokens, one number a cell.
  std::vector<double> heat_of(const Seen& seen, std::string_view said) const;

  void drop_unused_media();

 private:
  struct Engine;  // what it is made of is compiled once, in session.cpp
  const Backbones& backbones_;
  const ConnectorWeights& connector_;
  std::unique_ptr<Engine> engine_;

  flamingo::CachedMedium add(const Seen& seen);
};

using CaptionEngine = flamingo::Engine<Model, Captioner::ConnectorWeights, LmWeights>;
using FeatureRows = flamingo::Rows<P, Encoder::D, const float>;

}  // namespace caption

// What all layers lie below is compiled once, in session.cpp.
extern template caption::CaptionEngine::Result caption::CaptionEngine::forward(std::span<const flamingo::NewTokens>);
extern template flamingo::CachedMedium caption::CaptionEngine::add_medium(const caption::FeatureRows&, int, int, int);
extern template flamingo::AttentionMaps flamingo::attention_maps<caption::Model>(
    flamingo::Context<caption::P>&, const caption::Captioner::ConnectorWeights&, const caption::LmWeights&,
    const flamingo::Sequence&, const caption::FeatureRows&, std::span<const flamingo::Medium>, std::span<const int>);
