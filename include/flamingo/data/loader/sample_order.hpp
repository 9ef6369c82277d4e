/// The order in which a dataset's samples are read: a function of seed, epoch and place, so that a position is two
/// numbers and any reader can begin anywhere.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/random.hpp>

namespace flamingo {

/// Where a sample lies, and when it is read.
struct SamplePlace {
  std::size_t shard = 0;
  std::int64_t sample = 0;            ///< in its shard
  std::int64_t epoch = 0, index = 0;  ///< it is the sample number `index` of the epoch

  friend bool operator==(const SamplePlace&, const SamplePlace&) = default;
};

/// The random numbers of one sample of one epoch.
constexpr Random sample_random(std::uint64_t seed, std::int64_t epoch, std::int64_t index) {
  return Random(seed, static_cast<std::uint64_t>(epoch) << 40 ^ static_cast<std::uint64_t>(index));
}

/// In each epoch the shards follow one another in a new order, and their samples change places within blocks of
/// `buffer`: what a shuffle buffer of that size does, with no more shards open at a time. Blocks begin elsewhere in
/// each epoch. Every sample occurs once an epoch. Not for several threads at once: it keeps the block that was last
/// asked for.
class SampleOrder {
 public:
  SampleOrder(std::span<const std::int64_t> samples, std::uint64_t seed, bool shuffle, int buffer)
      : samples_(samples.begin(), samples.end()), seed_(seed), shuffle_(shuffle), buffer_(buffer) {
    check(buffer >= 1, "sample_order", "got a shuffle buffer of ", buffer, ", expected at least 1");
    for (const std::int64_t n : samples_) {
      check(n >= 0, "sample_order", "a shard has ", n, " samples");
      size_ += n;
    }
    check(size_ > 0 && size_ < std::int64_t{1} << 40, "sample_order", "got ", size_, " samples, expected 1 to 2^40");
  }

  /// Samples an epoch.
  std::int64_t size() const { return size_; }

  /// The sample that is read after `number` others, epoch after epoch.
  SamplePlace at(std::int64_t number) {
    const std::int64_t epoch = number / size_, index = number % size_;
    const std::int64_t moved = shuffle_ ? permuted(epoch, index) : index;
    if (epoch != epoch_) begin(epoch);
    const auto after = std::upper_bound(starts_.begin(), starts_.end(), moved);
    const auto at = static_cast<std::size_t>(after - starts_.begin()) - 1;
    return {shards_[at], moved - starts_[at], epoch, index};
  }

 private:
  static constexpr std::uint64_t shard_stream = hash("order of shards"), block_stream = hash("order in a block");

  template <class T>
  static void shuffle(std::vector<T>& items, Random random) {
    for (std::size_t i = items.size(); i > 1; --i)
      std::swap(items[i - 1], items[static_cast<std::size_t>(random.below(static_cast<int>(i)))]);
  }

  /// The shards of an epoch in their order, and the index at which each begins.
  void begin(std::int64_t epoch) {
    shards_.resize(samples_.size());
    std::iota(shards_.begin(), shards_.end(), std::size_t{0});
    if (shuffle_) shuffle(shards_, Random(seed_ ^ shard_stream, static_cast<std::uint64_t>(epoch)));
    // An empty shard begins where the next one does, which upper_bound() then finds.
    starts_.clear();
    std::int64_t start = 0;
    for (const std::size_t shard : shards_) {
      starts_.push_back(start);
      start += samples_[shard];
    }
    epoch_ = epoch;
  }

  std::int64_t permuted(std::int64_t epoch, std::int64_t index) {
    const Random random(seed_ ^ block_stream, static_cast<std::uint64_t>(epoch));
    const std::int64_t shift = random.bits_at(0) % static_cast<std::uint32_t>(buffer_);
    const std::int64_t block = (index + shift) / buffer_;
    const std::int64_t first = std::max<std::int64_t>(block * buffer_ - shift, 0);
    if (epoch != block_epoch_ || block != block_) {
      const std::int64_t last = std::min((block + 1) * buffer_ - shift, size_);
      order_.resize(static_cast<std::size_t>(last - first));
      std::iota(order_.begin(), order_.end(), first);
      // Block b draws behind the numbers of the b blocks before it; number 0 is the shift.
      shuffle(order_, Random(seed_ ^ block_stream, static_cast<std::uint64_t>(epoch),
                             1 + static_cast<std::uint64_t>(block) * static_cast<std::uint64_t>(buffer_)));
      block_epoch_ = epoch;
      block_ = block;
    }
    return order_[static_cast<std::size_t>(index - first)];
  }

  std::vector<std::int64_t> samples_;
  std::uint64_t seed_;
  bool shuffle_;
  int buffer_;
  std::int64_t size_ = 0;
  std::int64_t epoch_ = -1, block_epoch_ = -1, block_ = -1;
  std::vector<std::size_t> shards_;
  std::vector<std::int64_t> starts_, order_;
};

}  // namespace flamingo
