#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/io/image_file.hpp>
#include <flamingo/io/safetensors.hpp>
#include <flamingo/model/vision/processors.hpp>

#include "io/files.hpp"
#include "io/pictures.hpp"
#include "support/golden.hpp"

namespace processors_test {

using namespace flamingo;
using namespace flamingo::tests;

TEST_CASE("CLIP's processor is transformers', for any shape", "[processors]") {
  const io::Safetensors expected(pictures / "pillow.safetensors");
  int checked = 0;
  for (const std::string shape : {"31x17", "17x31", "20x20", "9x40", "61x10", "5x6"})
    for (const int side : {9, 14}) {
      CAPTURE(shape, side);
      const io::RawImage raw = samples(expected.at("clip." + shape + ".in"), io::Mode::rgb);
      const io::Image theirs = picture(expected.at("clip." + shape + "." + std::to_string(side)));
      CHECK((ClipImageProcessor{.edge = side, .crop = side}(raw) == theirs));
      ++checked;
    }
  CHECK(checked == 12);
  // Alpha is dropped, not laid over anything.
  const io::RawImage clear{.width = 1, .height = 1, .mode = io::Mode::rgba, .samples = {1, 2, 3, 0}};
  CHECK((ClipImageProcessor{.edge = 1, .crop = 1}(clear) == io::Image{1, 1, {1, 2, 3}}));
}

TEST_CASE("the cut may be smaller than the shorter edge, never larger", "[processors]") {
  io::Image image{4, 4, {}};
  for (std::uint8_t i = 0; i < 48; ++i) image.rgb.push_back(i);
  const ClipImageProcessor processor{.edge = 4, .crop = 3};
  CHECK((processor(io::raw_of(image)) == io::crop(image, 0, 0, 3, 3)));
  CHECK_THAT(error_of([&] { ClipImageProcessor{.edge = 4, .crop = 5}(io::raw_of(image)); }),
             Catch::Contains("got the shorter edge 4 and a crop of 5"));
  const io::RawImage thread{
      .width = 1, .height = 100'000, .mode = io::Mode::grey, .samples = std::vector<std::uint8_t>(100'000)};
  CHECK_THAT(error_of([&] { ClipImageProcessor{.edge = 20'000, .crop = 1}(thread); }),
             Catch::Contains("a picture of 1 x 100000 has no size with a shorter edge of 20000"));
}

TEST_CASE("open_clip's transform resizes in the picture's own mode", "[processors]") {
  for (const char* name : {"rocket_rgba.png", "coffee_palette.png"}) {
    CAPTURE(name);
    const io::Safetensors file(pictures / (std::string(name) + ".safetensors"));
    const io::TensorView& tensor = file.at("openclip.pixel_values.84");
    const auto theirs = test::numbers<float>(tensor);
    REQUIRE(theirs.size() == 3 * 84 * 84);
    const io::RawImage raw = io::read_raw(pictures / name);
    const auto rows = pixel_rows(OpenClipTransform{.side = 84}, raw);
    float worst = 0;
    for (std::size_t i = 0; i < rows.size(); ++i)
      worst = std::max(worst, std::abs(rows[i] - theirs[i % 3 * 84 * 84 + i / 3]));
    CHECK(worst <= 1e-6f);
    // CLIP's own processor gives other pixels: the order shows.
    CHECK_FALSE(pixel_rows(ClipImageProcessor{.edge = 84, .crop = 84}, raw) == rows);
  }
}

TEST_CASE("open_clip's cut rounds halves to even", "[processors]") {
  for (const auto& [rest, left] :
       std::vector<std::pair<int, int>>{{0, 0}, {1, 0}, {2, 1}, {3, 2}, {4, 2}, {5, 2}, {7, 4}}) {
    CAPTURE(rest);
    io::RawImage raw{.width = 2 + rest, .height = 2, .mode = io::Mode::grey, .samples = {}};
    for (int i = 0; i < 2 * raw.width; ++i) raw.samples.push_back(static_cast<std::uint8_t>(i % raw.width));
    CHECK(OpenClipTransform{.side = 2}(raw).rgb[0] == left);
  }
}

TEST_CASE("Idefics' processor is transformers', in every mode", "[processors]") {
  const io::Safetensors expected(pictures / "pillow.safetensors");
  const PixelScale scale{{0.4f, 0.5f, 0.6f}, {0.2f, 0.25f, 0.3f}, 1.0 / 255};
  const std::vector<std::pair<std::string, io::Mode>> modes{
      {"L", io::Mode::grey}, {"LA", io::Mode::grey_alpha}, {"RGB", io::Mode::rgb}, {"RGBA", io::Mode::rgba}};
  for (const auto& [name, mode] : modes) {
    CAPTURE(name);
    const auto theirs = test::numbers<float>(expected.at("idefics." + name + ".9"));
    const auto rows =
        pixel_rows(IdeficsImageProcessor{.side = 9, .scale = scale}, samples(expected.at(name + ".in"), mode));
    REQUIRE(rows.size() == theirs.size());
    float worst = 0;
    for (std::size_t i = 0; i < rows.size(); ++i)
      worst = std::max(worst, std::abs(rows[i] - theirs[i % 3 * 81 + i / 3]));
    CHECK(worst <= 1e-6f);
  }
  // Pillow keeps no alpha channel for one transparent colour of an RGB picture, and takes grey's into account.
  const io::RawImage colour{.width = 1, .height = 1, .mode = io::Mode::rgba, .samples = {1, 2, 3, 0}, .keyed = true};
  CHECK((IdeficsImageProcessor{.side = 1}(colour) == io::Image{1, 1, {1, 2, 3}}));
  const io::RawImage grey{.width = 1, .height = 1, .mode = io::Mode::grey_alpha, .samples = {1, 0}, .keyed = true};
  CHECK((IdeficsImageProcessor{.side = 1}(grey) == io::Image{1, 1, {255, 255, 255}}));
}

TEST_CASE("the paper's input keeps the aspect on a canvas of the mean", "[processors]") {
  const io::RawImage raw = io::raw_of({2, 4, std::vector<std::uint8_t>(24, 255)});
  const auto rows = pixel_rows<double>(MeanPaddedProcessor{.side = 8}, raw);
  REQUIRE(rows.size() == 8 * 8 * 3);
  for (std::size_t y = 0; y < 8; ++y)
    for (std::size_t x = 0; x < 8; ++x) {
      CAPTURE(x, y);
      const double expected = x >= 2 && x < 6 ? (1 - 0.485) / 0.229 : 0;
      CHECK(rows[(y * 8 + x) * 3] == Approx(expected).margin(1e-12));
    }
  // A line stays a line.
  CHECK(MeanPaddedProcessor{.side = 8}(io::raw_of({100, 1, std::vector<std::uint8_t>(300)})).height == 1);
}

TEST_CASE("the padding may be the picture's own mean, and lie after it", "[processors]") {
  // Two grey columns, 51 and 153: their mean is 102.
  const io::RawImage raw{
      .width = 2, .height = 4, .mode = io::Mode::grey, .samples = {51, 153, 51, 153, 51, 153, 51, 153}};
  const PixelScale unit{{0, 0, 0}, {1, 1, 1}, 1};
  const auto at = [](const std::vector<double>& rows, int y, int x) {
    return rows[static_cast<std::size_t>(y * 4 + x) * 3];
  };
  const auto own = pixel_rows<double>(
      MeanPaddedProcessor{.side = 4, .scale = unit, .mean = PaddingMean::picture, .place = PaddingPlace::after}, raw);
  const auto middle = pixel_rows<double>(MeanPaddedProcessor{.side = 4, .scale = unit}, raw);
  for (int y = 0; y < 4; ++y) {
    CHECK((at(own, y, 0) == 51 && at(own, y, 1) == 153 && at(own, y, 2) == 102 && at(own, y, 3) == 102));
    CHECK((at(middle, y, 0) == 0 && at(middle, y, 1) == 51 && at(middle, y, 2) == 153 && at(middle, y, 3) == 0));
  }
  CHECK_THAT(error_of([&] { MeanPaddedProcessor{.side = 0}(raw); }), Catch::Contains("the side is 0"));
}

TEST_CASE("EfficientNet's input is the whole picture on white", "[processors]") {
  const io::RawImage raw{.width = 3, .height = 1, .mode = io::Mode::grey, .samples = {0, 127, 255}};
  const auto rows = pixel_rows<double>(EfficientNetProcessor{.side = 3}, raw);
  CHECK(rows == pixel_rows<double>(io::to_rgb(raw), 3, PixelScale::efficientnet_lite()));
  CHECK(rows[0] == 1);
  CHECK(rows[9] == -127.0 / 128);
}

TEST_CASE("several pictures on several threads are one after another what each is alone", "[processors]") {
  const io::Safetensors expected(pictures / "pillow.safetensors");
  const std::vector<std::string> shapes{"31x17", "17x31", "20x20", "9x40", "61x10"};
  const auto picture = [&](int i) {
    return samples(expected.at("clip." + shapes[static_cast<std::size_t>(i)] + ".in"), io::Mode::rgb);
  };
  const auto check_all = [&](const auto& processor) {
    std::vector<float> alone;
    for (int i = 0; i < 5; ++i) {
      const auto rows = pixel_rows(processor, picture(i));
      alone.insert(alone.end(), rows.begin(), rows.end());
    }
    for (const int count : {1, 3}) {
      Threads threads(count);
      CHECK(pixel_rows(threads, processor, 5, picture) == alone);
      CHECK(pixel_rows(threads, processor, 0, picture).empty());
    }
  };
  check_all(ClipImageProcessor{.edge = 9, .crop = 9});
  check_all(MeanPaddedProcessor{.side = 11});
}

}  // namespace processors_test
