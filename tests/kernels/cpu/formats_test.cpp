#include <flamingo/kernels/cpu/formats.hpp>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdint>

#include "support/packing.hpp"
#include "support/platforms.hpp"

namespace formats_test {

using namespace flamingo;
using namespace flamingo::test;

TEMPLATE_LIST_TEST_CASE("any piece of a row is read, in every format", "[formats]", Platforms) {
  using R = typename TestType::Real;
  constexpr int rows = 5, columns = 96;
  for (const auto& [format, name] : all_formats) {
    INFO(name);
    const PackedTensor packed(format, rows, columns, 3);
    const auto numbers = packed.numbers.as<R>();
    const auto source = kernels::source_of<R>(packed.on<TestType>());
    // From and to the middle of blocks, within one, over two, and nothing.
    for (const auto& [first, count] :
         {std::array{0, 96}, {0, 31}, {31, 2}, {7, 5}, {32, 32}, {33, 63}, {95, 1}, {40, 0}})
      for (int r = 0; r < rows; ++r) {
        Tensor<R> piece(1, count), rest(1, count), expected(1, count);
        source.read(r, first, count, piece.data());
        source.from(r).read(0, first, count, rest.data());
        std::copy_n(&numbers(r, first), count, expected.data());
        CHECK(piece == expected);
        CHECK(rest == expected);
        CHECK(piece.intact());
      }
  }
}

TEMPLATE_LIST_TEST_CASE("stored matrices are read as they are, or rounded", "[formats]", Platforms) {
  using P = TestType;
  using R = typename P::Real;
  const auto narrow = Tensor<float>::random(3, 7, 1).as<bfloat16>();
  Tensor<R> row(1, 5);
  const MatrixView<P, 3, 7, const bfloat16> w{narrow.data(), {}, {}};
  kernels::source_of<R>(w).read(2, 1, 5, row.data());
  for (int i = 0; i < 5; ++i) CHECK(row(0, i) == static_cast<R>(static_cast<float>(narrow(2, 1 + i))));
  CHECK(row.intact());
}

TEST_CASE("blocks are as GGUF lays them out", "[formats]") {
  // Scale 0.5 as a half, little-endian, then 32 numbers.
  std::array<std::uint8_t, 34> bytes{0x00, 0x38};
  std::array<float, 32> numbers;
  const auto* block = reinterpret_cast<const std::byte*>(bytes.data());
  bytes[2] = 0x7f;
  bytes[3] = 0x80;
  bytes[33] = 0xff;
  kernels::detail::read_block<Format::q8_0>(block, numbers.data());
  CHECK((numbers[0] == 63.5f && numbers[1] == -64.0f && numbers[2] == 0.0f && numbers[31] == -0.5f));
  bytes[2] = 0xf0;  // low nibble 0 is number 0, high nibble 15 is number 16
  bytes[17] = 0x18;
  kernels::detail::read_block<Format::q4_0>(block, numbers.data());
  CHECK((numbers[0] == -4.0f && numbers[16] == 3.5f && numbers[15] == 0.0f && numbers[31] == -3.5f));
  bytes[2] = 0x00;  // offset 2
  bytes[3] = 0x40;
  bytes[4] = 0xf1;
  kernels::detail::read_block<Format::q4_1>(block, numbers.data());
  CHECK((numbers[0] == 2.5f && numbers[16] == 9.5f));
}

}  // namespace formats_test
