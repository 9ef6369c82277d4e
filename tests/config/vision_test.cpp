#include <catch2/catch.hpp>
#include <flamingo/config/vision.hpp>

namespace vision_test {

using namespace flamingo;

TEST_CASE("vision configs derive what they leave out", "[config]") {
  constexpr Vit large{};
  STATIC_REQUIRE(large.hidden_size() == 4096);
  STATIC_REQUIRE(large.grid() == 16);
  STATIC_REQUIRE(Vit{.image = 28, .patch = 7, .hidden = 48}.hidden_size() == 48);
  constexpr EfficientNetLite lite0{};
  STATIC_REQUIRE(lite0.dim() == 1280);
  STATIC_REQUIRE(lite0.blocks() == 16);
  STATIC_REQUIRE(EfficientNetLite{.features = EfficientNetFeatures::blocks}.dim() == 320);
}

}  // namespace vision_test
