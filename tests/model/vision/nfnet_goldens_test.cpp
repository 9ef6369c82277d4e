#include <catch2/catch.hpp>

#include "check/agree.hpp"
#include "check/nfnet.hpp"
#include "model/vision/nfnet_goldens.hpp"

namespace nfnet_goldens_test {

using namespace flamingo;

TEST_CASE("an NFNet agrees with timm's", "[nfnet]") {
  test::check_agreement(test::check_nfnet<test::nfnet_tiny>(test::golden_path("nfnet_tiny.safetensors")));
}

}  // namespace nfnet_goldens_test
