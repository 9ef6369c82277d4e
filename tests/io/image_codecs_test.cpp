#include <catch2/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include <flamingo/io/image_codecs.hpp>
#include <flamingo/io/safetensors.hpp>

#include "exif.hpp"
#include "files.hpp"
#include "jpeg_writer.hpp"
#include "pictures.hpp"
#include "png_writer.hpp"

namespace image_codecs_test {

using namespace flamingo::io;
using namespace flamingo::tests;

namespace {

RawImage decoded(const std::string& file, const ImageOptions& options = {}) {
  return decode_raw<Codecs>(bytes(file), "p", options);
}
std::string raw_error(const std::string& file, const ImageOptions& options = {}) {
  return error_of([&] { decoded(file, options); });
}

/// A smooth picture: what a JPEG keeps nearly.
RawImage slope(int width, int height, Mode mode) {
  RawImage raw{.width = width, .height = height, .mode = mode, .samples = {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels(mode); ++c)
        raw.samples.push_back(static_cast<std::uint8_t>(20 + 100 * x / width + 80 * y / height + 15 * c));
  return raw;
}

}  // namespace

TEST_CASE("JPEGs are decoded to Pillow's very pixels", "[io][image_codecs]") {
  const Safetensors expected(pictures / "decoded.safetensors");
  CHECK((read_raw<Codecs>(pictures / "grey.jpg") == samples(expected.at("grey.jpg.samples"), Mode::grey)));
  CHECK((read_raw<Codecs>(pictures / "subsampled.jpg") == samples(expected.at("subsampled.jpg.samples"), Mode::rgb)));
  CHECK((read_raw<Codecs>(pictures / "cmyk.jpg") == samples(expected.at("cmyk.jpg.samples"), Mode::cmyk)));
  CHECK((read_image<Codecs>(pictures / "cmyk.jpg") == picture(expected.at("cmyk.jpg.rgb"))));
  for (const std::string name : {"coffee.jpg", "rocket_progressive_444.jpg"}) {
    CAPTURE(name);
    const Safetensors file(pictures / (name + ".safetensors"));
    CHECK((read_raw<Codecs>(pictures / name) == samples(file.at("in.raw"), Mode::rgb)));
  }
}

TEST_CASE("YCCK is the CMYK that it was made of", "[io][image_codecs]") {
  const RawImage ink = slope(24, 16, Mode::cmyk);
  const RawImage read = decoded(jpeg(ink, JCS_YCCK));
  CHECK(read.mode == Mode::cmyk);
  CHECK(largest_difference(read.samples, ink.samples) <= 3);
}

TEST_CASE("both decoders read the same PNG, GIF and BMP", "[io][image_codecs]") {
  for (const char* name :
       {"astronaut_gray.png", "coffee_palette.png", "rocket_rgba.png", "cat.png", "two_frames.gif", "photograph.bmp"}) {
    CAPTURE(name);
    CHECK((read_raw<Codecs>(pictures / name) == read_raw(pictures / name)));
  }
  const std::string grey_key = png_chunk("tRNS", std::string("\0\x05", 2)), colours = png_chunk("PLTE", "abcdefghi"),
                    alphas = png_chunk("tRNS", std::string("\x80\0", 2));
  const std::vector<std::string> files{png(2, 1, 6, 8, {std::string("\0\x64\x32\x00\x80\x01\x02\x03\x00", 9)}),
                                       png(1, 1, 4, 8, {std::string("\0\x64\xff", 3)}),
                                       png(1, 1, 4, 16, {std::string("\0\x64\x01\x80\xff", 5)}),
                                       png(1, 1, 6, 16, {std::string("\0\1\2\3\4\5\6\7\x8", 9)}),
                                       png(1, 1, 2, 16, {std::string("\0\x11\xff\x22\x00\x33\x80", 7)}),
                                       png(1, 1, 0, 16, {std::string("\0\x7f\x80", 3)}),
                                       png(3, 1, 0, 1, {std::string("\0\xa0", 2)}),
                                       png(3, 1, 0, 2, {std::string("\0\x1b", 2)}),
                                       png(3, 1, 0, 4, {std::string("\0\x1b\x70", 3)}),
                                       png(2, 1, 0, 8, {std::string("\0\x05\x06", 3)}, grey_key),
                                       png(3, 1, 3, 2, {std::string("\0\x18", 2)}, colours),
                                       png(3, 1, 3, 8, {std::string("\0\0\1\2", 4)}, colours + alphas)};
  for (std::size_t i = 0; i < files.size(); ++i) {
    CAPTURE(i);
    const RawImage raw = decoded(files[i]);
    CHECK((raw == decode_raw(bytes(files[i]))));
  }
  CHECK(decoded(files.back()).samples ==
        std::vector<std::uint8_t>{'a', 'b', 'c', 0x80, 'd', 'e', 'f', 0, 'g', 'h', 'i', 255});
}

TEST_CASE("interlaced PNGs are put together by both decoders", "[io][image_codecs]") {
  // 4 x 3 grey: passes 1 (0, 0), 4 (2, 0), 5 (0, 2) (2, 2), 6 (1, 0) (3, 0) / (1, 2) (3, 2), 7 line 1.
  const std::string file = png(4, 3, 0, 8,
                               {std::string("\0\1", 2), std::string("\0\3", 2), std::string("\0\x9\xb", 3),
                                std::string("\0\2\4", 3), std::string("\0\xa\xc", 3), std::string("\0\5\6\7\x8", 5)},
                               "", true);
  const std::vector<std::uint8_t> expected{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  CHECK(decoded(file).samples == expected);
  CHECK(decode_raw(bytes(file)).samples == expected);
}

TEST_CASE("JPEGs can be decoded smaller", "[io][image_codecs]") {
  const RawImage whole = slope(200, 120, Mode::rgb);
  const std::string file = jpeg(whole, JCS_YCbCr);
  const auto size = [&](int at_least) {
    const RawImage raw = decoded(file, {.at_least = at_least});
    return std::vector<int>{raw.width, raw.height};
  };
  CHECK(size(0) == std::vector<int>{200, 120});
  CHECK(size(61) == std::vector<int>{200, 120});
  CHECK(size(60) == std::vector<int>{100, 60});
  CHECK(size(16) == std::vector<int>{50, 30});
  CHECK(size(15) == std::vector<int>{25, 15});
  CHECK(size(1) == std::vector<int>{25, 15});
  const RawImage small = decoded(file, {.at_least = 30});
  CHECK(largest_difference(small.samples, slope(50, 30, Mode::rgb).samples) <= 4);
}

TEST_CASE("JPEGs are turned upright by their EXIF", "[io][image_codecs]") {
  const RawImage whole = slope(32, 16, Mode::grey);
  const std::string file = jpeg(whole, JCS_GRAYSCALE);
  const RawImage stored = decoded(file);
  for (int value = 1; value <= 8; ++value) {
    CAPTURE(value);
    const std::string turned = jpeg_with(tiff(value, true)) + file.substr(2);
    CHECK((decoded(turned) == upright(stored, value)));
    CHECK((decoded(turned, {.upright = false}) == stored));
  }
}

TEST_CASE("truncated and damaged files end in one error", "[io][image_codecs]") {
  for (const char* name : {"coffee_palette.png", "coffee.jpg", "rocket_progressive_444.jpg", "cmyk.jpg"}) {
    CAPTURE(name);
    const std::string whole = read_bytes(pictures / name);
    for (std::size_t size = 0; size < whole.size(); size += 61) CHECK_FALSE(raw_error(whole.substr(0, size)).empty());
    CHECK(raw_error(whole.substr(0, whole.size() - 1)) ==
          "[read_image] p: the picture cannot be decoded: the file is truncated");
  }
  CHECK_THAT(raw_error("\xff\xd8 no picture"), Catch::Contains("p: the header cannot be read: the file is truncated"));
  CHECK_THAT(raw_error("no picture"), Catch::Contains("this is not a PNG, JPEG, GIF or BMP picture"));
  std::string png_file = png(1, 1, 2, 8, {std::string("\0abc", 4)});
  png_file[png_file.size() - 16] ^= 1;
  CHECK_THAT(raw_error(png_file), Catch::Contains("p: the picture cannot be decoded: IDAT: CRC error"));
  std::string twelve = read_bytes(pictures / "grey.jpg");
  const std::size_t frame = twelve.find("\xff\xc0");
  REQUIRE(frame != std::string::npos);
  twelve[frame + 4] = 12;
  CHECK_THAT(raw_error(twelve), Catch::Contains("p: the header cannot be read: Unsupported JPEG data precision 12"));
}

TEST_CASE("what costs too much is refused", "[io][image_codecs]") {
  CHECK_THAT(raw_error(png(20'990, 29'700, 2, 8, {"x"})), Catch::Contains("at most 40000000 are decoded"));
  std::string large = read_bytes(pictures / "grey.jpg");
  const std::size_t frame = large.find("\xff\xc0");
  for (std::size_t i = 5; i < 9; ++i) large[frame + i] = '\xf0';
  CHECK_THAT(raw_error(large), Catch::Contains("at most 40000000 are decoded"));
  // The same scan of a progressive JPEG again and again.
  const std::string progressive = read_bytes(pictures / "rocket_progressive_444.jpg");
  const std::size_t scan = progressive.rfind("\xff\xda");
  REQUIRE(scan != std::string::npos);
  std::string many = progressive.substr(0, progressive.size() - 2);
  for (int i = 0; i < 600; ++i) many += progressive.substr(scan, progressive.size() - 2 - scan);
  CHECK_THAT(raw_error(many + "\xff\xd9"), Catch::Contains("it has too many scans"));
}

TEST_CASE("damaged pictures end in an error or a picture, with the libraries too", "[io][image_codecs]") {
  std::mt19937 random(13);
  int refused = 0;
  for (const char* name :
       {"coffee_palette.png", "rocket_rgba.png", "coffee.jpg", "rocket_progressive_444.jpg", "cmyk.jpg"}) {
    const std::string whole = read_bytes(pictures / name);
    for (int round = 0; round < 97; ++round) {
      std::string file = whole;
      for (int n = round % 7; n >= 0; --n) {
        const std::size_t range = round % 2 ? file.size() : std::min<std::size_t>(file.size(), 700);
        file[random() % range] = static_cast<char>(static_cast<unsigned char>(random() & 0xffu));
      }
      refused += !raw_error(file, {.max_pixels = 1'000'000}).empty();
    }
  }
  CHECK(refused > 0);
}

}  // namespace image_codecs_test
