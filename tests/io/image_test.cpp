#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <flamingo/io/image.hpp>
#include <flamingo/io/safetensors.hpp>

#include "files.hpp"
#include "png_writer.hpp"

using namespace flamingo::io;
using namespace flamingo::tests;

namespace {

const std::filesystem::path pictures = FLAMINGO_TEST_DATA "/fixtures/images";

/// A uint8 tensor (height, width, 3 or 1) as a picture.
Image picture(const TensorView& tensor) {
  REQUIRE(tensor.dtype == DType::u8);
  REQUIRE(tensor.shape.size() == 3);
  const auto channels = static_cast<std::size_t>(tensor.shape[2]);
  REQUIRE((channels == 1 || channels == 3));
  Image image{static_cast<int>(tensor.shape[1]), static_cast<int>(tensor.shape[0]), {}};
  for (std::size_t i = 0; i < tensor.bytes.size(); ++i)
    image.rgb.insert(image.rgb.end(), channels == 1 ? 3 : 1, std::to_integer<std::uint8_t>(tensor.bytes[i]));
  return image;
}

/// Checks every tensor "PREFIX resize.FILTER.WIDTHxHEIGHT" of a file against resize(); says how many there were.
int check_resizes(const Safetensors& file, const std::string& prefix, const Image& image) {
  int count = 0;
  for (const TensorView& tensor : file.tensors()) {
    if (!tensor.name.starts_with(prefix + "resize.")) continue;
    CAPTURE(file.path().string(), tensor.name);
    const Image expected = picture(tensor);
    const Filter filter = tensor.name.find("bicubic") != std::string::npos ? Filter::bicubic : Filter::bilinear;
    CHECK((resize(image, expected.width, expected.height, filter) == expected));
    ++count;
  }
  return count;
}

std::string error_decoding(const std::string& bytes, const ImageLimits& limits = {}) {
  return error_of([&] { decode_image(std::as_bytes(std::span(bytes)), "p", limits); });
}

Image decoded(const std::string& bytes) { return decode_image(std::as_bytes(std::span(bytes))); }

}  // namespace

TEST_CASE("pictures of every kind become RGB", "[io][image]") {
  const Safetensors expected(pictures / "expected.safetensors");
  CHECK((read_image(pictures / "astronaut_gray.png") == picture(expected.at("astronaut_gray.png.pixels"))));
  CHECK((read_image(pictures / "coffee_palette.png") == picture(expected.at("coffee_palette.png.pixels"))));
  CHECK((read_image(pictures / "rocket_rgba.png") == picture(expected.at("rocket_rgba.png.over_white"))));
  const Image cat = read_image(pictures / "cat.png");
  CHECK(cat.width == 226);
  CHECK(cat.height == 150);
}

TEST_CASE("resizing is Pillow's, bit for bit", "[io][image]") {
  const Safetensors expected(pictures / "expected.safetensors");
  CHECK(check_resizes(expected, "astronaut_gray.png.", read_image(pictures / "astronaut_gray.png")) == 7);
  CHECK(check_resizes(expected, "cat.png.", read_image(pictures / "cat.png")) == 4);
}

TEST_CASE("all pictures of the reference data", "[io][image]") {
  const char* goldens = std::getenv("FLAMINGO_GOLDENS");
  if (goldens == nullptr) {
    WARN("skipped: FLAMINGO_GOLDENS does not name the folder of reference data");
    return;
  }
  int resizes = 0;
  for (const char* name : {"astronaut.png", "astronaut_gray.png", "cat.png", "coffee.jpg", "coffee_palette.png",
                           "rocket_progressive_444.jpg"}) {
    const auto path = std::filesystem::path(goldens) / "images" / name;
    const Safetensors file(path.string() + ".safetensors");
    const Image expected = picture(file.at("in.raw")), image = read_image(path);
    REQUIRE(image.rgb.size() == expected.rgb.size());
    int largest = 0;
    for (std::size_t i = 0; i < image.rgb.size(); ++i)
      largest = std::max(largest, std::abs(image.rgb[i] - expected.rgb[i]));
    CAPTURE(name);
    // JPEG decoders may round the cosine transform and the colours differently.
    CHECK(largest <= (path.extension() == ".jpg" ? 4 : 0));
    resizes += check_resizes(file, "", expected);
  }
  CHECK(resizes == 32);
}

TEST_CASE("alpha, 16 bits and transparent colours", "[io][image]") {
  const auto rgb = [](const Image& image) { return std::vector<int>(image.rgb.begin(), image.rgb.end()); };
  CHECK(rgb(decoded(png(2, 1, 6, 8, {std::string("\0\x64\x32\x00\x80\x01\x02\x03\x00", 9)}))) ==
        std::vector<int>{177, 152, 127, 255, 255, 255});
  CHECK(rgb(decoded(png(1, 1, 4, 8, {std::string("\0\x64\xff", 3)}))) == std::vector<int>{100, 100, 100});
  CHECK(rgb(decoded(png(1, 1, 2, 16, {std::string("\0\x11\xff\x22\x00\x33\x80", 7)}))) ==
        std::vector<int>{0x11, 0x22, 0x33});
  CHECK(rgb(decoded(png(1, 1, 0, 16, {std::string("\0\x7f\x80", 3)}))) == std::vector<int>{127, 127, 127});
  const std::string transparent = png_chunk("tRNS", std::string("\0\x05\0\x06\0\x07", 6));
  CHECK(rgb(decoded(png(2, 1, 2, 8, {std::string("\0\x05\x06\x07\x05\x06\x08", 7)}, transparent))) ==
        std::vector<int>{255, 255, 255, 5, 6, 8});
}

