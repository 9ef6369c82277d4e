#include "session.hpp"

#include <array>

#include <flamingo/infer/attention_overlay.hpp>

template caption::CaptionEngine::Result caption::CaptionEngine::forward(std::span<const flamingo::NewTokens>);
template flamingo::CachedMedium caption::CaptionEngine::add_medium(const caption::FeatureRows&, int, int, int);
template flamingo::AttentionMaps flamingo::attention_maps<caption::Model>(
    flamingo::Context<caption::P>&, const caption::Captioner::ConnectorWeights&, const caption::LmWeights&,
    const flamingo::Sequence&, const caption::FeatureRows&, std::span<const flamingo::Medium>, std::span<const int>);

namespace caption {

struct Captioner::Engine : CaptionEngine {
  using CaptionEngine::Engine;
};

Captioner::Captioner(flamingo::Context<P>& ctx, const Backbones& backbones, const ConnectorWeights& connector,
                     int media)
    : backbones_(backbones),
      connector_(connector),
      engine_(std::make_unique<Engine>(ctx, connector, backbones.lm.views,
                                       flamingo::EngineOptions{.text_rows = 16384, .media = media})) {}
Captioner::~Captioner() = default;

flamingo::TextState Captioner::prompt(std::span<const std::pair<const Seen*, std::string>> support,
                                      const Seen& picture) {
  flamingo::Document document;
  std::vector<flamingo::CachedMedium> media;
  for (const auto& [seen, text] : support) {
    document.image(seen->name).text(" " + text);
    media.push_back(add(*seen));
  }
  document.image(picture.name);
  media.push_back(add(picture));
  return engine_->begin(flamingo::sequence_of(document, backbones_.tokenizer, backbones_.tags, {.context = 8192}),
                        media);
}

std::vector<flamingo::Generated> Captioner::describe(std::span<flamingo::TextState> states, int most_tokens) {
  const flamingo::GenerateOptions options{.max_new_tokens = most_tokens,
                                          .stop_ids = backbones_.tags.end_of_chunk,
                                          .bytes_of = [this](int id) { return backbones_.tokenizer.bytes(id); }};
  return flamingo::generate(*engine_, states, options);
}

std::vector<flamingo::Score> Captioner::rank(flamingo::TextState& state, std::span<const std::string> texts) {
  std::vector<std::vector<int>> candidates;
  for (const std::string& text : texts) {
    candidates.push_back(backbones_.tokenizer.encode(" " + text));
    candidates.back().insert(candidates.back().end(), backbones_.tags.end_of_chunk.begin(),
                             backbones_.tags.end_of_chunk.end());
  }
  return flamingo::score(*engine_, state, std::span<const std::vector<int>>(candidates));
}

std::vector<double> Captioner::nats_of(std::span<const std::pair<Seen, std::string>> captions) {
  const auto scope = engine_->context().scope();
  std::vector<flamingo::TextState> documents;
  std::vector<flamingo::TextState*> states;
  std::vector<int> rows, targets;
  std::vector<std::size_t> owners;
  int first = 0;
  documents.reserve(captions.size());
  for (const auto& [seen, caption] : captions) {
    const flamingo::Sequence sequence = flamingo::sequence_of(flamingo::Document{}.image(seen.name).text(" " + caption),
                                                              backbones_.tokenizer, backbones_.tags);
    for (std::size_t t = 0; t < sequence.targets.size(); ++t)
      if (sequence.targets[t] >= 0) {
        rows.push_back(first + static_cast<int>(t));
        targets.push_back(sequence.targets[t]);
        owners.push_back(documents.size());
      }
    first += static_cast<int>(sequence.targets.size());
    documents.push_back(engine_->begin(sequence, std::array{add(seen)}));
    states.push_back(&documents.back());
  }
  const std::vector<double> log_p = engine_->log_likelihoods(engine_->read(states), rows, targets);
  std::vector<double> sums(captions.size(), 0), counts(captions.size(), 0);
  for (std::size_t n = 0; n < log_p.size(); ++n) {
    sums[owners[n]] -= log_p[n];
    ++counts[owners[n]];
  }
  for (std::size_t d = 0; d < sums.size(); ++d) sums[d] /= counts[d];
  return sums;
}

std::vector<double> Captioner::heat_of(const Seen& seen, std::string_view said) const {
  const auto document = flamingo::Document{}.image(seen.name).text(" " + std::string(said));
  const flamingo::Sequence sequence = flamingo::sequence_of(document, backbones_.tokenizer, backbones_.tags);
  std::vector<int> words;  // each word is predicted from the token before it
  for (int t = 0; t < static_cast<int>(sequence.targets.size()) - 1; ++t)
    if (sequence.targets[static_cast<std::size_t>(t)] >= 0) words.push_back(t);
  if (words.empty()) return std::vector<double>(cells, 0);
  const FeatureRows features{seen.features.data(), cells, {}};
  const std::array medium{flamingo::Medium{0, cells, 1, 0}};
  const auto maps = flamingo::attention_maps<Model>(engine_->context(), connector_, backbones_.lm.views, sequence,
                                                    features, medium, words);
  std::vector<double> mean(cells, 0);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto heat = flamingo::attention_heat(maps, static_cast<int>(i), 0);
    for (std::size_t s = 0; s < heat.size(); ++s) mean[s] += heat[s] / static_cast<double>(words.size());
  }
  return mean;
}

void Captioner::drop_unused_media() { engine_->drop_unused_media(); }

flamingo::CachedMedium Captioner::add(const Seen& seen) {
  return engine_->add_medium(
      FeatureRows{seen.features.data(), static_cast<int>(seen.features.size()) / Encoder::D, {}});
}

}  // namespace caption
