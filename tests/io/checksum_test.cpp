#include <flamingo/io/checksum.hpp>

#include <catch2/catch.hpp>
#include <span>
#include <string>

namespace checksum_test {

using flamingo::io::crc32;
using flamingo::io::crc32c;

TEST_CASE("checksums are those that their standards print", "[checksum]") {
  CHECK(crc32c("123456789") == 0xE3069283u);
  CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AAu);
  CHECK(crc32c(std::string(32, '\xFF')) == 0x62A8AB43u);
  std::string up;
  for (int i = 0; i < 32; ++i) up += static_cast<char>(i);
  CHECK(crc32c(up) == 0x46DD794Eu);
  CHECK(crc32c("") == 0u);
  const auto of = [](const std::string& text) { return crc32(std::as_bytes(std::span(text))); };
  CHECK(of("123456789") == 0xCBF43926u);
  CHECK(of("") == 0u);
  CHECK(of(std::string(32, '\0')) == 0x190A55ADu);
}

TEST_CASE("pieces of a text have the checksum of the whole, and each bit counts", "[checksum]") {
  std::string text;
  for (int i = 0; i < 61; ++i) text += static_cast<char>(37 * i);
  const std::uint32_t whole = crc32c(text);
  for (std::size_t cut = 0; cut <= text.size(); ++cut)
    CHECK(crc32c(text.substr(cut), crc32c(text.substr(0, cut))) == whole);
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string other = text;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
    CHECK(crc32c(other) != whole);
  }
}

}  // namespace checksum_test
