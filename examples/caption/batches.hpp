/// From pictures to training batches: documents of a few picture-caption pairs each, drawn by step.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "collection.hpp"

#include <flamingo/train/trainer.hpp>

namespace caption {

using Batch = flamingo::TrainingBatch<float>;

/// Which features a pair's picture gets in an evaluation: its own, another picture's, or a blank picture's.
enum class Sight { real, shuffled, blank };

/// What is kept from a training picture at random: each cell and each channel (in all cells) with this probability.
struct Disturb {
  float cells = 0, channels = 0;
};

/// Appends the features of a picture to a batch, disturbed (a cell is always left).
inline void add_medium(Batch& batch, std::span<const flamingo::half> features, int place, const Disturb& disturb,
                       flamingo::Random& random) {
  std::array<float, Encoder::D> gains;
  gains.fill(1);
  if (disturb.channels > 0)
    for (float& gain : gains) gain = random.uniform() < disturb.channels ? 0.0f : 1.0f;
  const int first = static_cast<int>(batch.features.size()) / Encoder::D;
  int rows = 0;
  for (int cell = 0; cell < cells; ++cell) {
    if (disturb.cells > 0 && random.uniform() < disturb.cells && !(rows == 0 && cell + 1 == cells)) continue;
    for (int d = 0; d < Encoder::D; ++d)
      batch.features.push_back(gains[static_cast<std::size_t>(d)] *
                               static_cast<float>(features[static_cast<std::size_t>(cell * Encoder::D + d)]));
    ++rows;
  }
  batch.media.push_back({first, rows, 1, place});
}

/// Appends a document to a batch; the features of its media were added just before.
inline void add_document(Batch& batch, const flamingo::Document& document, const Backbones& backbones) {
  flamingo::Sequence sequence = flamingo::sequence_of(document, backbones.tokenizer, backbones.tags);
  sequence.first_medium = static_cast<int>(batch.media.size()) - sequence.media;
  batch.sequences.push_back(std::move(sequence));
}

/// The stream of one dataset: `documents` documents an update, `pairs` pairs each, drawn without regard to what was
/// drawn before. What is drawn depends on seed and step alone.
struct PairStream {
  const std::vector<Picture>* pictures;
  const Features* features;
  const Backbones* backbones;
  std::vector<std::size_t> members;
  int documents = 6, pairs = 4;
  Disturb disturb{.cells = 0.3f};
  std::uint64_t seed = 1;

  Batch operator()(long step) const {
    Batch batch;
    flamingo::Random random(seed, static_cast<std::uint64_t>(step));
    for (int d = 0; d < documents; ++d) {
      flamingo::Document document;
      for (int p = 0; p < pairs; ++p) {
        const std::size_t i = members[static_cast<std::size_t>(random.below(static_cast<int>(members.size())))];
        add_medium(batch, features->of(i, random.below(features->variations(i))), p, disturb, random);
        document.image((*pictures)[i].path).text(" " + (*pictures)[i].caption);
      }
      add_document(batch, document, *backbones);
    }
    return batch;
  }
};

/// The stream of few-shot windows: a handful of classes, each shown at least twice, named by real names or by words
/// made up for this window alone. A made-up word is asked for from the second time its class appears: the answer can
/// only come from comparing pictures.
struct WindowStream {
  const std::vector<Picture>* pictures;
  const Features* features;
  const Backbones* backbones;
  std::vector<std::vector<std::size_t>> concepts;  ///< the training pictures of each concept
  int documents = 4;
  Disturb disturb{.cells = 0.3f};
  std::uint64_t seed = 1;

  Batch operator()(long step) const {
    Batch batch;
    flamingo::Random random(seed, static_cast<std::uint64_t>(step));
    for (int d = 0; d < documents; ++d) {
      struct Class {
        std::size_t concept_at, picture;
        std::string word;
        bool seen = false;
      };
      const bool made_up = random.uniform() < 0.55f;
      std::vector<Class> classes(static_cast<std::size_t>(2 + random.below(3)));
      std::vector<std::size_t> order;
      for (std::size_t c = 0; c < classes.size(); ++c) {
        classes[c].concept_at = static_cast<std::size_t>(random.below(static_cast<int>(concepts.size())));
        classes[c].picture = draw(classes[c].concept_at, random);
        classes[c].word = made_up ? word(random) : (*pictures)[classes[c].picture].caption;
        order.insert(order.end(), {c, c});
      }
      for (std::size_t i = order.size(); i > 1; --i)
        std::swap(order[i - 1], order[static_cast<std::size_t>(random.below(static_cast<int>(i)))]);
      flamingo::Document document;
      int place = 0;
      for (const std::size_t c : order) {
        Class& k = classes[c];
        // The same picture again, varied and with other cells dropped, or another of the concept.
        if (k.seen && random.below(2)) k.picture = draw(k.concept_at, random);
        add_medium(batch, features->of(k.picture, random.below(features->variations(k.picture))), place++, disturb,
                   random);
        document.image((*pictures)[k.picture].path);
        if (made_up && !k.seen)
          document.given(" " + k.word);
        else
          document.text(" " + k.word);
        k.seen = true;
      }
      add_document(batch, document, *backbones);
    }
    return batch;
  }

 private:
  std::size_t draw(std::size_t concept_at, flamingo::Random& random) const {
    const auto& members = concepts[concept_at];
    return members[static_cast<std::size_t>(random.below(static_cast<int>(members.size())))];
  }
  static std::string word(flamingo::Random& random) {
    static constexpr std::array<const char*, 12> starts{"bl", "d", "f", "gr", "k", "m", "pl", "s", "t", "v", "w", "z"},
        middles{"a", "e", "i", "o", "u", "oo", "ar", "ee", "y", "ou", "ai", "or"},
        ends{"ck", "dle", "fer", "g", "ket", "llo", "m", "nk", "p", "sh", "t", "xa"};
    const auto any = [&](const auto& parts) { return parts[static_cast<std::size_t>(random.below(12))]; };
    return std::string(any(starts)) + any(middles) + any(ends);
  }
};

/// One pair a document, for evaluation: pictures `members` under real, shuffled or blank sight.
inline Batch single_pairs(const std::vector<Picture>& pictures, const Features& features, const Backbones& backbones,
                          std::span<const std::size_t> members, Sight sight, std::span<const flamingo::half> blank) {
  Batch batch;
  flamingo::Random unused;
  for (std::size_t n = 0; n < members.size(); ++n) {
    const std::size_t i = members[n], other = members[(n + 1 + members.size() / 2) % members.size()];
    add_medium(batch, sight == Sight::blank ? blank : features.of(sight == Sight::shuffled ? other : i), 0, {}, unused);
    add_document(batch, flamingo::Document{}.image(pictures[i].path).text(" " + pictures[i].caption), backbones);
  }
  return batch;
}

}  // namespace caption
