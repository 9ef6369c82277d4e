/// From the collection to training batches. Every stream is a function of the step alone, so a resumed run sees what it
/// would have seen.
#pragma once
#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "collection.hpp"
#include "recipe.hpp"

#include <flamingo/data/sampling.hpp>
#include <flamingo/train/training_batch.hpp>

namespace mixture {

using Batch = flamingo::TrainingBatch<float>;

/// What all streams read.
struct Sources {
  const Collection* collection;
  const Features* features;
  const caption::Backbones* backbones;
  const Recipe* recipe;
};

/// A place in an endless order of `size` things, a new order in each epoch. Throws where a place of nothing is asked.
class Order {
 public:
  Order(std::size_t size, std::uint64_t seed) : size_(static_cast<long>(size)), seed_(seed) {}
  std::size_t at(long n) {
    flamingo::check(size_ > 0, "streams", "a stream of nothing");
    if (n / size_ != epoch_) {
      epoch_ = n / size_;
      order_.resize(static_cast<std::size_t>(size_));
      for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = i;
      flamingo::Random random(seed_, flamingo::hash("epoch") + static_cast<std::uint64_t>(epoch_));
      shuffle(order_, random);
    }
    return order_[static_cast<std::size_t>(n % size_)];
  }
  template <class T>
  static void shuffle(std::vector<T>& things, flamingo::Random& random) {
    for (std::size_t i = things.size(); i > 1; --i)
      std::swap(things[i - 1], things[static_cast<std::size_t>(random.below(static_cast<int>(i)))]);
  }

 private:
  long size_, epoch_ = -1;
  std::uint64_t seed_;
  std::vector<std::size_t> order_;
};

template <class T>
const T& any_of(const std::vector<T>& things, flamingo::Random& random) {
  return things[static_cast<std::size_t>(random.below(static_cast<int>(things.size())))];
}

/// What is kept from a training picture at random: each cell and each channel with these probabilities.
struct Disturbed {
  float cells = 0, channels = 0;
};

/// Appends a medium of one picture or several frames, in all of which the same cells and channels are dropped.
inline void add_medium(Batch& batch, std::span<const std::span<const flamingo::half>> frames, int place,
                       const Disturbed& disturb, flamingo::Random& random) {
  constexpr int D = caption::Encoder::D;
  std::array<float, D> gains;
  for (float& gain : gains) gain = disturb.channels > 0 && random.uniform() < disturb.channels ? 0.0f : 1.0f;
  std::vector<int> kept;
  for (int cell = 0; cell < caption::cells; ++cell)
    if (!(disturb.cells > 0 && random.uniform() < disturb.cells)) kept.push_back(cell);
  if (kept.empty()) kept.push_back(random.below(caption::cells));
  const int first = static_cast<int>(batch.features.size()) / D;
  for (const auto& frame : frames)
    for (const int cell : kept)
      for (std::size_t d = 0; d < D; ++d)
        batch.features.push_back(gains[d] * static_cast<float>(frame[static_cast<std::size_t>(cell) * D + d]));
  const int count = static_cast<int>(frames.size());
  batch.media.push_back({first, count * static_cast<int>(kept.size()), count, place});
}
inline void add_medium(Batch& batch, std::span<const flamingo::half> picture, int place, const Disturbed& disturb,
                       flamingo::Random& random) {
  add_medium(batch, std::span(&picture, 1), place, disturb, random);
}

/// Appends a sequence whose media were added just before.
inline void add_sequence(Batch& batch, flamingo::Sequence sequence) {
  sequence.first_medium = static_cast<int>(batch.media.size()) - sequence.media;
  batch.sequences.push_back(std::move(sequence));
}
inline void add_document(Batch& batch, const flamingo::Document& document, const caption::Backbones& backbones) {
  add_sequence(batch, flamingo::sequence_of(document, backbones.tokenizer, backbones.tags));
}

/// Documents of one kind of members, which `Kind::add` writes.
template <class Kind>
struct Stream {
  Sources from;
  std::vector<std::size_t> members;
  int documents;
  std::uint64_t seed;
  Disturbed disturb;
  Order order{members.size(), seed};

  Batch operator()(long step) {
    Batch batch;
    flamingo::Random random(seed, static_cast<std::uint64_t>(step));
    for (int d = 0; d < documents; ++d)
      Kind::add(batch, from, members[order.at((step - 1) * documents + d)], disturb, random);
    return batch;
  }
};

/// A picture with one of its captions, each in a document of its own.
struct Pairs {
  static void add(Batch& batch, const Sources& from, std::size_t i, const Disturbed& disturb,
                  flamingo::Random& random) {
    const Picture& p = from.collection->pictures[i];
    add_medium(batch, from.features->of(i, random.below(from.features->variations(i))), 0, disturb, random);
    add_document(batch, flamingo::Document{}.image(p.path).text(" " + any_of(p.captions, random)), *from.backbones);
  }
};
using PairStream = Stream<Pairs>;

/// An animation with one of its captions.
struct Animations {
  static void add(Batch& batch, const Sources& from, std::size_t i, const Disturbed& disturb,
                  flamingo::Random& random) {
    const Animation& a = from.collection->animations[i];
    std::vector<std::span<const flamingo::half>> frames;
    for (const std::string& frame : a.frames) frames.push_back(from.features->of(from.features->place(frame)));
    add_medium(batch, frames, 0, disturb, random);
    add_document(batch, flamingo::Document{}.video(a.frames).text(" " + any_of(a.captions, random)), *from.backbones);
  }
};
using AnimationStream = Stream<Animations>;

/// A window of a page, at a random place that has a picture.
struct Pages {
  static void add(Batch& batch, const Sources& from, std::size_t i, const Disturbed& disturb,
                  flamingo::Random& random) {
    const auto options = flamingo::WindowOptions::pages(from.recipe->page_tokens, from.recipe->page_media);
    const flamingo::Document& page = from.collection->pages[i].document;
    flamingo::DocumentWindow window;
    for (int attempt = 0; attempt < 20 && window.sequence.media == 0; ++attempt)
      window = flamingo::sample_window(page, from.backbones->tokenizer, from.backbones->tags, options, random);
    const auto media = page.media();
    for (int m = 0; m < window.sequence.media; ++m) {
      const std::string& path = media[static_cast<std::size_t>(window.first_medium + m)]->frames.front();
      add_medium(batch, from.features->of(from.features->place(path)), m, disturb, random);
    }
    add_sequence(batch, std::move(window.sequence));
  }
};
using PageStream = Stream<Pages>;

/// The documents as they are: to be scored, not trained on.
template <class Stream>
Batch undisturbed(Stream stream, int documents, long step) {
  stream.documents = documents;
  stream.disturb = {};
  return stream(step);
}

}  // namespace mixture
