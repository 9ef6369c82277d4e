#include <flamingo/infer/attention_overlay.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <cmath>

#include <flamingo/io/image_file.hpp>
#include <flamingo/io/image_writer.hpp>

#include "io/files.hpp"

namespace attention_overlay_test {

using namespace flamingo;
using tests::error_of;

namespace {

/// One token; two media of a 2 x 2 grid, the second a video of two frames; three latents, two gated blocks of two
/// heads, two Resampler layers of one head. Latent r of layer l looks at cell (r + l) mod rows alone.
AttentionMaps known() {
  AttentionMaps maps;
  maps.media = 2;
  maps.latents = 3;
  maps.gated_blocks = maps.heads = maps.layers = 2;
  maps.resampler_heads = 1;
  maps.tokens = {7};
  maps.of = {{0, 4, 1, 0}, {4, 8, 2, 0}};
  maps.cross_.assign(maps.cross_at(1, 0, 0, 0), 0);
  const auto set = [&](int block, int head, std::vector<double> p) {
    std::copy(p.begin(), p.end(), maps.cross_.begin() + static_cast<std::ptrdiff_t>(maps.cross_at(0, block, head, 0)));
  };
  set(0, 0, {1, 0, 0});
  set(0, 1, {0, 1, 0});
  set(1, 0, {0, 0, 1});
  set(1, 1, {0.5, 0.25, 0.25});
  for (const Medium& m : maps.of) {
    std::vector<double> all;
    for (int layer = 0; layer < 2; ++layer)
      for (int r = 0; r < 3; ++r)
        for (int s = 0; s < m.rows; ++s) all.push_back(s == (r + layer) % m.rows ? 0.5 : 0);
    maps.resampled_.push_back(all);
  }
  return maps;
}

using Numbers = std::vector<double>;

}  // namespace

TEST_CASE("Parts of known attention: a head, a block, a latent, a layer", "[infer][attention_overlay]") {
  const AttentionMaps maps = known();
  CHECK(attention_heat(maps, 0, 0, {.block = 0, .head = 0, .layer = 0}) == Numbers{1, 0, 0, 0});
  CHECK(attention_heat(maps, 0, 0, {.block = 0, .head = 0, .layer = 1}) == Numbers{0, 1, 0, 0});
  CHECK(attention_heat(maps, 0, 0, {.block = 0, .head = 1, .layer = 1}) == Numbers{0, 0, 1, 0});
  CHECK(attention_heat(maps, 0, 0, {.block = 0, .layer = 0}) == Numbers{0.5, 0.5, 0, 0});
  CHECK(attention_heat(maps, 0, 0, {.block = 1, .head = 1, .layer = 0}) == Numbers{0.5, 0.25, 0.25, 0});
  CHECK(attention_heat(maps, 0, 0, {.block = 1, .head = 1, .latent = 2}) == Numbers{0, 0, 0.5, 0.5});
  CHECK(attention_heat(maps, 0, 0) == Numbers{0.1875, 0.34375, 0.3125, 0.15625});  // all of it
  CHECK(attention_heat(maps, 0, 1) == Numbers(8, 0));                              // the token does not see it
  CHECK(latent_heat(maps, 0, {.latent = 1, .layer = 0}) == Numbers{0, 1, 0, 0});
  CHECK(latent_heat(maps, 1, {.latent = 2}) == Numbers{0, 0, 0.5, 0.5, 0, 0, 0, 0});
  CHECK(frame_heat(Numbers{1, 2, 3, 4, 5, 6, 7, 8}, 2, 1) == Numbers{5, 6, 7, 8});
  CHECK(error_of([&] { attention_heat(maps, 0, 0, {.head = 2}); }) ==
        "[attention_overlay] there is no head 2, expected 0 to 1, or -1 for all");
  CHECK(error_of([&] { attention_heat(maps, 1, 0, {}); }).find("there is no token 1") != std::string::npos);
  CHECK(error_of([&] { latent_heat(maps, 2, {}); }).find("there is no medium 2") != std::string::npos);
}

TEST_CASE("A heat lies over the cells of the picture, and between them", "[infer][attention_overlay]") {
  const io::Image grey{8, 4, std::vector<std::uint8_t>(96, 100)};
  const Numbers heat{0, 0.5, 0, 0.25};
  const io::Image over = attention_overlay(grey, heat, {.columns = 2, .rows = 2, .strength = 1});
  const auto pixel = [&](int x, int y) {
    const auto at = static_cast<std::size_t>(y * 8 + x) * 3;
    return std::array<int, 3>{over.rgb[at], over.rgb[at + 1], over.rgb[at + 2]};
  };
  CHECK(pixel(7, 0) == std::array{255, 220, 0});    // beyond the middle of the warmest cell
  CHECK(pixel(0, 0) == std::array{100, 100, 100});  // nothing
  CHECK(pixel(0, 3) == std::array{100, 100, 100});
  CHECK(pixel(7, 3) == std::array{178, 78, 50});  // half: half the colour of a half
  // From the middle of a cell (x = 1.5) to that of the next (5.5) it grows by an eighth, then quarters.
  CHECK(pixel(2, 0)[0] == std::lround(100 + 155.0 / 8));
  CHECK(pixel(3, 0)[0] == std::lround(100 + 155.0 * 3 / 8));
  CHECK(pixel(5, 0)[0] == std::lround(100 + 155.0 * 7 / 8));
  CHECK(attention_overlay(grey, Numbers(4, 0), {.columns = 2, .rows = 2}) == grey);
  CHECK(attention_overlay(grey, heat, {.columns = 2, .rows = 2, .strength = 0}) == grey);
  // A scale that several pictures share.
  const io::Image weak = attention_overlay(grey, heat, {.columns = 2, .rows = 2, .strength = 1, .most = 1});
  CHECK(int{weak.rgb[7 * 3]} == 178);
  const std::string png = io::png_bytes(over);
  CHECK(io::decode_image(std::as_bytes(std::span(png))) == over);
  CHECK(error_of([&] { attention_overlay(grey, heat, {.columns = 3, .rows = 2}); }) ==
        "[attention_overlay] there are 4 numbers, expected a grid of 3 x 2");
  CHECK(error_of([&] {
          attention_overlay(grey, Numbers{0, -1, 0, 0}, {.columns = 2, .rows = 2});
        }) == "[attention_overlay] one of the numbers is -1, expected 0 or more");
}

}  // namespace attention_overlay_test
