#include <flamingo/io/image_writer.hpp>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <span>

#include <flamingo/io/image_file.hpp>

#include "files.hpp"

#if defined(INCLUDE_STB_IMAGE_WRITE_H) || defined(STB_IMAGE_WRITE_IMPLEMENTATION) || defined(STBIW_MALLOC)
#error "the header left macros of stb_image_write behind"
#endif

namespace image_writer_test {

using namespace flamingo::io;
using flamingo::tests::error_of;

Image gradient(int width, int height) {
  Image image{width, height, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (const int sample : {x * 255 / width, y * 255 / height, (x + y) % 7})
        image.rgb.push_back(static_cast<std::uint8_t>(sample));
  return image;
}

TEST_CASE("a PNG that was written is read as the same pixels", "[io][image_writer]") {
  for (const auto& [width, height] : {std::pair{1, 1}, {3, 2}, {37, 19}}) {
    const Image image = gradient(width, height);
    const std::string bytes = png_bytes(image);
    CHECK(bytes.starts_with("\x89PNG"));
    CHECK(decode_image(std::as_bytes(std::span(bytes))) == image);
  }
  const flamingo::tests::TemporaryFolder folder;
  write_png(folder.path() / "a.png", gradient(5, 4));
  CHECK(read_image(folder.path() / "a.png") == gradient(5, 4));
}

TEST_CASE("a JPEG that was written is nearly the picture", "[io][image_writer]") {
  Image image = gradient(32, 24);
  for (std::size_t i = 2; i < image.rgb.size(); i += 3) image.rgb[i] = 90;
  const std::string bytes = jpeg_bytes(image, 95);
  const Image read = decode_image(std::as_bytes(std::span(bytes)));
  REQUIRE(read.rgb.size() == image.rgb.size());
  for (std::size_t i = 0; i < image.rgb.size(); ++i) CHECK(std::abs(int{read.rgb[i]} - int{image.rgb[i]}) <= 12);
  CHECK(jpeg_bytes(image, 20).size() < bytes.size());
}

TEST_CASE("what is no picture is not written", "[io][image_writer]") {
  CHECK(error_of([] { png_bytes({2, 2, {1, 2, 3}}); }).starts_with("[png] the picture is 2 x 2 with 3 bytes"));
  CHECK(error_of([] { jpeg_bytes(gradient(2, 2), 0); }) == "[jpeg] the quality is 0, expected 1 to 100");
}

}  // namespace image_writer_test
