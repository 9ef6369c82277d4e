#include <flamingo/kernels/cuda/raw/attention_parts.hpp>

#include <catch2/catch.hpp>

namespace attention_parts_test {

using namespace flamingo::raw;

TEST_CASE("keys are divided into as many parts as blocks want and rows see keys for", "[raw][attention]") {
  const auto one = [](int tiles, long long keys) { return decode_parts<128, 8>(16, 16, tiles, keys); };
  CHECK(one(1, 100000) == 17);   // 16 blocks each
  CHECK(one(8, 100000) == 3);    //
  CHECK(one(64, 100000) == 1);   //
  CHECK(one(0, 100000) == 264);  // nothing is launched
  CHECK(one(1, 100) == 2);       // of 64 keys
  CHECK(one(1, 64) == 1);        // a picture
  CHECK(one(1, 0) == 1);
  CHECK(decode_parts<128, 8>(64, 8, 8, 100000) == 5);  // a block for eight heads: 64 blocks
  CHECK(decode_parts<128, 8>(72, 4, 8, 100000) == 3);  // eighteen heads are three blocks: 96
  CHECK(decode_parts<32, 2>(4, 2, 1, 100) == 2);
}

TEST_CASE("a part leaves the sums of its channels, their largest score and their weight", "[raw][attention]") {
  CHECK(decode_size(3, 16, 80, 5) == 3u * 16 * 5 * 82);
  CHECK(decode_size(3, 16, 80, 1) == 0);
}

TEST_CASE("lanes cover a head, and slots the warp", "[raw][attention]") {
  CHECK(DecodeLanes<128, 8, 1>::lanes == 16);
  CHECK(DecodeLanes<128, 8, 1>::slots == 2);
  CHECK(DecodeLanes<128, 8, 1>::block_keys == 32);
  CHECK(DecodeLanes<80, 8, 1>::lanes == 16);  // of which ten hold numbers
  CHECK(DecodeLanes<128, 2, 8>::packs == 2);
  CHECK(DecodeLanes<128, 2, 8>::keys == 4);
  CHECK(DecodeLanes<128, 8, 8>::keys == 2);  // 64 sums a lane
}

}  // namespace attention_parts_test
