#include <flamingo/model/vision/nfnet.hpp>

#include <catch2/catch.hpp>

#include "check/agree.hpp"
#include "check/nfnet.hpp"

using namespace flamingo;
using test::Tensor;

namespace {

constexpr NfNet timm(std::array<int, 4> depths, std::array<int, 4> widths, int group, int head) {
  return {.depths = depths,
          .widths = widths,
          .stem = 16,
          .group = group,
          .width_multiple = 8,
          .squeeze_multiple = 8,
          .activation = Activation::gelu,
          .variance = WeightVariance::added,
          .epsilon = 1e-5f,
          .head = head,
          .classes = 7};
}

}  // namespace

TEST_CASE("an NFNet agrees with timm's", "[nfnet]") {
  test::check_agreement(
      test::check_nfnet<timm({1, 2, 1, 1}, {16, 32, 48, 48}, 8, 96)>(test::golden_path("nfnet_tiny.safetensors")));
}
TEST_CASE("an NFNet agrees with timm's on an odd picture", "[nfnet]") {
  test::check_agreement(
      test::check_nfnet<timm({1, 1, 2, 1}, {16, 16, 32, 32}, 4, 64)>(test::golden_path("nfnet_tiny_odd.safetensors")));
}
