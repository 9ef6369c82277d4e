#include <catch2/catch.hpp>
#include <flamingo/model/vision/preprocess.hpp>

namespace preprocess_test {

using namespace flamingo;

TEST_CASE("a picture becomes pixel rows on white, line by line, scaled", "[preprocess]") {
  // 3 x 1: one line above and one below are white.
  const io::Image image{3, 1, {0, 127, 255, 1, 2, 3, 10, 20, 30}};
  const auto rows = pixel_rows<double>(image, 3, PixelScale::efficientnet_lite());
  REQUIRE(rows.size() == 27);
  const std::vector<int> middle{0, 127, 255, 1, 2, 3, 10, 20, 30};
  for (std::size_t i = 0; i < 27; ++i) CHECK(rows[i] == (i / 9 == 1 ? middle[i - 9] - 127 : 128) / 128.0);
}

TEST_CASE("a picture is resized to the encoder's side", "[preprocess]") {
  io::Image image{14, 10, {}};
  for (int i = 0; i < 14 * 10 * 3; ++i) image.rgb.push_back(static_cast<std::uint8_t>(i * 7));
  const auto rows = pixel_rows(image, 5, PixelScale{});
  const io::Image expected = io::resize(io::pad_to_square(image), 5, 5);
  CHECK(rows == std::vector<float>(expected.rgb.begin(), expected.rgb.end()));
}

TEST_CASE("CLIP's scale is its mean and deviation in 0 .. 1", "[preprocess]") {
  const io::Image image{1, 1, {255, 0, 51}};
  const auto rows = pixel_rows(image, 1, PixelScale::clip());
  CHECK(rows[0] == Approx((1 - 0.48145466) / 0.26862954));
  CHECK(rows[1] == Approx((0 - 0.4578275) / 0.26130258));
  CHECK(rows[2] == Approx((0.2 - 0.40821073) / 0.27577711));
}

}  // namespace preprocess_test
