#include "few_shot.hpp"

#include <flamingo/infer/score.hpp>

namespace mixture {

using namespace caption;

struct FewShot::Engine : flamingo::Engine<Model, FewShot::ConnectorWeights, FewShot::LmWeights> {
  using flamingo::Engine<Model, FewShot::ConnectorWeights, FewShot::LmWeights>::Engine;

  flamingo::CachedMedium see(const Features& features, std::size_t picture) {
    std::vector<float> rows;
    for (const flamingo::half x : features.of(picture)) rows.push_back(static_cast<float>(x));
    return add_medium(flamingo::Rows<P, Encoder::D, const float>{rows.data(), cells, {}});
  }
};

FewShot::FewShot(flamingo::Context<P>& ctx, const Backbones& backbones, const ConnectorWeights& connector,
                 const LmWeights& lm)
    : backbones_(backbones),
      engine_(std::make_unique<Engine>(ctx, connector, lm, flamingo::EngineOptions{.text_rows = 8192, .media = 512})) {}
FewShot::~FewShot() = default;

namespace {

/// Five classes, whose first pictures are shown and whose next ones are asked.
struct Episode {
  std::vector<Class> classes;
  std::vector<std::pair<std::size_t, std::size_t>> support;  ///< picture and the class that it is called by
};

Episode draw(const std::vector<Class>& classes, const FewShotOptions& o, int number) {
  Episode episode;
  for (const Class& c : classes)
    if (c.members.size() >= static_cast<std::size_t>(o.shots + o.queries)) episode.classes.push_back(c);
  flamingo::check(episode.classes.size() >= static_cast<std::size_t>(o.ways), "few_shot", "there are ",
                  episode.classes.size(), " classes with ", o.shots + o.queries, " pictures, expected ", o.ways);
  flamingo::Random random(o.seed, static_cast<std::uint64_t>(number));
  Order::shuffle(episode.classes, random);
  episode.classes.resize(static_cast<std::size_t>(o.ways));
  std::vector<std::size_t> labels;
  for (std::size_t c = 0; c < episode.classes.size(); ++c) {
    Class& own = episode.classes[c];
    Order::shuffle(own.members, random);
    const std::string word = made_up_word(random);
    if (o.made_up) own.name = word;
    for (std::size_t k = 0; k < static_cast<std::size_t>(o.shots); ++k) episode.support.push_back({own.members[k], c});
  }
  Order::shuffle(episode.support, random);
  for (const auto& shown : episode.support) labels.push_back(shown.second);
  if (o.shuffled) Order::shuffle(labels, random);
  for (std::size_t s = 0; s < labels.size(); ++s) episode.support[s].second = labels[s];
  return episode;
}

/// The share of all episodes' queries for which answer(episode, picture) is the picture's class.
template <class Prepare>
double share_right(const std::vector<Class>& classes, const FewShotOptions& o, const Prepare& prepare) {
  int right = 0, all = 0;
  for (int e = 0; e < o.episodes; ++e) {
    const Episode episode = draw(classes, o, e);
    const auto answer = prepare(episode);
    for (std::size_t c = 0; c < episode.classes.size(); ++c)
      for (int q = 0; q < o.queries; ++q, ++all)
        right += answer(episode.classes[c].members[static_cast<std::size_t>(o.shots + q)]) == c;
  }
  return static_cast<double>(right) / all;
}

/// The classes' names as they are answered.
std::vector<std::vector<int>> answers(const std::vector<Class>& classes, const Backbones& backbones) {
  std::vector<std::vector<int>> all;
  for (const Class& c : classes) {
    all.push_back(backbones.tokenizer.encode(" " + c.name, {.begins = false}));
    all.back().insert(all.back().end(), backbones.tags.end_of_chunk.begin(), backbones.tags.end_of_chunk.end());
  }
  return all;
}

std::size_t likeliest(const std::vector<flamingo::Score>& scores) {
  const auto best = std::ranges::max_element(scores, {}, [](const flamingo::Score& s) { return s.sum; });
  return static_cast<std::size_t>(best - scores.begin());
}

}  // namespace

double FewShot::accuracy(const std::vector<Class>& classes, const Features& features, const FewShotOptions& o) {
  const auto& tags = backbones_.tags;
  return share_right(classes, o, [&](const Episode& episode) {
    flamingo::Document document;
    std::vector<flamingo::CachedMedium> media;
    for (const auto& [picture, label] : episode.support) {
      document.image(features.path(picture)).text(" " + episode.classes[label].name);
      media.push_back(engine_->see(features, picture));
    }
    const auto candidates = answers(episode.classes, backbones_);
    flamingo::TextState shown = engine_->begin(flamingo::sequence_of(document, backbones_.tokenizer, tags), media);
    const auto scope = engine_->context().scope();
    flamingo::TextState* const states[] = {&shown};
    engine_->read(states);
    engine_->drop_unused_media();
    return [this, &features, &tags, shown, candidates, seen = static_cast<int>(media.size())](std::size_t picture) {
      flamingo::TextState asked = shown;
      const flamingo::CachedMedium own[] = {engine_->see(features, picture)};
      engine_->append(asked, tags.image, std::vector<int>(tags.image.size(), seen + 1), own);
      return likeliest(flamingo::score(*engine_, asked, std::span<const std::vector<int>>(candidates)));
    };
  });
}

double FewShot::naming(const std::vector<Class>& named, const Features& features) {
  const auto candidates = answers(named, backbones_);
  std::size_t right = 0, all = 0;
  for (std::size_t c = 0; c < named.size(); ++c)
    for (const std::size_t picture : named[c].members) {
      const auto scope = engine_->context().scope();
      const flamingo::CachedMedium own[] = {engine_->see(features, picture)};
      const auto shown = flamingo::Document{}.image(features.path(picture));
      flamingo::TextState asked =
          engine_->begin(flamingo::sequence_of(shown, backbones_.tokenizer, backbones_.tags), own);
      right += likeliest(flamingo::score(*engine_, asked, std::span<const std::vector<int>>(candidates))) == c;
      ++all;
    }
  return all ? static_cast<double>(right) / static_cast<double>(all) : 0;
}

double prototype_accuracy(const std::vector<Class>& classes, const Features& features, const FewShotOptions& o) {
  return share_right(classes, o, [&](const Episode& episode) {
    std::vector<std::vector<float>> means(episode.classes.size(), std::vector<float>(Encoder::D, 0.0f));
    for (const auto& [picture, label] : episode.support) {
      const std::vector<float> own = features.pooled(picture);
      for (std::size_t d = 0; d < own.size(); ++d) means[label][d] += own[d];
    }
    return [&features, means](std::size_t picture) {
      const std::vector<float> own = features.pooled(picture);
      std::vector<float> cosines;
      for (const std::vector<float>& mean : means) {
        float product = 0, squares = 1e-12f;
        for (std::size_t d = 0; d < own.size(); ++d) {
          product += own[d] * mean[d];
          squares += mean[d] * mean[d];
        }
        cosines.push_back(product / std::sqrt(squares));
      }
      return static_cast<std::size_t>(std::ranges::max_element(cosines) - cosines.begin());
    };
  });
}

}  // namespace mixture
