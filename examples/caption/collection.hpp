/// The training pictures: a manifest of files and captions, and their features, computed once and cached on disk.
#pragma once
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "model.hpp"

#include <flamingo/core/random.hpp>
#include <flamingo/io/atomic_file.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/train/progress.hpp>

namespace caption {

struct Picture {
  std::string path, source, caption, concept_key, split;
};

/// Variations of each training picture: itself and three more.
inline constexpr int variations = 4;

/// Of how many shared concepts one is held out in a source (see `carried`).
inline constexpr int default_carried = 16;

/// Held out within the training concepts: of one in `share` of those that both emoji and clip art show, the clip art,
/// and of as many others the emoji. It tells how well names carry over between sources, which is what E1 and E2 ask.
inline std::vector<char> carried(const std::vector<Picture>& pictures, int share = default_carried) {
  const auto is_clipart = [](const Picture& p) { return p.source == "openclipart"; };
  std::map<std::string, int> sources;
  for (const Picture& p : pictures)
    if (p.split == "train") sources[p.concept_key] |= is_clipart(p) ? 1 : 2;
  std::vector<char> held_out;
  for (const Picture& p : pictures) {
    const auto turn = flamingo::hash("carried " + p.concept_key) % static_cast<std::uint64_t>(share);
    held_out.push_back(p.split == "train" && sources[p.concept_key] == 3 && turn == (is_clipart(p) ? 0 : 1));
  }
  return held_out;
}

/// Lines of examples/data/manifest.py; pictures of split "unused" are left out.
inline std::vector<Picture> read_manifest(const std::filesystem::path& path) {
  std::ifstream in(path);
  flamingo::check(in.good(), "manifest", path.string(), ": cannot be opened");
  std::vector<Picture> pictures;
  for (std::string line; std::getline(in, line);) {
    const auto json = flamingo::io::Json::parse(line, path.string());
    const auto text = [&](const char* name) { return json.at(name).as_string(); };
    if (text("split") != "unused")
      pictures.push_back({text("path"), text("source"), text("caption"), text("concept"), text("split")});
  }
  flamingo::check(!pictures.empty(), "manifest", path.string(), ": no pictures");
  return pictures;
}

/// A variation of a picture for training: mirrored, cut closer or set further away, its colours shifted. Variation 0 is
/// the picture itself.
inline flamingo::io::Image vary(const flamingo::io::Image& picture, std::uint64_t key, int variation) {
  if (variation == 0) return picture;
  flamingo::Random random(key, static_cast<std::uint64_t>(variation));
  flamingo::io::Image image = flamingo::io::pad_to_square(picture);
  const bool mirrored = random.below(2) == 1;
  const int side = image.width, most = side / 4;
  if (random.below(3) < 2 && side >= 16) {  // cut up to a quarter, anywhere
    const int cut = 1 + random.below(most), x = random.below(cut + 1), y = random.below(cut + 1);
    image = flamingo::io::crop(image, x, y, side - cut, side - cut);
  } else {  // up to a third of white around it
    const int more = random.below(side / 3 + 1), x = random.below(more + 1), y = random.below(more + 1);
    flamingo::io::Image wide{side + more, side + more, {}};
    wide.rgb.assign(static_cast<std::size_t>(wide.width * wide.height * 3), 255);
    for (int row = 0; row < side; ++row)
      std::copy_n(image.rgb.begin() + row * side * 3, side * 3, wide.rgb.begin() + ((row + y) * wide.width + x) * 3);
    image = std::move(wide);
  }
  if (mirrored) image = flamingo::io::flip_horizontal(std::move(image));
  const bool grey = random.below(8) == 0;
  std::array<float, 3> gain{};
  for (float& g : gain) g = 0.8f + 0.4f * random.uniform();
  for (std::size_t i = 0; i + 2 < image.rgb.size(); i += 3) {
    const float mean = static_cast<float>(image.rgb[i] + image.rgb[i + 1] + image.rgb[i + 2]) / 3;
    for (std::size_t c = 0; c < 3; ++c) {
      const float value = (grey ? mean : static_cast<float>(image.rgb[i + c])) * gain[c];
      image.rgb[i + c] = static_cast<std::uint8_t>(std::min(255.0f, value));
    }
  }
  return image;
}

/// Features of every picture in `variations` variations each (training pictures) or one, as halves.
class Features {
 public:
  static constexpr std::size_t size = static_cast<std::size_t>(cells) * Encoder::D;

