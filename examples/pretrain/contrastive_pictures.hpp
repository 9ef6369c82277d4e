/// Captioned pictures of packages: what is trained on, what is held out, and the batches of a dataset.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "contrastive_words.hpp"

#include <flamingo/core/random.hpp>
#include <flamingo/io/atomic_file.hpp>
#include <flamingo/io/image_file.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/model/vision/preprocess.hpp>
#include <flamingo/train/contrastive.hpp>
#include <flamingo/train/progress.hpp>

namespace contrastive {

inline constexpr int side = 64;  ///< pixels along each side
inline constexpr std::size_t bytes_of_picture = std::size_t{side} * side * 3;

/// What a picture is for. Held-out items, and the validation items that recipes are chosen by, belong to concepts that
/// other pictures teach; held-out concepts are taught by none.
enum class Part { train, validation, item, unknown, unused };

struct Picture {
  std::string path, source, caption, concept_key;
  Part part = Part::train;

  bool emoji() const { return source == "tanuki" || source == "gemojione"; }
};

/// Lines of examples/data/manifest.py. Its own splits, made for captions, are left aside: all five sources are used.
inline std::vector<Picture> read_manifest(const std::filesystem::path& path) {
  std::ifstream in(path);
  flamingo::check(in.good(), "manifest", path.string(), ": cannot be opened");
  std::vector<Picture> pictures;
  for (std::string line; std::getline(in, line);) {
    const auto json = flamingo::io::Json::parse(line, path.string());
    const auto text = [&](const char* name) { return json.at(name).as_string(); };
    pictures.push_back({text("path"), text("source"), text("caption"), text("concept")});
  }
  flamingo::check(!pictures.empty(), "manifest", path.string(), ": no pictures");
  return pictures;
}

/// All pictures at 64 x 64, white around them, read once and kept in a file.
inline std::vector<std::uint8_t> read_pixels(const std::filesystem::path& folder, const std::vector<Picture>& pictures,
                                             const std::filesystem::path& cache) {
  std::uint64_t key = flamingo::hash("pixels 1");
  for (const Picture& picture : pictures) key = key * 31 + flamingo::hash(picture.path);
  std::vector<std::uint8_t> pixels(pictures.size() * bytes_of_picture);
  std::error_code ignored;
  if (std::filesystem::file_size(cache, ignored) == sizeof(key) + pixels.size() && !ignored) {
    std::ifstream in(cache, std::ios::binary);
    std::uint64_t found = 0;
    in.read(reinterpret_cast<char*>(&found), sizeof(found));
    in.read(reinterpret_cast<char*>(pixels.data()), static_cast<std::streamsize>(pixels.size()));
    if (in && found == key) return pixels;
  }
  flamingo::Progress progress(std::cerr, "pictures", static_cast<long>(pictures.size()));
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const auto image = flamingo::io::pad_to_square(flamingo::io::read_image(folder / pictures[i].path));
    const auto shrunk = flamingo::io::resize(image, side, side);
    std::copy(shrunk.rgb.begin(), shrunk.rgb.end(), pixels.begin() + static_cast<std::ptrdiff_t>(i * bytes_of_picture));
    progress.report(static_cast<long>(i) + 1, pictures[i].source);
  }
  flamingo::io::AtomicFile file(cache);
  file.write(std::as_bytes(std::span(&key, 1)));
  file.write(std::as_bytes(std::span(pixels)));
  file.commit();
  return pixels;
}

/// What a picture looks like from afar: 16 x 16 means of its pixels less their mean, of length 1. The product of two is
/// their correlation.
inline std::vector<float> glimpse(std::span<const std::uint8_t> pixels) {
  constexpr int cells = 16, wide = side / cells;
  std::vector<float> sums(std::size_t{cells} * cells * 3, 0.0f);
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x)
      for (int c = 0; c < 3; ++c)
        sums[static_cast<std::size_t>((y / wide * cells + x / wide) * 3 + c)] +=
            static_cast<float>(pixels[static_cast<std::size_t>((y * side + x) * 3 + c)]);
  float mean = 0, squares = 1e-9f;
  for (const float sum : sums) mean += sum / static_cast<float>(sums.size());
  for (const float sum : sums) squares += (sum - mean) * (sum - mean);
  for (float& sum : sums) sum = (sum - mean) / std::sqrt(squares);
  return sums;
}

