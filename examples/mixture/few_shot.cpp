#include "few_shot.hpp"

#include <flamingo/infer/score.hpp>

namespace mixture {

using namespace caption;

struct FewShot::Engine : flamingo::Engine<Model, ConnectorWeights, LmWeights> {
  using flamingo::Engine<Model, ConnectorWeights, LmWeights>::Engine;

  flamingo::CachedMedium see(const Features& features, std::size_t picture) {
    std::vector<float> rows;
    for (const flamingo::half x : features.of(picture)) rows.push_back(static_cast<float>(x));
    return add_medium(flamingo::Rows<P, Encoder::D, const float>{rows.data(), cells, {}});
  }
};

FewShot::FewShot(flamingo::Context<P>& ctx, const Backbones& backbones, const ConnectorWeights& connector)
    : backbones_(backbones),
      engine_(std::make_unique<Engine>(ctx, connector, backbones.lm.views,
                                       flamingo::EngineOptions{.text_rows = 8192, .media = 512})) {}
FewShot::~FewShot() = default;

double FewShot::accuracy(const std::vector<Class>& classes, const Features& features, const FewShotOptions& o) {
  std::vector<Class> large;
  for (const Class& c : classes)
    if (c.members.size() >= static_cast<std::size_t>(o.shots + o.queries)) large.push_back(c);
  flamingo::check(large.size() >= static_cast<std::size_t>(o.ways), "few_shot", "there are ", large.size(),
                  " classes with ", o.shots + o.queries, " pictures, expected ", o.ways);
  const auto ways = static_cast<std::size_t>(o.ways), shots = static_cast<std::size_t>(o.shots);
  const auto& tags = backbones_.tags;
  int right = 0, all = 0;
  for (int e = 0; e < o.episodes; ++e) {
    flamingo::Random random(o.seed, static_cast<std::uint64_t>(e));
    std::vector<Class> chosen = large;
    Order::shuffle(chosen, random);
    chosen.resize(ways);
    std::vector<std::pair<std::size_t, std::size_t>> support;  // picture and class
    std::vector<std::vector<int>> candidates;
    for (std::size_t c = 0; c < ways; ++c) {
      Order::shuffle(chosen[c].members, random);
      if (o.made_up) chosen[c].name = made_up_word(random);
      for (std::size_t k = 0; k < shots; ++k) support.push_back({chosen[c].members[k], c});
      candidates.push_back(backbones_.tokenizer.encode(" " + chosen[c].name));
      candidates.back().insert(candidates.back().end(), tags.end_of_chunk.begin(), tags.end_of_chunk.end());
    }
    Order::shuffle(support, random);
    std::vector<std::size_t> labels;
    for (const auto& s : support) labels.push_back(s.second);
    if (o.shuffled) Order::shuffle(labels, random);

    flamingo::Document document;
    std::vector<flamingo::CachedMedium> media;
    for (std::size_t s = 0; s < support.size(); ++s) {
      document.image(features.path(support[s].first)).text(" " + chosen[labels[s]].name);
      media.push_back(engine_->see(features, support[s].first));
    }
    flamingo::TextState shown = engine_->begin(flamingo::sequence_of(document, backbones_.tokenizer, tags), media);
    {
      const auto scope = engine_->context().scope();
      flamingo::TextState* const states[] = {&shown};
      engine_->read(states);
    }
    for (std::size_t c = 0; c < ways; ++c)
      for (int q = 0; q < o.queries; ++q) {
        flamingo::TextState asked = shown;
        const flamingo::CachedMedium own[] = {
            engine_->see(features, chosen[c].members[shots + static_cast<std::size_t>(q)])};
        const std::vector<int> phi(tags.image.size(), static_cast<int>(support.size()) + 1);
        engine_->append(asked, tags.image, phi, own);
        const auto scores = flamingo::score(*engine_, asked, std::span<const std::vector<int>>(candidates));
        const auto best = std::ranges::max_element(scores, {}, [](const flamingo::Score& s) { return s.sum; });
        right += best - scores.begin() == static_cast<std::ptrdiff_t>(c);
        ++all;
      }
    engine_->drop_unused_media();
  }
  return static_cast<double>(right) / all;
}

}  // namespace mixture
