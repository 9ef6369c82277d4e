/// Random numbers by counter: the same key gives the same numbers on every platform, in any order, at any time.
///
/// Philox 4x32-10 (Salmon et al. 2011). Draws are keyed by what they are for (seed, step, layer, sample), so that
/// recomputation and resumed runs repeat them exactly.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>
#include <string_view>

namespace flamingo {

namespace detail {

constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::array<std::uint32_t, 2> k) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0], p1 = std::uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(p0)};
    k = {k[0] + 0x9E3779B9u, k[1] + 0xBB67AE85u};
  }
  return c;
}

}  // namespace detail

/// A 64-bit hash of a text (FNV-1a), to make streams from names.
constexpr std::uint64_t hash(std::string_view text) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return h;
}

/// A stream of random numbers. Its whole state is (seed, stream, index): copy it, save it, jump in it.
class Random {
 public:
  constexpr explicit Random(std::uint64_t seed = 0, std::uint64_t stream = 0, std::uint64_t index = 0)
      : seed_(seed), stream_(stream), index_(index) {}

  constexpr std::uint32_t bits() { return bits_at(index_++); }
  /// The number at a place of the stream, whatever was drawn before.
  constexpr std::uint32_t bits_at(std::uint64_t index) const { return block_at(index / 4)[index % 4]; }
  /// Uniform in [0, 1), 24 bits.
  constexpr float uniform() { return uniform_of(bits()); }
  /// Uniform among 0 .. n - 1; n > 0.
  constexpr int below(int n) { return static_cast<int>((std::uint64_t{bits()} * static_cast<std::uint64_t>(n)) >> 32); }
  /// Standard normal (Box-Muller over two draws).
  float normal() {
    const std::uint32_t first = bits();
    return normal_of(first, bits());
  }
  /// What normal() would give from its call number `first` on, if it were called from here: a part of a stream, which
  /// another thread may draw the rest of. A block of bits makes two numbers.
  void normals(std::uint64_t first, std::span<float> to) const {
    std::uint64_t at = index_ + 2 * first, block = at / 4;
    auto words = block_at(block);
    const auto next = [&] {
      if (at / 4 != block) words = block_at(block = at / 4);
      return words[at++ % 4];
    };
    for (float& x : to) {
      const std::uint32_t one = next();
      x = normal_of(one, next());
    }
  }
  constexpr std::uint64_t seed() const { return seed_; }
  constexpr std::uint64_t stream() const { return stream_; }
  constexpr std::uint64_t index() const { return index_; }

 private:
  constexpr std::array<std::uint32_t, 4> block_at(std::uint64_t block) const {
    return detail::philox({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                           static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
                          {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)});
  }
  static constexpr float uniform_of(std::uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }
  static float normal_of(std::uint32_t first, std::uint32_t second) {
    const float u = 1.0f - uniform_of(first), v = uniform_of(second);
    return std::sqrt(-2.0f * std::log(u)) * std::cos(2.0f * std::numbers::pi_v<float> * v);
  }

  std::uint64_t seed_, stream_, index_;
};

}  // namespace flamingo
