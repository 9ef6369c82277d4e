#include <catch2/catch.hpp>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <flamingo/io/gguf.hpp>

#include "files.hpp"
#include "gguf_writer.hpp"

namespace gguf_test {

using namespace flamingo::io;
using namespace flamingo::tests;

namespace {

std::string good() {
  GgufWriter writer;
  writer.key("u8", 0, bytes_of(std::uint8_t{200}));
  writer.key("i8", 1, bytes_of(std::int8_t{-3}));
  writer.key("u16", 2, bytes_of(std::uint16_t{60'000}));
  writer.key("i16", 3, bytes_of(std::int16_t{-300}));
  writer.key("u32", 4, bytes_of(std::uint32_t{4'000'000'000u}));
  writer.key("i32", 5, bytes_of(std::int32_t{-70'000}));
  writer.key("f32", 6, bytes_of(0.25f));
  writer.key("bool", 7, bytes_of(std::uint8_t{1}));
  writer.key("string", 8, GgufWriter::string("h\xc3\xa9"));
  writer.key("u64", 10, bytes_of(~std::uint64_t{0}));
  writer.key("i64", 11, bytes_of(std::int64_t{-1} << 40));
  writer.key("f64", 12, bytes_of(0.1));
  writer.key("nested", 9,
             GgufWriter::array(9, {GgufWriter::array(4, {bytes_of(5u), bytes_of(7u)}),
                                   GgufWriter::array(8, {GgufWriter::string("x")})}));
  writer.tensor("matrix", 0, {3, 2}, std::string(24, 'a'));
  writer.tensor("blocks", 8, {32, 2}, std::string(68, 'b'));
  writer.tensor("odd", 14, {256}, std::string(210, 'c'));
  writer.tensor("brain", 30, {5}, std::string(10, 'd'));
  return writer.file();
}

}  // namespace

TEST_CASE("gguf metadata of every type", "[io][gguf]") {
  const TemporaryFolder folder;
  const Gguf file(folder.write("a.gguf", good()));
  CHECK(file.version() == 3);
  CHECK(file.metadata().size() == 13);
  CHECK(file.integer("u8") == 200);
  CHECK(file.integer("i8") == -3);
  CHECK(file.integer("u16") == 60'000);
  CHECK(file.integer("i16") == -300);
  CHECK(file.integer("u32") == 4'000'000'000);
  CHECK(file.integer("i32") == -70'000);
  CHECK(file.number("f32") == 0.25);
  CHECK(file.number("i32") == -70'000.);
  CHECK(file.boolean("bool"));
  CHECK(file.text("string") == "h\xc3\xa9");
  CHECK(file.number("u64") == 0x1p64);
  CHECK(file.integer("i64") == -(std::int64_t{1} << 40));
  CHECK(file.number("f64") == 0.1);
  const auto nested = file.array("nested");
  REQUIRE(nested.size() == 2);
  const auto& inner = std::get<GgufValue::Array>(nested[0].value);
  REQUIRE(inner.size() == 2);
  CHECK(inner[1].integer() == 7);
  CHECK(file.value("none") == nullptr);
  CHECK_THAT(error_of([&] { file.integer("u23"); }), Catch::Contains("there is no metadata 'u23'; close: "));
  CHECK_THAT(error_of([&] { file.integer("u64"); }),
             Catch::Contains("metadata 'u64' is an unsigned integer, expected an integer that fits"));
  CHECK_THAT(error_of([&] { file.text("f32"); }), Catch::Contains("metadata 'f32' is a number, expected a string"));
}

TEST_CASE("gguf tensors are outermost first and aligned", "[io][gguf]") {
  const TemporaryFolder folder;
  Gguf opened(folder.write("a.gguf", good()));
  const Gguf file = std::move(opened);
  REQUIRE(file.tensors().size() == 3);
  const TensorView& matrix = file.at("matrix");
  CHECK(matrix.shape == std::vector<std::int64_t>{2, 3});
  CHECK(matrix.dtype == DType::f32);
  CHECK(static_cast<char>(matrix.bytes.back()) == 'a');
  CHECK(file.at("blocks").bytes.size() == 68);
  CHECK(static_cast<char>(file.at("blocks").bytes.front()) == 'b');
  CHECK(file.at("brain").dtype == DType::bf16);
  CHECK(file.find("none") == nullptr);
  REQUIRE(file.unread_tensors().size() == 1);
  CHECK(file.unread_tensors()[0].name == "odd");
  CHECK_THAT(error_of([&] { file.at("odd"); }),
             Catch::Contains("tensor 'odd' has Q6_K (type 14), expected one of F32"));
  CHECK_THAT(error_of([&] { file.at("matrx"); }),
             Catch::Contains("there is no tensor 'matrx' among 3; close: 'matrix'"));
}

TEST_CASE("gguf alignment is the file's", "[io][gguf]") {
  const TemporaryFolder folder;
  GgufWriter writer(256);
  writer.key("general.alignment", 4, bytes_of(256u));
  writer.tensor("a", 0, {1}, "aaaa");
  writer.tensor("b", 0, {1}, "bbbb");
  const Gguf file(folder.write("a.gguf", writer.file()));
  CHECK(file.at("b").bytes.data() - file.at("a").bytes.data() == 256);
}

TEST_CASE("hostile gguf files are refused", "[io][gguf]") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& bytes) { return error_of([&] { Gguf{folder.write("bad.gguf", bytes)}; }); };
  const auto with_key = [](std::uint32_t type, const std::string& bytes) {
    GgufWriter writer;
    writer.key("k", type, bytes);
    return writer.file();
  };
  const auto with_tensor = [](std::uint32_t type, std::vector<std::uint64_t> extents, std::uint64_t offset) {
    GgufWriter writer;
    writer.tensor_at("t", type, std::move(extents), offset, std::string(64, 't'));
    return writer.file();
  };
  CHECK_THAT(error(""), Catch::Contains("bad.gguf: the file does not begin with 'GGUF'"));
  CHECK_THAT(error("GGML1234"), Catch::Contains("does not begin with 'GGUF'"));
  CHECK_THAT(error("GGUF" + bytes_of(1u)), Catch::Contains("byte 8: the version is 1, expected 2 or 3"));
  CHECK_THAT(error("GGUF" + bytes_of(3u << 24)), Catch::Contains("(a big-endian file?)"));
  CHECK_THAT(error("GGUF" + bytes_of(3u) + bytes_of(~std::uint64_t{0}) + bytes_of(std::uint64_t{0})),
             Catch::Contains("too many for a file of 24 bytes"));
  CHECK_THAT(error(with_key(13, "")), Catch::Contains("'k' has the value type 13, expected 0 to 12"));
  CHECK_THAT(error(with_key(7, bytes_of(std::uint8_t{2}))), Catch::Contains("the boolean 'k' is 2, expected 0 or 1"));
  CHECK_THAT(error(with_key(8, bytes_of(~std::uint64_t{0}))), Catch::Contains("the file is truncated"));
  CHECK_THAT(error(with_key(9, bytes_of(0u) + bytes_of(~std::uint64_t{0}))),
             Catch::Contains("'k' says it has 18446744073709551615 elements"));
  std::string deep;
  for (int i = 0; i < 9; ++i) deep += bytes_of(9u) + bytes_of(std::uint64_t{1});
  CHECK_THAT(error(with_key(9, deep + std::string(64, '\0'))), Catch::Contains("'k' nests arrays more than 8 deep"));
  CHECK_THAT(error(with_key(9, bytes_of(0u) + bytes_of(std::uint64_t{17'000'000}) + std::string(17'000'000, '\0'))),
             Catch::Contains("more than 16777216 values"));
  CHECK_THAT(error(with_tensor(0, {1, 1, 1, 1, 1}, 0)), Catch::Contains("tensor 't' has 5 axes, expected at most 4"));
  CHECK_THAT(error(with_tensor(0, {17}, 0)),
             Catch::Contains("takes 68 bytes from 0 of 64 bytes of data: the file is truncated"));
  CHECK_THAT(error(with_tensor(0, {1}, 4)), Catch::Contains("lies at 4, expected a multiple of 32"));
  CHECK_THAT(error(with_tensor(0, {1}, std::uint64_t{1} << 40)),
             Catch::Contains("of 64 bytes of data: the file is truncated"));
  CHECK_THAT(error(with_tensor(0, {std::uint64_t{1} << 62, 16}, 0)), Catch::Contains("does not overflow"));
  CHECK_THAT(error(with_tensor(0, {~std::uint64_t{0}}, 0)), Catch::Contains("has an extent of 18446744073709551615"));
  CHECK_THAT(error(with_tensor(8, {31}, 0)),
             Catch::Contains("of q8_0 has the shape (31), expected rows of whole blocks"));
  {
    GgufWriter writer;
    writer.key("general.alignment", 4, bytes_of(24u));
    CHECK_THAT(error(writer.file()), Catch::Contains("general.alignment is 24, expected a power of two"));
    writer.key("general.alignment", 4, bytes_of(32u));
    CHECK_THAT(error(writer.file()), Catch::Contains("'general.alignment' occurs twice"));
  }
  {
    GgufWriter writer;
    writer.tensor_at("a", 0, {9}, 0, std::string(64, 'x'));
    writer.tensor_at("b", 0, {1}, 32, "");
    CHECK_THAT(error(writer.file()), Catch::Contains("two tensors overlap at byte 32"));
    writer.tensor_at("a", 0, {1}, 0, "");
    CHECK_THAT(error(writer.file()), Catch::Contains("tensor 'a' occurs twice"));
  }
}

TEST_CASE("every truncation of a gguf file is refused", "[io][gguf]") {
  const TemporaryFolder folder;
  const std::string whole = good();
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_FALSE(error_of([&] { Gguf{folder.write("cut", whole.substr(0, size))}; }).empty());
}

TEST_CASE("the packaged SmolLM2 file", "[io][gguf]") {
  const char* path = std::getenv("FLAMINGO_SMOLLM2_GGUF");
  if (path == nullptr) {
    WARN("skipped: FLAMINGO_SMOLLM2_GGUF does not name SmolLM2-135M-Instruct.Q4_1.gguf");
    return;
  }
  const Gguf file(path);
  CHECK(file.tensors().size() == 272);
  CHECK(file.unread_tensors().empty());
  CHECK(file.text("general.architecture") == "llama");
  CHECK(file.integer("llama.block_count") == 30);
  CHECK(file.number("llama.rope.freq_base") == 100'000.);
  CHECK(file.at("token_embd.weight").shape == std::vector<std::int64_t>{49'152, 576});
  CHECK(file.at("token_embd.weight").dtype == DType::q8_0);
  CHECK(file.at("blk.0.ffn_down.weight").shape == std::vector<std::int64_t>{576, 1536});
  const TensorView& gate = file.at("blk.29.ffn_gate.weight");
  CHECK(gate.dtype == DType::q4_1);
  std::vector<float> values(static_cast<std::size_t>(gate.count()));
  convert(gate, std::span(values));
  double squares = 0;
  for (float v : values) squares += double{v} * v;
  // The root mean square of a real weight matrix of this size: neither zeros nor misread scales.
  CHECK(std::sqrt(squares / static_cast<double>(values.size())) > 0.01);
  CHECK(std::sqrt(squares / static_cast<double>(values.size())) < 1.0);
}

}  // namespace gguf_test
