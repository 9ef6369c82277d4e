/// Frozen features of pictures, computed once and kept in a file that knows them by what the pictures hold.
#pragma once
#include <cmath>
#include <cstdint>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "../caption/collection.hpp"

namespace mixture {

/// A picture whose features are wanted, in as many variations (caption::vary; the first is the picture as it is).
struct Item {
  std::string path;
  int variations = 1;
};

/// Features of items: `cells` rows of the encoder each. The file holds records (key, numbers) in the order in which
/// they were computed; a key is the hash of a picture file's bytes, with the variation. What a killed run wrote stays;
/// a record that is cut is written anew. Files may move and lists may change: what was computed once is found again.
class Features {
 public:
  static constexpr std::size_t size = static_cast<std::size_t>(caption::cells) * caption::Encoder::D;

  Features(flamingo::Context<caption::P>& ctx, const caption::Backbones& backbones, const std::filesystem::path& folder,
           std::vector<Item> items, const std::filesystem::path& cache)
      : items_(std::move(items)) {
    std::unordered_map<std::uint64_t, std::size_t> known = records_of(cache);
    std::vector<std::uint64_t> keys;  // of each item
    for (std::size_t i = 0; i < items_.size(); ++i) {
      const flamingo::io::MappedFile file(folder / items_[i].path);
      keys.push_back(flamingo::hash(file.text()));
      places_.try_emplace(items_[i].path, i);
    }
    compute(ctx, backbones, folder, keys, known, cache);
    file_ = std::make_unique<flamingo::io::MappedFile>(cache);
    for (std::size_t i = 0; i < items_.size(); ++i) {
      first_.push_back(records_.size());
      for (int v = 0; v < items_[i].variations; ++v)
        if (const auto found = known.find(key_of(keys[i], v)); found != known.end()) records_.push_back(found->second);
      if (records_.size() - first_.back() != static_cast<std::size_t>(items_[i].variations)) {
        records_.resize(first_.back());  // it could not be read
        items_[i].variations = 0;
      }
    }
  }

  std::size_t count() const { return items_.size(); }
  const std::string& path(std::size_t item) const { return items_[item].path; }
  /// 0 where the picture cannot be read.
  int variations(std::size_t item) const { return items_[item].variations; }
  /// The place of a path among the items; throws where it is none.
  std::size_t place(const std::string& path) const {
    const auto found = places_.find(path);
    flamingo::check(found != places_.end(), "features", path, ": it is in no list of pictures");
    return found->second;
  }
  std::span<const flamingo::half> of(std::size_t item, int variation = 0) const {
    const std::byte* at = file_->data().data() + records_[first_[item] + static_cast<std::size_t>(variation)];
    return {reinterpret_cast<const flamingo::half*>(at), size};
  }
  /// The mean over an item's cells, of length 1.
  std::vector<float> pooled(std::size_t item) const {
    std::vector<float> mean(caption::Encoder::D, 0);
    const auto all = of(item);
    for (std::size_t i = 0; i < all.size(); ++i) mean[i % mean.size()] += static_cast<float>(all[i]);
    float squares = 1e-12f;
    for (const float x : mean) squares += x * x;
    for (float& x : mean) x /= std::sqrt(squares);
    return mean;
  }

 private:
  static constexpr std::size_t record_bytes = sizeof(std::uint64_t) + size * sizeof(flamingo::half);
  static constexpr std::uint64_t made_by = 1;  ///< raise it when the encoder, its size or the variations change

  static std::uint64_t key_of(std::uint64_t content, int variation) {
    return (content ^ (made_by << 8 | static_cast<std::uint64_t>(variation))) * 0x9E3779B97F4A7C15u;
  }
  /// Where the numbers of each key lie; cuts the file where its last record is not whole.
  static std::unordered_map<std::uint64_t, std::size_t> records_of(const std::filesystem::path& cache) {
    std::unordered_map<std::uint64_t, std::size_t> found;
    if (!std::filesystem::exists(cache)) return found;
    const std::size_t bytes = std::filesystem::file_size(cache), whole = bytes / record_bytes;
    if (bytes % record_bytes != 0) std::filesystem::resize_file(cache, whole * record_bytes);
    const flamingo::io::MappedFile file(cache);
    for (std::size_t r = 0; r < whole; ++r) {
      std::uint64_t key = 0;
      std::memcpy(&key, file.data().data() + r * record_bytes, sizeof(key));
      found.try_emplace(key, r * record_bytes + sizeof(key));
    }
    return found;
  }
  void compute(flamingo::Context<caption::P>& ctx, const caption::Backbones& backbones,
               const std::filesystem::path& folder, const std::vector<std::uint64_t>& keys,
               std::unordered_map<std::uint64_t, std::size_t>& known, const std::filesystem::path& cache) {
    std::size_t end = std::filesystem::exists(cache) ? std::filesystem::file_size(cache) : 0;
    std::ofstream file(cache, std::ios::binary | std::ios::app);
    flamingo::check(file.good(), "features", cache.string(), ": cannot be written");
    flamingo::Progress progress(std::cerr, "features", static_cast<long>(items_.size()),
                                flamingo::rewrites_lines(STDERR_FILENO));
    int unreadable = 0;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      std::vector<int> missing;
      for (int v = 0; v < items_[i].variations; ++v)
        if (!known.contains(key_of(keys[i], v))) missing.push_back(v);
      if (missing.empty()) continue;
      std::vector<flamingo::io::Image> images;
      try {
        const auto image = flamingo::io::read_image(folder / items_[i].path);
        for (const int v : missing) images.push_back(caption::vary(image, keys[i], v));
      } catch (const flamingo::Error& error) {
        if (++unreadable <= 5) std::cerr << error.what() << "; left out\n";
        continue;
      }
      const std::vector<float> found = caption::encode(ctx, backbones, images);
      for (std::size_t n = 0; n < missing.size(); ++n) {
        const std::uint64_t key = key_of(keys[i], missing[n]);
        std::vector<flamingo::half> numbers;
        for (std::size_t k = 0; k < size; ++k) numbers.push_back(flamingo::half(found[n * size + k]));
        file.write(reinterpret_cast<const char*>(&key), sizeof(key));
        file.write(reinterpret_cast<const char*>(numbers.data()),
                   static_cast<std::streamsize>(size * sizeof(flamingo::half)));
        known.try_emplace(key, end + sizeof(key));
        end += record_bytes;
      }
      progress.report(static_cast<long>(i) + 1, items_[i].path.substr(0, 40));
    }
    file.flush();
    flamingo::check(file.good(), "features", cache.string(), ": cannot be written");
    if (unreadable > 5) std::cerr << unreadable << " pictures could not be read\n";
  }

  std::vector<Item> items_;
  std::unordered_map<std::string, std::size_t> places_;
  std::vector<std::size_t> first_, records_;  ///< of an item, its first record; of a record, where its numbers lie
  std::unique_ptr<flamingo::io::MappedFile> file_;
};

}  // namespace mixture
