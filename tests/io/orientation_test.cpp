#include <catch2/catch.hpp>

#include <cstddef>
#include <string>

#include <flamingo/io/orientation.hpp>

#include "exif.hpp"
#include "pictures.hpp"
#include "png_writer.hpp"

namespace orientation_test {

using namespace flamingo::io;
using namespace flamingo::tests;

namespace {

std::string png_with(const std::string& exif) {
  return png(1, 1, 0, 8, {std::string("\0\7", 2)}, png_chunk("tEXt", std::string("a\0b", 3)) + png_chunk("eXIf", exif));
}

}  // namespace

TEST_CASE("orientations are read in both orders of bytes and both formats", "[io][orientation]") {
  for (int value = 1; value <= 8; ++value)
    for (const bool little : {false, true}) {
      CAPTURE(value, little);
      CHECK(orientation(bytes(jpeg_with(tiff(value, little)))) == value);
      CHECK(orientation(bytes(png_with(tiff(value, little)))) == value);
    }
}

TEST_CASE("a wrong or missing orientation is upright", "[io][orientation]") {
  for (const int value : {0, 9, 65535}) CHECK(orientation(bytes(jpeg_with(tiff(value, true)))) == 1);
  CHECK(orientation(bytes(jpeg_with("II*"))) == 1);
  CHECK(orientation(bytes(jpeg_with("no TIFF at all"))) == 1);
  CHECK(orientation(bytes(std::string())) == 1);
  CHECK(orientation(bytes(std::string("GIF89a"))) == 1);
  // EXIF behind the beginning of the scan is not looked for.
  CHECK(orientation(bytes("\xff\xd8\xff\xda" + jpeg_with(tiff(6, true)).substr(2))) == 1);
}

TEST_CASE("cut EXIF is never read past its end", "[io][orientation]") {
  const std::string jpeg = jpeg_with(tiff(6, true)), picture = png_with(tiff(6, false));
  for (const std::string& whole : {jpeg, picture})
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const std::string cut = whole.substr(0, size);
      const int found = orientation(bytes(cut));
      CHECK((found == 1 || found == 6));
    }
  // A directory at the end of the numbers.
  std::string far = tiff(6, true);
  for (std::size_t i = 4; i < 8; ++i) far[i] = '\xff';
  CHECK(orientation(bytes(jpeg_with(far))) == 1);
}

}  // namespace orientation_test
