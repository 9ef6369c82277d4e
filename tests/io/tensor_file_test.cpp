#include <catch2/catch.hpp>

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <flamingo/io/tensor_file.hpp>

#include "files.hpp"

namespace tensor_file_test {

using namespace flamingo::io;
using namespace flamingo::tests;

namespace {

/// Converts `bytes` from an address that is aligned to nothing.
template <class Out>
std::vector<Out> converted(DType dtype, std::vector<std::int64_t> shape, const std::string& bytes) {
  const std::string shifted = "x" + bytes;
  const TensorView view{"t", dtype, std::move(shape), std::as_bytes(std::span(shifted).subspan(1))};
  std::vector<Out> out(static_cast<std::size_t>(view.count()));
  convert(view, std::span<Out>(out));
  return out;
}

std::string half_bytes(float value) { return bytes_of(flamingo::half(value)); }

}  // namespace

TEST_CASE("floating types convert exactly", "[io][tensor_file]") {
  const std::vector<float> values{1.5f, -0.25f, 0.f};
  std::string f32, f16, bf16, f64;
  for (float v : values) {
    f32 += bytes_of(v);
    f16 += half_bytes(v);
    bf16 += bytes_of(flamingo::bfloat16(v));
    f64 += bytes_of(static_cast<double>(v));
  }
  CHECK(converted<float>(DType::f32, {3}, f32) == values);
  CHECK(converted<float>(DType::f16, {3}, f16) == values);
  CHECK(converted<float>(DType::bf16, {3}, bf16) == values);
  CHECK(converted<float>(DType::f64, {3}, f64) == values);
  CHECK(converted<double>(DType::f64, {1}, bytes_of(0.1)) == std::vector<double>{0.1});
}

TEST_CASE("quantised blocks convert as GGUF defines them", "[io][tensor_file]") {
  // Two rows of one block and of two blocks: the scales are powers of two, so everything is exact.
  std::string q8, q4_0, q4_1;
  std::vector<float> e8, e40, e41;
  for (int block = 0; block < 3; ++block) {
    const float d = 0.25f * static_cast<float>(1 << block), m = -1.5f * static_cast<float>(block);
    q8 += half_bytes(d);
    q4_0 += half_bytes(d);
    q4_1 += half_bytes(d) + half_bytes(m);
    std::vector<int> nibbles(32);
    for (int i = 0; i < 32; ++i) {
      const int q = i * 37 % 255 - 127;
      q8 += static_cast<char>(q);
      e8.push_back(d * static_cast<float>(q));
      nibbles[static_cast<std::size_t>(i)] = (i * 7 + block) % 16;
      e40.push_back(d * static_cast<float>(nibbles[static_cast<std::size_t>(i)] - 8));
      e41.push_back(d * static_cast<float>(nibbles[static_cast<std::size_t>(i)]) + m);
    }
    for (std::size_t i = 0; i < 16; ++i) {
      const auto pair = static_cast<char>(static_cast<unsigned char>(nibbles[i] | (nibbles[i + 16] << 4)));
      q4_0 += pair;
      q4_1 += pair;
    }
  }
  CHECK(converted<float>(DType::q8_0, {3, 32}, q8) == e8);
  CHECK(converted<float>(DType::q4_0, {1, 96}, q4_0) == e40);
  CHECK(converted<float>(DType::q4_1, {96}, q4_1) == e41);
  CHECK(converted<double>(DType::q4_1, {96}, q4_1) == std::vector<double>(e41.begin(), e41.end()));
}

TEST_CASE("sizes of tensors", "[io][tensor_file]") {
  using Shape = std::vector<std::int64_t>;
  constexpr std::int64_t large = std::int64_t{1} << 32;
  CHECK(byte_size(DType::f32, Shape{}) == 4);
  CHECK(byte_size(DType::i16, Shape{3, 5, 7}) == 210);
  CHECK(byte_size(DType::q4_1, Shape{3, 64}) == 120);
  CHECK(byte_size(DType::q8_0, Shape{64, 3}) == -1);
  CHECK(byte_size(DType::q8_0, Shape{}) == -1);
  CHECK(byte_size(DType::f32, Shape{large, large}) == -1);
  CHECK(byte_size(DType::f64, Shape{large, large / 4}) == -1);
  CHECK(byte_size(DType::f64, Shape{large, large, 0}) == 0);
  CHECK(byte_size(DType::f32, Shape{-1, 2}) == -1);
  CHECK(TensorView{.name = "", .dtype = DType::q8_0, .shape = {3, 64}, .bytes = {}}.count() == 192);
  CHECK(TensorView{.name = "", .dtype = DType::f32, .shape = {large, large, 0}, .bytes = {}}.count() == 0);
}

TEST_CASE("conversion checks what it is given", "[io][tensor_file]") {
  CHECK(error_of([] { converted<float>(DType::i32, {1}, "1234"); }) ==
        "[convert] tensor 't' holds i32, expected a floating or quantised type");
  CHECK(error_of([] { converted<float>(DType::f32, {2}, "1234"); }) ==
        "[convert] tensor 't' of f32 (2) has 4 bytes, expected 8");
  std::vector<float> small(1);
  CHECK_THAT(error_of([&] {
               const std::string bytes(8, '\0');
               convert({"t", DType::f32, {2}, std::as_bytes(std::span(bytes))}, std::span(small));
             }),
             Catch::Contains("has shape (2), expected 1 values"));
}

TEST_CASE("close names", "[io][tensor_file]") {
  const std::vector<std::string> names{"layers.0.weight", "layers.1.weight", "head.bias", std::string(1000, 'x')};
  CHECK(close_names("layer.0.weight", names) == "; close: 'layers.0.weight', 'layers.1.weight'");
  CHECK(close_names("completely different", names).empty());
}

}  // namespace tensor_file_test
