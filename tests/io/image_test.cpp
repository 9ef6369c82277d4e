#include <catch2/catch.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/io/image.hpp>

#include "files.hpp"
#include "pictures.hpp"

namespace image_test {

using namespace flamingo::io;
using namespace flamingo::tests;

TEST_CASE("every mode becomes RGB, and RGB over white, as Pillow does it", "[io][image]") {
  const Safetensors expected(pictures / "pillow.safetensors");
  const std::vector<std::pair<std::string, Mode>> modes{
      {"L", Mode::grey}, {"LA", Mode::grey_alpha}, {"RGB", Mode::rgb}, {"RGBA", Mode::rgba}, {"CMYK", Mode::cmyk}};
  for (const auto& [name, mode] : modes) {
    CAPTURE(name);
    const RawImage raw = samples(expected.at(name + ".in"), mode);
    CHECK((to_rgb(raw) == picture(expected.at(name + ".rgb"))));
    CHECK((over(raw) == picture(expected.at(name + ".over_white"))));
  }
  const RawImage ink{.width = 2, .height = 1, .mode = Mode::cmyk, .samples = {0, 0, 0, 0, 255, 0, 100, 55}};
  CHECK((to_rgb(ink) == Image{2, 1, {255, 255, 255, 0, 200, 122}}));
}

TEST_CASE("a background shows through", "[io][image]") {
  const RawImage half{.width = 1, .height = 2, .mode = Mode::rgba, .samples = {100, 0, 200, 51, 9, 9, 9, 0}};
  CHECK((over(half, {0, 255, 50}) == Image{1, 2, {20, 204, 80, 0, 255, 50}}));
}

TEST_CASE("pictures are turned upright", "[io][image]") {
  const Safetensors expected(pictures / "pillow.safetensors");
  const RawImage raw = samples(expected.at("upright.in"), Mode::rgb);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(orientation);
    CHECK((upright(raw, orientation) == samples(expected.at("upright." + std::to_string(orientation)), Mode::rgb)));
  }
  CHECK_THAT(error_of([&] { upright(raw, 0); }), Catch::Contains("got orientation 0, expected 1 to 8"));
  CHECK_THAT(error_of([&] { upright(raw, 9); }), Catch::Contains("got orientation 9"));
}

TEST_CASE("the alpha of one transparent colour can be taken away", "[io][image]") {
  const RawImage keyed{.width = 2, .height = 1, .mode = Mode::grey_alpha, .samples = {7, 0, 8, 255}, .keyed = true};
  CHECK((without_key(keyed) == RawImage{.width = 2, .height = 1, .mode = Mode::grey, .samples = {7, 8}}));
  RawImage alpha = keyed;
  alpha.keyed = false;
  CHECK((without_key(alpha) == alpha));
  const RawImage colour{.width = 1, .height = 1, .mode = Mode::rgba, .samples = {1, 2, 3, 0}, .keyed = true};
  CHECK((without_key(colour) == raw_of({1, 1, {1, 2, 3}})));
}

TEST_CASE("cutting, placing, padding and mirroring", "[io][image]") {
  Image image{3, 2, {}};
  for (std::uint8_t i = 0; i < 18; ++i) image.rgb.push_back(i);
  CHECK((crop(image, 1, 1, 2, 1) == Image{2, 1, {12, 13, 14, 15, 16, 17}}));
  CHECK((crop(image, 0, 0, 3, 2) == image));
  const RawImage grey{
      .width = 3, .height = 2, .mode = Mode::grey_alpha, .samples = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
  CHECK(crop(grey, 1, 0, 1, 2).samples == std::vector<std::uint8_t>{3, 4, 9, 10});
  CHECK((flip_horizontal(image) == Image{3, 2, {6, 7, 8, 3, 4, 5, 0, 1, 2, 15, 16, 17, 12, 13, 14, 9, 10, 11}}));
  CHECK((pad_to_square(image, {90, 91, 92}) == Image{3, 3, {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13,
                                                            14, 15, 16, 17, 90, 91, 92, 90, 91, 92, 90, 91, 92}}));
  CHECK((pad_to_square(Image{1, 3, {1, 1, 1, 2, 2, 2, 3, 3, 3}}, {0, 0, 0}).rgb ==
         std::vector<std::uint8_t>{0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 2, 2, 2, 0, 0, 0, 0, 0, 0, 3, 3, 3, 0, 0, 0}));
  CHECK((place(Image{1, 1, {1, 2, 3}}, 2, 2, 1, 0, {7, 8, 9}) == Image{2, 2, {7, 8, 9, 1, 2, 3, 7, 8, 9, 7, 8, 9}}));
  CHECK_THAT(error_of([&] { crop(image, 2, 0, 2, 1); }),
             Catch::Contains("got 2 x 1 at (2, 0), expected a rectangle inside 3 x 2"));
  CHECK_THAT(error_of([&] { crop(image, -1, 0, 1, 1); }), Catch::Contains("expected a rectangle"));
  CHECK_THAT(error_of([&] { crop(image, 0x7fffffff, 0, 0x7fffffff, 1); }), Catch::Contains("expected a rectangle"));
  CHECK_THAT(error_of([&] { place(image, 4, 2, 2, 0, {}); }), Catch::Contains("expected it inside 4 x 2"));
  CHECK_THAT(error_of([&] { place(image, 0x7fffffff, 0x7fffffff, 0, 0, {}); }),
             Catch::Contains("expected at most 2^30 pixels"));  // a narrow picture's square may be that large
  CHECK_THAT(error_of([&] {
               over({.width = 1, .height = 1, .mode = Mode::rgba, .samples = {1, 2, 3}});
             }),
             Catch::Contains("the picture is 1 x 1 with 3 bytes, expected at least 1 x 1 and 4 a pixel"));
}

}  // namespace image_test