TEST_CASE("what is no picture is refused with its path", "[io][image]") {
  const TemporaryFolder folder;
  const auto text = folder.write("a.png", "This is a text, not a picture.\n");
  CHECK(error_of([&] { read_image(text); }) ==
        "[read_image] " + text.string() + ": this is not a PNG, JPEG, GIF or BMP picture, or its header is damaged");
  CHECK_THAT(error_of([&] { read_image(folder.path() / "none.png"); }), Catch::Contains("none.png: cannot open it"));
  CHECK_THAT(error_decoding(""), Catch::Contains("this is not a"));
  const std::string whole = read_bytes(pictures / "coffee_palette.png");
  REQUIRE(whole.size() > 5000);
  for (std::size_t size = 0; size < whole.size(); size += 61)
    CHECK_FALSE(error_decoding(whole.substr(0, size)).empty());
  CHECK(error_decoding(whole.substr(0, whole.size() - 1)) ==
        "[read_image] p: the picture cannot be decoded: the file is truncated");
}

TEST_CASE("pictures beyond the limits are refused before they are decoded", "[io][image]") {
  CHECK(
      error_decoding(png(20'990, 29'700, 2, 8, {"x"})) ==
      "[read_image] p: the picture says it is 20990 x 29700, which is 623403000 pixels, at most 40000000 are decoded");
  CHECK_FALSE(error_decoding(png(0x7fffffff, 0x7fffffff, 2, 8, {})).empty());
  CHECK_FALSE(error_decoding(png(0, 5, 2, 8, {})).empty());
  const std::string small = png(1, 1, 2, 8, {std::string("\0abc", 4)});
  CHECK(error_decoding(small).empty());
  CHECK_THAT(error_decoding(small, {.max_pixels = 0}), Catch::Contains("at most 0 are decoded"));
  CHECK_THAT(error_decoding(small, {.max_bytes = small.size() - 1}),
             Catch::Contains("bytes, at most ") && Catch::Contains("are read"));
}

TEST_CASE("damaged pictures end in an error or a picture, nothing else", "[io][image]") {
  std::mt19937 random(11);
  const char* jpeg = std::getenv("FLAMINGO_GOLDENS");
  std::vector<std::string> files{read_bytes(pictures / "coffee_palette.png"), read_bytes(pictures / "rocket_rgba.png"),
                                 png(3, 1, 2, 8, {std::string("\0abcdefghi", 10)})};
  if (jpeg != nullptr)
    for (const char* name : {"coffee.jpg", "rocket_progressive_444.jpg"})
      files.push_back(read_bytes(std::filesystem::path(jpeg) / "images" / name));
  int refused = 0;
  for (const std::string& whole : files)
    for (int round = 0; round < 97; ++round) {
      std::string bytes = whole;
      for (int n = round % 7; n >= 0; --n) {
        // Mostly the first bytes: what headers and tables say is what leads a decoder astray.
        const std::size_t range = round % 2 ? bytes.size() : std::min<std::size_t>(bytes.size(), 700);
        bytes[random() % range] = static_cast<char>(static_cast<unsigned char>(random() & 0xffu));
      }
      refused += !error_decoding(bytes, {.max_pixels = 1'000'000}).empty();
    }
  CHECK(refused > 0);
}

TEST_CASE("resizing keeps what it must", "[io][image]") {
  const Image flat{7, 5, std::vector<std::uint8_t>(105, 201)};
  for (const Filter filter : {Filter::bilinear, Filter::bicubic}) {
    const Image resized = resize(flat, 3, 11, filter);
    CHECK(resized.rgb == std::vector<std::uint8_t>(99, 201));
    CHECK((resize(flat, 7, 5, filter) == flat));
  }
  CHECK_THAT(error_of([&] { resize(flat, 0, 3); }), Catch::Contains("got the size 0 x 3, expected at least 1 x 1"));
  CHECK_THAT(error_of([&] { resize(flat, 1 << 30, 2); }), Catch::Contains("at most 2^30 pixels"));
  CHECK_THAT(error_of([&] { resize(Image{}, 3, 3); }), Catch::Contains("the picture is 0 x 0 with 0 bytes"));
}

TEST_CASE("cutting, padding and mirroring", "[io][image]") {
  Image image{3, 2, {}};
  for (std::uint8_t i = 0; i < 18; ++i) image.rgb.push_back(i);
  CHECK((crop(image, 1, 1, 2, 1) == Image{2, 1, {12, 13, 14, 15, 16, 17}}));
  CHECK((crop(image, 0, 0, 3, 2) == image));
  CHECK((flip_horizontal(image) == Image{3, 2, {6, 7, 8, 3, 4, 5, 0, 1, 2, 15, 16, 17, 12, 13, 14, 9, 10, 11}}));
  CHECK((pad_to_square(image, {90, 91, 92}) == Image{3, 3, {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13,
                                                            14, 15, 16, 17, 90, 91, 92, 90, 91, 92, 90, 91, 92}}));
  CHECK((pad_to_square(Image{1, 3, {1, 1, 1, 2, 2, 2, 3, 3, 3}}, {0, 0, 0}).rgb ==
         std::vector<std::uint8_t>{0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 2, 2, 2, 0, 0, 0, 0, 0, 0, 3, 3, 3, 0, 0, 0}));
  CHECK_THAT(error_of([&] { crop(image, 2, 0, 2, 1); }),
             Catch::Contains("got 2 x 1 at (2, 0), expected a rectangle inside 3 x 2"));
  CHECK_THAT(error_of([&] { crop(image, -1, 0, 1, 1); }), Catch::Contains("expected a rectangle"));
  CHECK_THAT(error_of([&] { crop(image, 0x7fffffff, 0, 0x7fffffff, 1); }), Catch::Contains("expected a rectangle"));
}