/// Holds out one concept in twelve whole, and one picture of every fourth other concept that has several; of every
/// eighth one picture for validation. What almost equals a held-out picture (correlation of glimpses above 0.95) is not
/// trained on, so that no copy of it is, under whatever name. Depends on the manifest and the pixels alone.
inline void hold_out(std::vector<Picture>& pictures, std::span<const std::uint8_t> pixels) {
  std::map<std::string, std::vector<std::size_t>> concepts;
  for (std::size_t i = 0; i < pictures.size(); ++i) concepts[pictures[i].concept_key].push_back(i);
  for (const auto& [key, members] : concepts) {
    const std::uint64_t drawn = flamingo::hash("held out " + key), turn = drawn % 24;
    Picture& chosen = pictures[members[drawn / 64 % members.size()]];
    if (turn < 2) {
      for (const std::size_t i : members) pictures[i].part = Part::unused;
      chosen.part = Part::unknown;
    } else if (members.size() > 1 && turn < 11) {
      chosen.part = turn < 8 ? Part::item : Part::validation;
    }
  }
  std::vector<std::vector<float>> all;
  for (std::size_t i = 0; i < pictures.size(); ++i)
    all.push_back(glimpse(pixels.subspan(i * bytes_of_picture, bytes_of_picture)));
  const auto likeness = [&](std::size_t i, std::size_t j) {
    float sum = 0;
    for (std::size_t d = 0; d < all[i].size(); ++d) sum += all[i][d] * all[j][d];
    return sum;
  };
  for (std::size_t i = 0; i < pictures.size(); ++i)
    for (std::size_t j = 0; j < pictures.size() && pictures[i].part == Part::train; ++j)
      if (pictures[j].part != Part::train && pictures[j].part != Part::unused && likeness(i, j) > 0.95f)
        pictures[i].part = Part::unused;
  for (const auto& [key, members] : concepts) {
    const bool taught =
        std::any_of(members.begin(), members.end(), [&](std::size_t i) { return pictures[i].part == Part::train; });
    for (const std::size_t i : members)
      if (!taught && pictures[i].part != Part::unknown) pictures[i].part = Part::unused;
  }
}
inline std::vector<std::size_t> members_of(const std::vector<Picture>& pictures, Part part) {
  std::vector<std::size_t> members;
  for (std::size_t i = 0; i < pictures.size(); ++i)
    if (pictures[i].part == part) members.push_back(i);
  return members;
}

