/// The little model that these examples share: a Flamingo whose encoder and decoder block are our own, small enough to
/// be trained from nothing in seconds (train.cpp). What makes its layers is compiled once, in model.cpp.
#pragma once
#include <filesystem>
#include <span>

#include <flamingo/infer/generate.hpp>
#include <flamingo/infer/score.hpp>
#include <flamingo/kernels/cpu/context.hpp>
#include <flamingo/train/trained_layer.hpp>

#include "decoder.hpp"
#include "encoder.hpp"
#include "world.hpp"

namespace little {

using P = flamingo::Cpu<float>;
inline constexpr flamingo::FlamingoConfig<Patches, OneNorm> config{
    .vision = {.image = side, .patch = 4, .dim = 32},
    .resampler = {.dim = 32, .latents = 4, .layers = 2, .heads = 2, .head_dim = 16, .widening = 2, .frames = 4},
    .xattn = {.every = 1, .heads = 2, .head_dim = 16, .widening = 2},
    .lm = {.dim = 32, .layers = 2, .heads = 2, .head_dim = 16, .hidden = 64, .vocabulary = 32}};
using Model = flamingo::model::Flamingo<config, P>;

/// Everything is trained, so everything lies in one store: the connector, `lm` and `vision`.
inline constexpr flamingo::TrainedParts everything{.lm = true, .vision = true};
using Whole = flamingo::TrainedOf<config, P, everything>;
using Weights = flamingo::Store<Whole, P>;
using Features = flamingo::Rows<P, config.vision.dim>;
using Engine = flamingo::Engine<Model, Weights::Views, decltype(Weights::Views::lm)>;

/// What train.cpp saved, ready to be asked.
class Little {
 public:
  explicit Little(const std::filesystem::path& weights);

  const flamingo::io::Tokenizer tokenizer = words();
  const flamingo::Tags tags = flamingo::Tags::of(tokenizer, "<s>", "<image>", "<eoc>");

 private:
  Weights weights_;
  flamingo::Context<P> ctx_{1};

 public:
  Engine engine{ctx_, weights_.views, weights_.views.lm, {.text_rows = 4096, .media = 64}};

  /// A picture, or the frames of a video, through encoder and Resampler: once for each content.
  flamingo::CachedMedium look(std::span<const Picture> frames);
  flamingo::CachedMedium look(const Picture& picture) { return look(std::span(&picture, 1)); }

  /// A document that is yet to be continued, and the media that it announces.
  flamingo::TextState begin(const flamingo::Document& document, std::span<const flamingo::CachedMedium> media) const;
  /// What the model says next, up to a full stop.
  std::string answer(flamingo::TextState& state);
};

}  // namespace little

extern template little::Engine::Result little::Engine::forward(std::span<const flamingo::NewTokens>);
extern template flamingo::CachedMedium little::Engine::add_medium(const little::Features&, int, int, int);
extern template std::vector<flamingo::Score> flamingo::score(little::Engine&, flamingo::TextState&,
                                                             std::span<const std::vector<int>>,
                                                             const flamingo::ScoreOptions&);
extern template flamingo::Generated flamingo::generate(little::Engine&, flamingo::TextState&,
                                                       const flamingo::GenerateOptions&);
