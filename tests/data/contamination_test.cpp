#include <flamingo/data/contamination.hpp>

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <flamingo/core/random.hpp>

namespace contamination_test {

using namespace flamingo;

namespace {

/// Smooth hills of colour, another landscape for each seed.
io::Image landscape(std::uint64_t seed, int width = 90, int height = 70) {
  Random random(seed);
  std::vector<float> waves(45);
  for (float& w : waves) w = random.uniform() * 6.28f;
  io::Image image{width, height, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (std::size_t c = 0; c < 3; ++c) {
        float sum = 0;
        for (std::size_t k = 0; k < 5; ++k)
          sum += std::sin(waves[c * 15 + k] +
                          static_cast<float>(k + 1) * (std::cos(waves[c * 15 + 5 + k]) * static_cast<float>(x) / 20 +
                                                       std::sin(waves[c * 15 + 10 + k]) * static_cast<float>(y) / 20));
        image.rgb.push_back(static_cast<std::uint8_t>(std::lround(127 + 25 * sum)));
      }
  return image;
}

}  // namespace

TEST_CASE("copies of other sizes and shades are found, other pictures are not", "[contamination]") {
  ContaminationIndex index;
  for (std::uint64_t seed = 0; seed < 200; ++seed) index.add("picture " + std::to_string(seed), landscape(seed));
  CHECK(index.size() == 200);
  int found = 0, wrong = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    io::Image copy = io::resize(landscape(seed), 61, 48);
    for (std::uint8_t& sample : copy.rgb) sample = static_cast<std::uint8_t>(sample * 0.9 + 8);
    const auto match = index.find(copy);
    if (seed >= 200)
      wrong += match.has_value();
    else
      found += match && match->name == "picture " + std::to_string(seed) && match->by_embedding;
  }
  CHECK((found == 200 && wrong == 0));
}

TEST_CASE("every hash within the limit is found, by search against all pairs", "[contamination]") {
  Random random(4);
  ContaminationIndex index({.bits = 7, .cosine = 1.1f});
  std::vector<std::uint64_t> hashes;
  for (int i = 0; i < 300; ++i) {
    hashes.push_back(std::uint64_t{random.bits()} << 32 | random.bits());
    index.add(std::to_string(i), hashes.back());
  }
  for (int i = 0; i < 2000; ++i) {
    std::uint64_t asked = hashes[static_cast<std::size_t>(random.below(300))];
    for (int flips = random.below(12); flips > 0; --flips) asked ^= std::uint64_t{1} << random.below(64);
    int nearest = 64;
    for (const std::uint64_t hash : hashes) nearest = std::min(nearest, std::popcount(hash ^ asked));
    const auto match = index.find(asked);
    CHECK(match.has_value() == (nearest <= 7));
    if (match) CHECK((match->bits == nearest && match->by_hash && match->cosine == -1));
  }
}

TEST_CASE("an embedding finds what the hash does not", "[contamination]") {
  ContaminationIndex index({.bits = 0, .cosine = 0.9f});
  const std::vector<float> east{1, 0}, north{0, 1}, nearly_east{0.95f, std::sqrt(1 - 0.95f * 0.95f)};
  index.add("east", 1, east);
  const auto match = index.find(6, nearly_east);
  REQUIRE(match);
  CHECK((match->name == "east" && match->by_embedding && !match->by_hash && match->cosine == Approx(0.95)));
  CHECK_FALSE(index.find(6, north));
  CHECK(index.find(1, north)->by_hash);
  CHECK_THROWS_WITH(index.add("west", 2), Catch::Contains("has 0 dimensions, the first one's 2"));
  CHECK_THROWS_AS(index.find(1, std::vector<float>{1}), Error);
  CHECK_THROWS_AS(ContaminationIndex({.bits = 8}), Error);
  CHECK_FALSE(ContaminationIndex{}.find(3));
}

TEST_CASE("a thumbnail has length 1, and none where there is nothing to see", "[contamination]") {
  float squares = 0;
  for (const float x : thumbnail_embedding(landscape(3))) squares += x * x;
  CHECK(squares == Approx(1));
  for (const float x : thumbnail_embedding({3, 3, std::vector<std::uint8_t>(27, 50)})) CHECK(x == 0);
}

}  // namespace contamination_test
