#include <catch2/catch.hpp>

#include "check/agree.hpp"
#include "check/nfnet.hpp"
#include "model/vision/nfnet_goldens.hpp"

namespace nfnet_odd_golden_test {

using namespace flamingo;

TEST_CASE("an NFNet agrees with timm's on a picture of odd sides", "[nfnet]") {
  test::check_agreement(test::check_nfnet<test::nfnet_tiny_odd>(test::golden_path("nfnet_tiny_odd.safetensors")));
}

}  // namespace nfnet_odd_golden_test
