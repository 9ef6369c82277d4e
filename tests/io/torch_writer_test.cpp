#include <catch2/catch.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <flamingo/io/torch_file.hpp>
#include <flamingo/io/torch_writer.hpp>

#include "files.hpp"

namespace torch_writer_test {

using namespace flamingo::io;
using namespace flamingo::tests;

TEST_CASE("a state dict that is written is read", "[io][torch_writer]") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "checkpoint.pt";
  const std::string bytes(48, 'x');
  const auto first = [&](std::size_t n) { return std::as_bytes(std::span(bytes)).first(n); };
  const std::vector<TensorView> tensors{{"a", DType::f32, {2, 3}, first(24)},  {"b.c", DType::f16, {5}, first(10)},
                                        {"bf", DType::bf16, {2, 1}, first(4)}, {"d", DType::f64, {}, first(8)},
                                        {"i8", DType::i8, {3}, first(3)},      {"u8", DType::u8, {3}, first(3)},
                                        {"i16", DType::i16, {1}, first(2)},    {"i32", DType::i32, {1}, first(4)},
                                        {"i64", DType::i64, {6}, first(48)},   {"flag", DType::boolean, {1}, first(1)},
                                        {"none", DType::f32, {0, 7}, {}}};
  write_torch(path, tensors);
  const TorchFile file(path);
  REQUIRE(file.tensors().size() == tensors.size());
  for (const TensorView& tensor : tensors) {
    CAPTURE(tensor.name);
    const TensorView& got = file.at(tensor.name);
    CHECK(got.dtype == tensor.dtype);
    CHECK(got.shape == tensor.shape);
    CHECK(std::equal(got.bytes.begin(), got.bytes.end(), tensor.bytes.begin(), tensor.bytes.end()));
    // Storages begin at multiples of 64 in the file, so that numbers can be read where they lie.
    if (!got.bytes.empty()) CHECK(reinterpret_cast<std::uintptr_t>(got.bytes.data()) % 64 == 0);
  }
}

TEST_CASE("what torch cannot hold is refused before anything is written", "[io][torch_writer]") {
  const TemporaryFolder folder;
  const auto path = folder.write("a.pt", "old");
  const std::vector<std::byte> bytes(34);
  CHECK_THAT(error_of([&] {
               write_torch(path, std::vector<TensorView>{{"q", DType::q8_0, {32}, bytes}});
             }),
             Catch::Contains("tensor 'q' is q8_0, a type that torch does not have"));
  CHECK_THAT(error_of([&] {
               write_torch(path, std::vector<TensorView>{{"f", DType::f32, {9}, bytes}});
             }),
             Catch::Contains("tensor 'f' has 34 bytes, expected 36"));
  CHECK(read_bytes(path) == "old");
}

}  // namespace torch_writer_test
