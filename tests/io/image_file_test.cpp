#include <catch2/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <flamingo/io/image_file.hpp>
#include <flamingo/io/safetensors.hpp>

#include "exif.hpp"
#include "files.hpp"
#include "pictures.hpp"
#include "png_writer.hpp"

namespace image_file_test {

using namespace flamingo::io;
using namespace flamingo::tests;

namespace {

std::string error_decoding(const std::string& file, const ImageOptions& options = {}) {
  return error_of([&] { decode_image(bytes(file), "p", options); });
}

std::vector<int> rgb(const std::string& file) {
  const Image image = decode_image(bytes(file));
  return {image.rgb.begin(), image.rgb.end()};
}

}  // namespace

TEST_CASE("pictures of every kind become RGB", "[io][image_file]") {
  const Safetensors expected(pictures / "expected.safetensors");
  CHECK((read_image(pictures / "astronaut_gray.png") == picture(expected.at("astronaut_gray.png.pixels"))));
  CHECK((read_image(pictures / "coffee_palette.png") == picture(expected.at("coffee_palette.png.pixels"))));
  CHECK((read_image(pictures / "rocket_rgba.png") == picture(expected.at("rocket_rgba.png.over_white"))));
  const Image cat = read_image(pictures / "cat.png");
  CHECK(cat.width == 226);
  CHECK(cat.height == 150);
}

TEST_CASE("pictures keep their mode", "[io][image_file]") {
  CHECK(read_raw(pictures / "astronaut_gray.png").mode == Mode::grey);
  CHECK(read_raw(pictures / "coffee_palette.png").mode == Mode::palette);
  CHECK(read_raw(pictures / "rocket_rgba.png").mode == Mode::rgba);
  CHECK(read_raw(pictures / "cat.png").mode == Mode::rgb);
  CHECK(read_raw(pictures / "grey.jpg").mode == Mode::grey);
  CHECK(read_raw(pictures / "cmyk.jpg").mode == Mode::rgb);  // stb_image converts it
  const RawImage bilevel = decode_raw(bytes(png(3, 1, 0, 1, {std::string("\0\xa0", 2)})));
  CHECK(bilevel.mode == Mode::bilevel);
  CHECK(bilevel.samples == std::vector<std::uint8_t>{255, 0, 255});
}

TEST_CASE("GIF and BMP are read as Pillow reads them, JPEG within a few levels", "[io][image_file]") {
  const Safetensors expected(pictures / "decoded.safetensors");
  for (const char* name : {"two_frames.gif", "photograph.bmp", "grey.jpg", "subsampled.jpg", "cmyk.jpg"}) {
    CAPTURE(name);
    const std::string file = name;
    const Image image = read_image(pictures / file), theirs = picture(expected.at(file + ".rgb"));
    // stb_image multiplies the inks of CMYK with less care.
    const int bound = file == "cmyk.jpg" ? 8 : file.ends_with(".jpg") ? 4 : 0;
    CHECK(largest_difference(image.rgb, theirs.rgb) <= bound);
  }
}

TEST_CASE("alpha, 16 bits and transparent colours", "[io][image_file]") {
  CHECK(rgb(png(2, 1, 6, 8, {std::string("\0\x64\x32\x00\x80\x01\x02\x03\x00", 9)})) ==
        std::vector<int>{177, 152, 127, 255, 255, 255});
  CHECK(rgb(png(1, 1, 4, 8, {std::string("\0\x64\xff", 3)})) == std::vector<int>{100, 100, 100});
  CHECK(rgb(png(1, 1, 2, 16, {std::string("\0\x11\xff\x22\x00\x33\x80", 7)})) == std::vector<int>{0x11, 0x22, 0x33});
  CHECK(rgb(png(1, 1, 0, 16, {std::string("\0\x7f\x80", 3)})) == std::vector<int>{127, 127, 127});
  const std::string transparent = png_chunk("tRNS", std::string("\0\x05\0\x06\0\x07", 6));
  const std::string keyed = png(2, 1, 2, 8, {std::string("\0\x05\x06\x07\x05\x06\x08", 7)}, transparent);
  CHECK(rgb(keyed) == std::vector<int>{255, 255, 255, 5, 6, 8});
  CHECK(decode_raw(bytes(keyed)).keyed);
}

TEST_CASE("pictures are turned upright unless the caller wants them as stored", "[io][image_file]") {
  // 2 x 1: after a quarter turn to the right the left pixel is above.
  const std::string file = png(2, 1, 0, 8, {std::string("\0\x0a\x14", 3)}, png_chunk("eXIf", tiff(6, false)));
  const Image turned = decode_image(bytes(file));
  CHECK((turned == Image{1, 2, {10, 10, 10, 20, 20, 20}}));
  CHECK((decode_image(bytes(file), "p", {.upright = false}) == Image{2, 1, {10, 10, 10, 20, 20, 20}}));
}

TEST_CASE("what is no picture is refused with its path", "[io][image_file]") {
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

TEST_CASE("pictures beyond the limits are refused before they are decoded", "[io][image_file]") {
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

TEST_CASE("damaged pictures end in an error or a picture, nothing else", "[io][image_file]") {
  std::mt19937 random(11);
  std::vector<std::string> files{png(3, 1, 2, 8, {std::string("\0abcdefghi", 10)})};
  for (const char* name : {"coffee_palette.png", "rocket_rgba.png", "coffee.jpg", "rocket_progressive_444.jpg",
                           "cmyk.jpg", "two_frames.gif", "photograph.bmp"})
    files.push_back(read_bytes(pictures / name));
  int refused = 0;
  for (const std::string& whole : files)
    for (int round = 0; round < 97; ++round) {
      std::string file = whole;
      for (int n = round % 7; n >= 0; --n) {
        // Mostly the first bytes: what headers and tables say is what leads a decoder astray.
        const std::size_t range = round % 2 ? file.size() : std::min<std::size_t>(file.size(), 700);
        file[random() % range] = static_cast<char>(static_cast<unsigned char>(random() & 0xffu));
      }
      refused += !error_decoding(file, {.max_pixels = 1'000'000}).empty();
    }
  CHECK(refused > 0);
}

}  // namespace image_file_test
