/// Whether training pictures are also in an evaluation: a perceptual hash finds copies of another size or format, an
/// embedding what was cut, framed or recoloured.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/web/perceptual_hash.hpp>
#include <flamingo/io/image.hpp>
#include <flamingo/io/resize.hpp>

namespace flamingo {

/// How alike pictures must be to count as one.
struct ContaminationLimits {
  int bits = 5;          ///< most bits in which the hashes differ, up to 7
  float cosine = 0.97f;  ///< least cosine of the embeddings
};

/// The picture as 8 x 8 colours without their mean, of length 1: an embedding where there is no encoder at hand. A
/// picture of one colour has no direction and gives zeros.
inline std::vector<float> thumbnail_embedding(const io::Image& image) {
  const io::Image little = io::resize(image, 8, 8, io::Filter::box);
  std::vector<float> embedding(little.rgb.begin(), little.rgb.end());
  float mean = 0, squares = 0;
  for (const float x : embedding) mean += x / static_cast<float>(embedding.size());
  for (float& x : embedding) {
    x -= mean;
    squares += x * x;
  }
  for (float& x : embedding) x = squares > 1 ? x / std::sqrt(squares) : 0;
  return embedding;
}

/// The pictures of evaluations, to be asked for each picture of a training set.
class ContaminationIndex {
 public:
  struct Match {
    std::string name;   ///< of the evaluation's picture
    int bits = 64;      ///< in which the hashes differ
    float cosine = -1;  ///< of the embeddings; -1 where there are none
    bool by_hash = false, by_embedding = false;
  };

  explicit ContaminationIndex(ContaminationLimits limits = {}) : limits_(limits) {
    check(limits.bits >= 0 && limits.bits < bands, "contamination", "got ", limits.bits, " bits, expected 0 to ",
          bands - 1);
  }

  /// `embedding` has length 1, or nothing; all have the same number of dimensions.
  void add(std::string name, std::uint64_t hash, std::span<const float> embedding = {}) {
    if (names_.empty()) dimensions_ = embedding.size();
    check(embedding.size() == dimensions_, "contamination", name, ": its embedding has ", embedding.size(),
          " dimensions, the first one's ", dimensions_);
    for (int band = 0; band < bands; ++band)
      buckets_[bucket(hash, band)].push_back(static_cast<std::uint32_t>(names_.size()));
    names_.push_back(std::move(name));
    hashes_.push_back(hash);
    embeddings_.insert(embeddings_.end(), embedding.begin(), embedding.end());
  }
  /// Hash and thumbnail of the picture itself.
  void add(std::string name, const io::Image& image) {
    add(std::move(name), web::perceptual_hash(image), thumbnail_embedding(image));
  }

  std::size_t size() const { return names_.size(); }

  /// The picture that is most alike, if one is within the limits: the nearest hash, else the nearest embedding.
  std::optional<Match> find(std::uint64_t hash, std::span<const float> embedding = {}) const {
    check(names_.empty() || embedding.empty() || embedding.size() == dimensions_, "contamination", "the embedding has ",
          embedding.size(), " dimensions, the index ", dimensions_);
    std::optional<std::size_t> by_hash, by_embedding;
    int bits = limits_.bits + 1;
    // Hashes that differ in fewer bits than there are bands agree in at least one band.
    for (int band = 0; band < bands; ++band)
      for (const std::uint32_t at : buckets_[bucket(hash, band)])
        if (const int differ = web::hamming(hash, hashes_[at]); differ < bits) {
          bits = differ;
          by_hash = at;
        }
    float cosine = limits_.cosine;
    for (std::size_t at = 0; at < names_.size() && !embedding.empty(); ++at)
      if (const float found = cosine_of(at, embedding); found >= cosine) {
        cosine = found;
        by_embedding = at;
      }
    if (!by_hash && !by_embedding) return {};
    const std::size_t at = by_hash ? *by_hash : *by_embedding;
    Match match{names_[at], web::hamming(hash, hashes_[at]), embedding.empty() ? -1 : cosine_of(at, embedding)};
    match.by_hash = by_hash.has_value();
    match.by_embedding = match.cosine >= limits_.cosine;
    return match;
  }
  std::optional<Match> find(const io::Image& image) const {
    return find(web::perceptual_hash(image), thumbnail_embedding(image));
  }

 private:
  static constexpr int bands = 8;

  static std::size_t bucket(std::uint64_t hash, int band) {
    return static_cast<std::size_t>(band) * 256 + (hash >> (8 * band) & 0xff);
  }
  float cosine_of(std::size_t at, std::span<const float> embedding) const {
    float sum = 0;
    for (std::size_t d = 0; d < dimensions_; ++d) sum += embeddings_[at * dimensions_ + d] * embedding[d];
    return sum;
  }

  ContaminationLimits limits_;
  std::size_t dimensions_ = 0;
  std::vector<std::string> names_;
  std::vector<std::uint64_t> hashes_;
  std::vector<float> embeddings_;
  std::array<std::vector<std::uint32_t>, std::size_t{256} * bands> buckets_;
};

}  // namespace flamingo
