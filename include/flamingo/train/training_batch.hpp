/// What a pass of training reads: documents, and features or pictures of their media.
#pragma once
#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include <flamingo/model/media.hpp>
#include <flamingo/model/resampler.hpp>
#include <flamingo/ops/grid.hpp>

namespace flamingo {

/// A ragged batch of documents with the features of their media, or with their pictures where the encoder is trained. A
/// text to train the decoder on has no media. `Numbers` holds features and pixels: a plan's batch has none of them
/// (CountedNumbers).
template <class R, class Numbers = std::vector<R>>
struct TrainingBatch {
  Numbers features;           ///< (rows of all media, E), row-major
  std::vector<Medium> media;  ///< over the feature rows, also of those that are yet to be computed
  std::vector<Sequence> sequences;
  Numbers pixels{};              ///< (pixels of all pictures and frames, 3)
  std::vector<Grid> pictures{};  ///< each image, or each frame of a video, where it lies among them

  /// Puts the documents of another batch after these.
  void append(const TrainingBatch& other) {
    int rows = 0, shown = 0;
    for (const Medium& m : media) rows += m.rows;
    for (const Grid& picture : pictures) shown += picture.rows();
    const int before = static_cast<int>(media.size());
    for (Medium m : other.media) {
      m.first += rows;
      media.push_back(m);
    }
    for (Sequence s : other.sequences) {
      s.first_medium += before;
      sequences.push_back(std::move(s));
    }
    for (Grid picture : other.pictures) {
      picture.first += shown;
      pictures.push_back(picture);
    }
    features.insert(features.end(), other.features.begin(), other.features.end());
    pixels.insert(pixels.end(), other.pixels.begin(), other.pixels.end());
  }
};

/// Tokens that a batch is asked for.
template <class R, class Numbers>
std::size_t asked_of(const TrainingBatch<R, Numbers>& batch) {
  std::size_t n = 0;
  for (const Sequence& s : batch.sequences)
    n += static_cast<std::size_t>(std::count_if(s.targets.begin(), s.targets.end(), [](int t) { return t >= 0; }));
  return n;
}

/// Sequences first ... first + count of a batch as a batch of their own. Each sequence's media must lie after those of
/// the sequences before it.
template <class R, class Numbers>
TrainingBatch<R, Numbers> part_of(const TrainingBatch<R, Numbers>& batch, std::size_t first, std::size_t count) {
  const auto take = [](const auto& all, std::size_t from, std::size_t n, auto& to) {
    check(from + n <= all.size(), "batch", "numbers ", from, " to ", from + n, " are asked for, of ", all.size());
    if constexpr (requires { all.begin(); })
      to.assign(all.begin() + static_cast<std::ptrdiff_t>(from), all.begin() + static_cast<std::ptrdiff_t>(from + n));
    else
      to = std::remove_cvref_t<decltype(all)>(n);
  };
  TrainingBatch<R, Numbers> part;
  take(batch.sequences, first, count, part.sequences);
  std::size_t begin = 0;  // of its media
  for (std::size_t s = 0; s < first; ++s) begin += static_cast<std::size_t>(batch.sequences[s].media);
  std::size_t end = begin;
  for (Sequence& s : part.sequences) {
    check(s.media == 0 || s.first_medium == static_cast<int>(end), "batch", "a sequence has the media from ",
          s.first_medium, " on, expected ", end, ": each sequence's lie after those of the sequences before it");
    end += static_cast<std::size_t>(s.media);
    s.first_medium -= static_cast<int>(begin);
  }
  take(batch.media, begin, end - begin, part.media);
  std::size_t rows_before = 0, rows = 0, all_rows = 0, frames_before = 0, frames = 0;
  for (std::size_t m = 0; m < batch.media.size(); ++m) {
    const auto of_medium = static_cast<std::size_t>(batch.media[m].rows);
    const auto shown = static_cast<std::size_t>(batch.media[m].frames);
    all_rows += of_medium;
    if (m < begin) {
      rows_before += of_medium;
      frames_before += shown;
    } else if (m < end) {
      rows += of_medium;
      frames += shown;
    }
  }
  for (Medium& m : part.media) m.first -= static_cast<int>(rows_before);
  if (!batch.features.empty()) {
    const std::size_t width = batch.features.size() / std::max<std::size_t>(1, all_rows);
    take(batch.features, rows_before * width, rows * width, part.features);
  }
  if (!batch.pictures.empty() && frames > 0) {
    take(batch.pictures, frames_before, frames, part.pictures);
    const int before = part.pictures.front().first;
    int cells = 0;
    for (Grid& picture : part.pictures) {
      picture.first -= before;
      cells += picture.rows();
    }
    take(batch.pixels, 3 * static_cast<std::size_t>(before), 3 * static_cast<std::size_t>(cells), part.pixels);
  }
  return part;
}

/// The share of process `rank` in a batch that every process draws alike: sequences one after another, as equal in
/// number as can be. So an update does not depend on how many processes make it but for rounding.
template <class R>
TrainingBatch<R> share_of(const TrainingBatch<R>& batch, int rank, int processes) {
  check(rank >= 0 && rank < processes, "batch", "process ", rank, " of ", processes);
  const auto border = [&](int r) {
    return batch.sequences.size() * static_cast<std::size_t>(r) / static_cast<std::size_t>(processes);
  };
  return part_of(batch, border(rank), border(rank + 1) - border(rank));
}

}  // namespace flamingo
