#include <flamingo/config/nfnet.hpp>

#include <catch2/catch.hpp>

namespace nfnet_test {

using namespace flamingo;

TEST_CASE("blocks of an NFNet-F", "[config]") {
  constexpr NfNet f6{};
  STATIC_REQUIRE(f6.blocks() == 84);
  STATIC_REQUIRE(f6.dim() == 3072);
  STATIC_REQUIRE(NfNet{.features = NfNetFeatures::stages}.dim() == 1536);
  STATIC_REQUIRE(NfNet{.head = 0}.dim() == 1536);
  STATIC_REQUIRE(f6.block(0, true) == NfNetBlock{128, 128, 256, 1, 128, 1});
  STATIC_REQUIRE(f6.block(1, true) == NfNetBlock{256, 256, 512, 2, 256, 2});
  STATIC_REQUIRE(f6.block(2, true) == NfNetBlock{512, 768, 1536, 6, 768, 2});
  STATIC_REQUIRE(f6.block(3, true) == NfNetBlock{1536, 768, 1536, 6, 768, 2});
  STATIC_REQUIRE(f6.block(2, false) == f6.block(3, false));
  STATIC_REQUIRE(f6.block(3, true).transition());
  STATIC_REQUIRE_FALSE(f6.block(3, false).transition());
}

TEST_CASE("middle channels are whole groups, and multiples as timm rounds them", "[config]") {
  constexpr NfNet narrow{.widths = {16, 24, 40, 40}, .group = 8};
  STATIC_REQUIRE(narrow.block(0, false) == NfNetBlock{16, 8, 16, 1, 8, 1});
  STATIC_REQUIRE(narrow.block(1, false) == NfNetBlock{24, 8, 24, 1, 12, 1});  // 12 less what fills no group
  STATIC_REQUIRE(narrow.block(2, false) == NfNetBlock{40, 16, 40, 2, 20, 1});
  constexpr NfNet timm{.widths = {16, 24, 40, 40}, .group = 8, .width_multiple = 8, .squeeze_multiple = 8};
  STATIC_REQUIRE(timm.block(1, false) == NfNetBlock{24, 16, 24, 2, 16, 1});
  STATIC_REQUIRE(timm.block(2, false) == NfNetBlock{40, 24, 40, 3, 24, 1});
  constexpr NfNet uneven{.widths = {16, 24, 40, 40}, .group = 4, .width_multiple = 8, .squeeze_multiple = 8};
  STATIC_REQUIRE(uneven.block(0, false) == NfNetBlock{16, 8, 16, 2, 8, 1});
  constexpr NfNet wide{.widths = {16, 16, 16, 16}};  // narrower than a group: one group
  STATIC_REQUIRE(wide.block(0, false) == NfNetBlock{16, 8, 16, 1, 8, 1});
}

TEST_CASE("the variance that an NFNet keeps account of", "[config]") {
  const NfNet f6{};
  const auto beta = [&](int s, int i) { return Approx(f6.beta(s, i)).epsilon(1e-5); };
  CHECK(1.0 == beta(0, 0));
  CHECK(.98058 == beta(0, 1));
  CHECK(.96225 == beta(0, 2));
  CHECK(.94491 == beta(0, 3));
  CHECK(.89803 == beta(0, 6));
  CHECK(.88388 == beta(1, 0));
  CHECK(.98058 == beta(1, 1));
  CHECK(.81111 == beta(1, 13));
  CHECK(.80064 == beta(2, 0));
  CHECK(.61546 == beta(2, 41));
  CHECK(.61085 == beta(3, 0));
  CHECK(.74536 == beta(3, 20));
}

}  // namespace nfnet_test
