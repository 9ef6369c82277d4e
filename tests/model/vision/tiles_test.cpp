#include <catch2/catch.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <flamingo/io/safetensors.hpp>
#include <flamingo/model/vision/tiles.hpp>

#include "io/files.hpp"
#include "io/pictures.hpp"
#include "support/golden.hpp"

namespace tiles_test {

using namespace flamingo;
using namespace flamingo::tests;

TEST_CASE("grids of tiles are counted as Llama 3.2 Vision counts them", "[tiles]") {
  CHECK((tile_grids(4) == std::vector<TileGrid>{{1, 1}, {1, 2}, {1, 3}, {1, 4}, {2, 1}, {2, 2}, {3, 1}, {4, 1}}));
  CHECK(aspect_ratio_id({1, 1}, 4) == 1);
  CHECK(aspect_ratio_id({4, 1}, 4) == 8);
  CHECK_THAT(error_of([] { aspect_ratio_id({2, 3}, 4); }), Catch::Contains("got 2 x 3 tiles, expected at most 4"));
}

TEST_CASE("tiles are transformers' tiles, for any shape", "[tiles]") {
  const io::Safetensors expected(pictures / "pillow.safetensors");
  const PixelScale bytes_as_they_are;
  int checked = 0;
  for (const io::TensorView& tensor : expected.tensors()) {
    if (!tensor.name.starts_with("mllama.") || !tensor.name.ends_with(".pixels")) continue;
    const std::string name = tensor.name.substr(0, tensor.name.size() - 7), shape = name.substr(0, name.rfind('.'));
    const int max_tiles = std::stoi(name.substr(name.rfind('.') + 1));
    CAPTURE(name);
    const io::RawImage raw = samples(expected.at(shape + ".in"), io::Mode::rgb);
    const auto tiled =
        tiled_picture<double>(MllamaImageProcessor{.side = 8, .max_tiles = max_tiles, .scale = bytes_as_they_are}, raw);
    CHECK(tiled.side == 8);
    CHECK(tiled.tiles() == tensor.shape[0]);
    CHECK(tiled.aspect_ratio_id == test::numbers<int>(expected.at(name + ".id")).at(0));
    REQUIRE(tiled.rows.size() == tensor.bytes.size());
    bool equal = true;
    for (std::size_t i = 0; i < tiled.rows.size(); ++i) {
      const std::size_t tile = i / 192, channel = i % 3, cell = i % 192 / 3;
      equal &= tiled.rows[i] == std::to_integer<int>(tensor.bytes[(tile * 3 + channel) * 64 + cell]);
    }
    CHECK(equal);
    ++checked;
  }
  CHECK(checked == 33);
}

TEST_CASE("a long line keeps one pixel of its width, on black that is scaled too", "[tiles]") {
  const io::RawImage raw = io::raw_of({51, 1, std::vector<std::uint8_t>(153, 255)});
  const auto tiled = tiled_picture(MllamaImageProcessor{.side = 4, .max_tiles = 1}, raw);
  REQUIRE(tiled.rows.size() == 4 * 4 * 3);
  CHECK(tiled.rows[0] == Approx((1 - 0.48145466) / 0.26862954));
  CHECK(tiled.rows[12] == Approx(-0.48145466 / 0.26862954));
  CHECK_THAT(error_of([&] { tiled_picture(MllamaImageProcessor{.side = 0}, raw); }),
             Catch::Contains("got tiles of 0 pixels"));
}

}  // namespace tiles_test
