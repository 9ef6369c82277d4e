#include <flamingo/data/media/augment.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

namespace augment_test {

using namespace flamingo;

namespace {

/// Red tells the column, green the line.
io::Image slope(int width, int height) {
  io::Image image{width, height, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (const int value : {x, y, 77}) image.rgb.push_back(static_cast<std::uint8_t>(value));
  return image;
}
io::Colour pixel(const io::Image& image, int x, int y) {
  const auto at = static_cast<std::size_t>((y * image.width + x) * 3);
  return {image.rgb[at], image.rgb[at + 1], image.rgb[at + 2]};
}

}  // namespace

TEST_CASE("a picture becomes a square by a border, a cut or a distortion", "[augment]") {
  const io::Image wide = slope(80, 40);
  const ImageTransform pad{.side = 20, .border = {1, 2, 3}};
  const io::Image padded = pad(wide);
  CHECK((padded.width == 20 && padded.height == 20));
  CHECK((pixel(padded, 0, 4) == io::Colour{1, 2, 3} && pixel(padded, 19, 15) == io::Colour{1, 2, 3}));
  CHECK(io::crop(padded, 0, 5, 20, 10) == io::resize(wide, 20, 10));
  const ImageTransform cut{.side = 20, .fit = Fit::crop}, stretch{.side = 20, .fit = Fit::stretch};
  CHECK(cut(wide) == io::resize(io::crop(wide, 20, 0, 40, 40), 20, 20));
  CHECK(stretch(wide) == io::resize(wide, 20, 20));
  CHECK(pad(slope(1, 400)).width == 20);  // an edge never vanishes
  CHECK(pad(io::raw_of(wide)) == padded);
}

TEST_CASE("resizing averages what it leaves out", "[augment]") {
  io::Image stripes{64, 64, {}};
  for (int i = 0; i < 64 * 64; ++i)
    for (int c = 0; c < 3; ++c) stripes.rgb.push_back(i % 2 == 0 ? 255 : 0);
  const io::Image small_one = ImageTransform{.side = 8}(stripes);
  // Away from the edges, where the filter is cut off, all that is left of the stripes is their mean.
  for (int y = 2; y < 6; ++y)
    for (int x = 2; x < 6; ++x) CHECK(std::abs(pixel(small_one, x, y)[0] - 128) < 4);
}

TEST_CASE("parts and mirrors are what was drawn", "[augment]") {
  const io::Image image = slope(40, 40);
  const ImageTransform transform{.side = 20, .fit = Fit::crop, .flip = 0.5f, .smallest = 0.5f};
  const Augmentation corner{.flip = false, .scale = 0.5f, .x = 1, .y = 0};
  CHECK(transform(image, corner) == io::crop(image, 20, 0, 20, 20));
  Augmentation mirrored = corner;
  mirrored.flip = true;
  CHECK(transform(image, mirrored) == io::flip_horizontal(io::crop(image, 20, 0, 20, 20)));

  int flips = 0;
  std::set<float> scales;
  for (std::uint64_t n = 0; n < 1000; ++n) {
    Random random(5, n);
    const Augmentation a = transform.draw(random);
    CHECK(random.index() == 7);
    CHECK((a.scale >= 0.5f && a.scale <= 1 && a.x >= 0 && a.x < 1));
    flips += a.flip;
    scales.insert(a.scale);
  }
  CHECK((flips > 430 && flips < 570 && scales.size() > 900));
  Random random(5);
  const Augmentation none = ImageTransform{}.draw(random);
  CHECK((!none.flip && none.scale == 1 && none.x == 0.5f && none.brightness == 1 && none.saturation == 1));
  CHECK(random.index() == 7);
}

TEST_CASE("colours change as torchvision changes them", "[augment]") {
  const ImageTransform transform{.side = 2, .fit = Fit::stretch};
  const io::Image image{2, 2, {200, 100, 50, 10, 20, 30, 0, 0, 0, 255, 255, 255}};
  CHECK(transform(image, {.brightness = 0.5f}).rgb ==
        std::vector<std::uint8_t>{100, 50, 25, 5, 10, 15, 0, 0, 0, 128, 128, 128});
  const double grey = 0.299 * 200 + 0.587 * 100 + 0.114 * 50;
  const auto rounded = [](double x) { return static_cast<std::uint8_t>(std::clamp(x, 0.0, 255.0) + 0.5); };
  const io::Image drained = transform(image, {.saturation = 0.25f});
  CHECK(pixel(drained, 0, 0) == io::Colour{rounded(grey + (200 - grey) / 4), rounded(grey + (100 - grey) / 4),
                                           rounded(grey + (50 - grey) / 4)});
  const io::Image flat = transform(image, {.contrast = 0});
  const auto g = [](double r, double green, double b) { return 0.299 * r + 0.587 * green + 0.114 * b; };
  const double mean = (grey + g(10, 20, 30) + 255) / 4;
  for (const std::uint8_t sample : flat.rgb) CHECK(sample == rounded(mean));
  CHECK(transform(image, {.brightness = 2}).rgb[0] == 255);
}

TEST_CASE("a transform that makes no sense is refused", "[augment]") {
  CHECK_THROWS_WITH((ImageTransform{.side = 0}(slope(2, 2))), Catch::Contains("got the side 0"));
  CHECK_THROWS_AS((ImageTransform{.smallest = 0}(slope(2, 2))), Error);
  CHECK(ImageTransform{.side = 100}.at_least() == 200);
  CHECK(ImageTransform{.side = 100, .smallest = 0.5f}.at_least() == 400);
}

}  // namespace augment_test
