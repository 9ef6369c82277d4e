#include <flamingo/data/web/image_rules.hpp>

#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include <flamingo/data/web/perceptual_hash.hpp>
#include <flamingo/io/image_codecs.hpp>
#include <flamingo/io/image_file.hpp>

namespace image_rules_test {

using namespace flamingo;
using namespace flamingo::web;

namespace {

io::Image filled(int width, int height, std::uint8_t value = 200) {
  return {width, height,
          std::vector<std::uint8_t>(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3, value)};
}
io::Image picture(const char* name) {
  return io::read_image<io::Codecs>(std::string(FLAMINGO_TEST_DATA "/fixtures/images/") + name);
}

}  // namespace

TEST_CASE("small and narrow pictures are dropped by their sizes", "[image_rules]") {
  CHECK(size_fault(64, 64) == ImageFault::none);
  CHECK(size_fault(63, 200) == ImageFault::too_small);
  CHECK(size_fault(200, 63) == ImageFault::too_small);
  CHECK(size_fault(192, 64) == ImageFault::none);
  CHECK(size_fault(193, 64) == ImageFault::too_narrow);
  CHECK(size_fault(64, 193) == ImageFault::too_narrow);
  CHECK(size_fault(10, 10, {.least_edge = 8}) == ImageFault::none);
}

TEST_CASE("a single colour tells nothing", "[image_rules]") {
  io::Image image = filled(70, 90);
  CHECK(image_fault(image) == ImageFault::low_information);
  for (std::size_t i = 0; i < 30; ++i) image.rgb[i] = 0;  // a speck
  CHECK(image_fault(image) == ImageFault::low_information);
  for (std::size_t i = 0; i < image.rgb.size() / 2; ++i) image.rgb[i] = 0;
  CHECK(image_fault(image) == ImageFault::none);
  CHECK(colour_entropy(image) == Approx(1).margin(0.01));
  CHECK(image_fault(picture("coffee.jpg")) == ImageFault::none);
}

TEST_CASE("copies of a picture have nearly one hash", "[image_rules]") {
  const io::Image coffee = picture("coffee.jpg");
  const std::uint64_t hash = perceptual_hash(coffee);
  CHECK(hamming(hash, perceptual_hash(io::resize(coffee, coffee.width * 2 / 3, coffee.height * 2 / 3))) <= 4);
  io::Image lighter = coffee;
  for (auto& sample : lighter.rgb) sample = static_cast<std::uint8_t>(std::min(255, sample + 10));
  CHECK(hamming(hash, perceptual_hash(lighter)) <= 6);
  CHECK(hamming(hash, perceptual_hash(picture("cat.png"))) > 12);
  CHECK(hamming(hash, perceptual_hash(picture("rocket_rgba.png"))) > 12);
  CHECK((hamming(0, 0) == 0 && hamming(0, ~std::uint64_t{0}) == 64));
}

TEST_CASE("a copy has the colours, what a filter makes has the shape alone", "[image_rules]") {
  const io::Image coffee = picture("coffee.jpg");
  io::Image negative = coffee, tinted = coffee;
  for (std::size_t i = 0; i < tinted.rgb.size(); i += 3) tinted.rgb[i] = static_cast<std::uint8_t>(tinted.rgb[i] / 2);
  for (auto& sample : negative.rgb) sample = static_cast<std::uint8_t>(255 - sample);
  const Look look = look_of(coffee);
  const Look little = look_of(io::resize(coffee, coffee.width / 2, coffee.height / 2));
  CHECK(are_copies(look, little, {.most_bits = 10, .most_levels = 3}));
  io::Image again = coffee;  // as another encoder may leave it
  for (std::size_t i = 0; i < again.rgb.size(); i += 2) again.rgb[i] = static_cast<std::uint8_t>(again.rgb[i] | 1);
  CHECK(are_copies(look, look_of(again)));
  CHECK(!are_copies(look, look_of(tinted)));
  CHECK(!are_copies(look, look_of(negative)));
  CHECK(!are_copies(look, look_of(picture("cat.png"))));
}

TEST_CASE("half of a hash's bits are set", "[image_rules]") {
  CHECK(std::popcount(perceptual_hash(picture("coffee.jpg"))) == 31);  // above the median of 64: not the median itself
  CHECK(perceptual_hash(filled(70, 70, 0)) == 0);
}

}  // namespace image_rules_test
