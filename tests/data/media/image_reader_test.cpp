#include <flamingo/data/media/image_reader.hpp>

#include <catch2/catch.hpp>
#include <filesystem>
#include <span>
#include <string>

#include "io/files.hpp"

namespace image_reader_test {

using namespace flamingo;

TEST_CASE("pictures of shards are read within bounds, and named where they are broken", "[image_reader]") {
  const auto folder = std::filesystem::path(FLAMINGO_TEST_DATA) / "fixtures/images";
  const std::string cat = tests::read_bytes(folder / "cat.png");
  const auto read = image_reader();
  const io::RawImage image = read(std::as_bytes(std::span(cat)), "cat", 0);
  CHECK((image.width == 226 && image.height == 150));
  CHECK_THROWS_WITH(read(std::as_bytes(std::span(cat).first(500)), "pairs.tar 7.png", 0),
                    Catch::Contains("pairs.tar 7.png"));
  CHECK_THROWS_WITH(image_reader({.max_pixels = 1000})(std::as_bytes(std::span(cat)), "cat", 0),
                    Catch::Contains("at most 1000 are decoded"));
}

}  // namespace image_reader_test
