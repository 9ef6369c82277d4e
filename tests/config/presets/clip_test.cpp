#include <flamingo/config/presets/clip.hpp>

#include <catch2/catch.hpp>
#include <cstddef>

#include <flamingo/model/clip/dual_encoder.hpp>

namespace clip_test {

using namespace flamingo;

TEST_CASE("CLIP's presets have the published numbers of parameters", "[config]") {
  using P = Cpu<float>;
  CHECK(parameter_count<model::DualEncoder<presets::clip_vit_l14, P>>() == 427'616'513);
  CHECK(parameter_count<model::DualEncoder<presets::open_clip_vit_h14, P>>() == 986'109'441);
  // The same by formula: a block of width d is 4 d² + 4 d of attention, 8 d² + 5 d of feed-forward, 4 d of norms.
  const auto count = [](const ClipConfig& c) {
    const auto blocks = [](std::size_t layers, std::size_t d) { return layers * (12 * d * d + 13 * d); };
    const auto D = static_cast<std::size_t>(c.vision.dim), E = static_cast<std::size_t>(c.text.dim),
               J = static_cast<std::size_t>(c.projection);
    const std::size_t vision =
                          3 * 14 * 14 * D + D + 257 * D + 4 * D + blocks(static_cast<std::size_t>(c.vision.layers), D),
                      text = 49408 * E + 77 * E + 2 * E + blocks(static_cast<std::size_t>(c.text.layers), E);
    return vision + text + J * (D + E) + 1;
  };
  CHECK(count(presets::clip_vit_l14) == 427'616'513);
  CHECK(count(presets::open_clip_vit_h14) == 986'109'441);
}

}  // namespace clip_test
