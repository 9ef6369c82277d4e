#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <flamingo/io/image_decoder.hpp>

#include "png_writer.hpp"

#if defined(STBI_INCLUDE_STB_IMAGE_H) || defined(STB_IMAGE_IMPLEMENTATION) || defined(STBI_NO_STDIO) || \
    defined(STBI_MALLOC)
#error "the header left macros of stb_image behind"
#endif

namespace image_decoder_test {

using namespace flamingo::io::detail;
using namespace flamingo::tests;

namespace {

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace

TEST_CASE("the decoder reads size and pixels", "[io][image_decoder]") {
  const std::string file = png(3, 2, 2, 8, {std::string("\0abcdefghi", 10), std::string("\0jklmnopqr", 10)});
  const auto size = image_size(bytes(file));
  REQUIRE(size.has_value());
  CHECK(size->width == 3);
  CHECK(size->height == 2);
  const DecodedRgba decoded = decode_rgba(bytes(file), 6);
  REQUIRE(decoded.problem.empty());
  CHECK(std::string(reinterpret_cast<const char*>(decoded.rgba.get()), 8) ==
        "abc\xff"
        "def\xff");
}

TEST_CASE("the decoder never takes the end of a file for zeros", "[io][image_decoder]") {
  const std::string file = png(3, 2, 2, 8, {std::string("\0abcdefghi", 10), std::string("\0jklmnopqr", 10)});
  for (std::size_t length = 0; length < file.size(); ++length) {
    const std::string cut = file.substr(0, length);
    if (image_size(bytes(cut)).has_value()) CHECK(decode_rgba(bytes(cut), 6).problem == "the file is truncated");
  }
}

TEST_CASE("compressed data larger than the picture get no memory", "[io][image_decoder]") {
  // 64 MB of zeros behind a header that says 1 x 1.
  const std::string file = png_of_zlib(1, 1, 2, 8, zlib_zeros(64'000'000));
  REQUIRE(file.size() < 500'000);
  CHECK_FALSE(decode_rgba(bytes(file), 1).problem.empty());
  // The same data in a picture that needs them are decoded: 4000 x 4000 rows of one filter byte and 12000 samples.
  const std::string whole = png_of_zlib(4000, 4000, 2, 8, zlib_zeros(4000u * 12'001u));
  CHECK(decode_rgba(bytes(whole), 16'000'000).problem.empty());
}

TEST_CASE("Huffman tables of JPEGs are counted before they are read", "[io][image_decoder]") {
  const auto jpeg = [](int first, int last) {
    std::string counts(16, '\0');
    counts[0] = static_cast<char>(static_cast<unsigned char>(first));
    counts[15] = static_cast<char>(static_cast<unsigned char>(last));
    const std::string table = std::string(1, '\0') + counts + std::string(static_cast<std::size_t>(first + last), 'v');
    const auto length = static_cast<unsigned>(table.size() + 2);
    const std::string comment("\xff\xfe\0\x06\xff\xc4\xff\xff", 8);  // its bytes are no table
    return "\xff\xd8" + comment + "\xff\xff\xc4" + static_cast<char>(static_cast<unsigned char>(length >> 8)) +
           static_cast<char>(static_cast<unsigned char>(length & 0xffu)) + table + "\xff\xd9";
  };
  CHECK(huffman_tables_fit(bytes(jpeg(1, 255))));
  CHECK_FALSE(huffman_tables_fit(bytes(jpeg(2, 255))));
  CHECK(decode_rgba(bytes(jpeg(2, 255)), 1).problem == "it has a Huffman table of more than 256 codes");
  CHECK_FALSE(huffman_tables_fit(bytes("\xff" + jpeg(2, 255))));  // filled even before its first marker
  // One before the size is not read for the sake of the size either.
  CHECK_FALSE(image_size(bytes(jpeg(2, 255))).has_value());
  CHECK(flamingo::io::Stb::header(bytes(jpeg(2, 255))).problem == "it has a Huffman table of more than 256 codes");
  // Behind the beginning of a scan every such pair of bytes may be taken for a table, also inside a segment.
  const std::string scan("\xff\xd8\xff\xda\0\2", 6);
  CHECK(huffman_tables_fit(bytes(scan + jpeg(1, 255).substr(2, 4))));
  CHECK_FALSE(huffman_tables_fit(bytes(scan + jpeg(1, 255).substr(2))));
  CHECK(huffman_tables_fit(bytes("\xff\xd8\xff")));
  CHECK(huffman_tables_fit(bytes("GIF89a")));
}

}  // namespace image_decoder_test