  /// Reads `cache` if it was made from the same list, else computes and writes it.
  Features(flamingo::Context<P>& ctx, const Backbones& backbones, const std::filesystem::path& folder,
           const std::vector<Picture>& pictures, int variations, const std::filesystem::path& cache) {
    std::uint64_t key = flamingo::hash("features 1") ^ static_cast<std::uint64_t>(variations);
    for (const Picture& picture : pictures) {
      first_.push_back(total_);
      count_.push_back(picture.split == "train" ? variations : 1);
      total_ += static_cast<std::size_t>(count_.back());
      key = key * 31 + flamingo::hash(picture.path);
    }
    if (read(cache, key)) return;
    values_.resize(total_ * size);
    flamingo::Progress progress(std::cerr, "features", static_cast<long>(pictures.size()));
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      const auto image = flamingo::io::read_image(folder / pictures[i].path);
      std::vector<flamingo::io::Image> images;
      for (int v = 0; v < count_[i]; ++v) images.push_back(vary(image, flamingo::hash(pictures[i].path), v));
      const std::vector<float> found = encode(ctx, backbones, images);
      for (std::size_t n = 0; n < found.size(); ++n) values_[first_[i] * size + n] = flamingo::half(found[n]);
      progress.report(static_cast<long>(i) + 1, pictures[i].source);
    }
    flamingo::io::AtomicFile file(cache);
    file.write(std::as_bytes(std::span(&key, 1)));
    file.write(std::as_bytes(std::span(values_)));
    file.commit();
  }

  int variations(std::size_t picture) const { return count_[picture]; }
  std::span<const flamingo::half> of(std::size_t picture, int variation = 0) const {
    return std::span(values_).subspan((first_[picture] + static_cast<std::size_t>(variation)) * size, size);
  }
  /// The mean over a picture's cells, of length 1.
  std::vector<float> pooled(std::size_t picture) const {
    std::vector<float> mean(Encoder::D, 0);
    const auto all = of(picture);
    for (std::size_t i = 0; i < all.size(); ++i) mean[i % Encoder::D] += static_cast<float>(all[i]);
    float squares = 0;
    for (const float x : mean) squares += x * x;
    for (float& x : mean) x /= std::sqrt(squares);
    return mean;
  }

 private:
  bool read(const std::filesystem::path& cache, std::uint64_t key) {
    std::error_code ignored;
    const auto expected = sizeof(key) + total_ * size * sizeof(flamingo::half);
    if (std::filesystem::file_size(cache, ignored) != expected || ignored) return false;
    std::ifstream in(cache, std::ios::binary);
    std::uint64_t found = 0;
    in.read(reinterpret_cast<char*>(&found), sizeof(found));
    if (!in || found != key) return false;
    values_.resize(total_ * size);
    in.read(reinterpret_cast<char*>(values_.data()), static_cast<std::streamsize>(values_.size() * 2));
    return in.good();
  }

  std::vector<flamingo::half> values_;
  std::vector<std::size_t> first_;
  std::vector<int> count_;
  std::size_t total_ = 0;
};

/// Marks pictures to leave out: training pictures that almost equal an earlier one of the same caption, and training
/// pictures that almost equal a held-out one (cosine of mean features above `limit`).
inline std::vector<char> near_duplicates(const std::vector<Picture>& pictures, const Features& features, float limit) {
  std::vector<std::vector<float>> pooled;
  for (std::size_t i = 0; i < pictures.size(); ++i) pooled.push_back(features.pooled(i));
  std::vector<char> dropped(pictures.size(), 0);
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    if (pictures[i].split != "train") continue;
    for (std::size_t j = 0; j < pictures.size() && !dropped[i]; ++j) {
      const bool held_out = pictures[j].split != "train";
      if (j == i || (!held_out && (j > i || dropped[j] || pictures[j].caption != pictures[i].caption))) continue;
      float cosine = 0;
      for (std::size_t d = 0; d < pooled[i].size(); ++d) cosine += pooled[i][d] * pooled[j][d];
      // Between sources a likeness is what is tested; within the same drawing it would be a leak.
      if (cosine > (held_out ? 0.5f + limit / 2 : limit)) dropped[i] = 1;
    }
  }
  return dropped;
}

}  // namespace caption