/// A training picture as it is seen once: perhaps mirrored, its colours changed, and moved and scaled a little, the
/// more the larger `strength` is.
inline void append_varied(std::span<const std::uint8_t> pixels, flamingo::Random& random, float strength,
                          std::vector<float>& rows) {
  static const flamingo::PixelScale scale = flamingo::PixelScale::imagenet();
  const auto around = [&](float middle, float reach) { return middle + strength * reach * (2 * random.uniform() - 1); };
  const bool mirrored = random.below(2) == 1, grey = random.below(8) == 0;
  const float zoom = std::exp2(around(0, 0.33f)), right = around(0, 6), down = around(0, 6);
  const float contrast = around(1, 0.2f), light = around(0, 25);
  std::array<float, 3> gain{}, shift{};
  for (float& g : gain) g = contrast * around(1, 0.15f);
  for (float& s : shift) s = light + around(0, 10);
  const auto at = [&](int x, int y, std::size_t c) {  // white around the picture
    if (x < 0 || y < 0 || x >= side || y >= side) return 255.0f;
    return static_cast<float>(pixels[static_cast<std::size_t>(y * side + x) * 3 + c]);
  };
  constexpr float middle = (side - 1) / 2.0f;
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      const float u = (static_cast<float>(mirrored ? side - 1 - x : x) - middle) / zoom + middle + right,
                  v = (static_cast<float>(y) - middle) / zoom + middle + down;
      const float left = std::floor(u), top = std::floor(v), a = u - left, b = v - top;
      const int l = static_cast<int>(left), t = static_cast<int>(top);
      std::array<float, 3> colour{};
      for (std::size_t c = 0; c < 3; ++c)
        colour[c] = (1 - b) * ((1 - a) * at(l, t, c) + a * at(l + 1, t, c)) +
                    b * ((1 - a) * at(l, t + 1, c) + a * at(l + 1, t + 1, c));
      const float mean = (colour[0] + colour[1] + colour[2]) / 3;
      for (std::size_t c = 0; c < 3; ++c) {
        const float byte = std::clamp((grey ? mean : colour[c]) * gain[c] + shift[c], 0.0f, 255.0f);
        rows.push_back((byte / 255 - scale.mean[c]) / scale.deviation[c]);
      }
    }
}
/// A picture as it is.
inline void append_plain(std::span<const std::uint8_t> pixels, std::vector<float>& rows) {
  const flamingo::io::Image image{side, side, {pixels.begin(), pixels.end()}};
  const auto scaled = flamingo::scaled_rows(image, flamingo::PixelScale::imagenet());
  rows.insert(rows.end(), scaled.begin(), scaled.end());
}
inline std::vector<flamingo::Grid> grids_of(std::size_t pictures) {
  std::vector<flamingo::Grid> grids;
  for (std::size_t n = 0; n < pictures; ++n) grids.push_back({static_cast<int>(n) * side * side, side, side});
  return grids;
}

/// Sentences around a name: half of the training texts are one of these, and a class is their mean.
inline const std::vector<std::string>& templates() {
  static const std::vector<std::string> all{"{}", "a picture of {}", "a drawing of {}", "an emoji of {}"};
  return all;
}

/// Batches of a dataset: a new order of its pictures in each epoch, by seed and number alone.
struct PictureStream {
  const std::vector<Picture>* pictures;
  std::span<const std::uint8_t> pixels;
  const WordPieces* words;
  std::vector<std::size_t> members;
  int pairs = 64, context = 24;
  float strength = 1;  ///< of augmentation
  std::uint64_t seed = 1;

  flamingo::PairBatch<float> operator()(long number) const {
    flamingo::PairBatch<float> batch;
    batch.pictures = grids_of(static_cast<std::size_t>(pairs));
    batch.pixels.reserve(static_cast<std::size_t>(pairs) * bytes_of_picture);
    flamingo::Random random(seed, static_cast<std::uint64_t>(number));
    long epoch = -1;
    std::vector<std::size_t> order;
    for (long at = (number - 1) * pairs; at < number * pairs; ++at) {
      const long size = static_cast<long>(members.size());
      if (at / size != epoch) order = order_of(epoch = at / size);
      const std::size_t i = order[static_cast<std::size_t>(at % size)];
      append_varied(pixels.subspan(i * bytes_of_picture, bytes_of_picture), random, strength, batch.pixels);
      const std::string& sentence =
          templates()[random.below(2) ? 0
                                      : static_cast<std::size_t>(random.below(static_cast<int>(templates().size())))];
      std::string text = sentence;
      text.replace(text.find("{}"), 2, (*pictures)[i].caption);
      batch.texts.push_back(words->encode(text, context));
    }
    return batch;
  }

 private:
  std::vector<std::size_t> order_of(long epoch) const {
    std::vector<std::size_t> order = members;
    flamingo::Random random(seed, flamingo::hash("epoch") + static_cast<std::uint64_t>(epoch));
    for (std::size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[static_cast<std::size_t>(random.below(static_cast<int>(i)))]);
    return order;
  }
};

}  // namespace contrastive
