#include <catch2/catch.hpp>

#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/io/safetensors.hpp>

#include "files.hpp"

namespace safetensors_test {

using namespace flamingo::io;
using namespace flamingo::tests;

namespace {

std::string file_of(const std::string& header, const std::string& data) {
  return bytes_of(static_cast<std::uint64_t>(header.size())) + header + data;
}

template <class T>
TensorView view(std::string name, DType dtype, std::vector<std::int64_t> shape, const std::vector<T>& values) {
  return {std::move(name), dtype, std::move(shape), std::as_bytes(std::span(values))};
}

std::string as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

TEST_CASE("a hand-made file is read in place", "[io][safetensors]") {
  const TemporaryFolder folder;
  const std::string header =
      R"({"__metadata__":{"k":"v","a":"é"},"second":{"dtype":"I64","shape":[],"data_offsets":[6,14]},)"
      R"("first":{"dtype":"BF16","shape":[3,1],"data_offsets":[0,6]},"none":{"dtype":"F32","shape":[0,5],"data_offsets":[6,6]}}  )";
  Safetensors file(folder.write("a", file_of(header, "abcdef" + bytes_of(std::int64_t{-7}))));
  const Safetensors moved(std::move(file));
  REQUIRE(moved.tensors().size() == 3);
  CHECK(moved.tensors()[0].name == "second");
  CHECK(moved.at("first").dtype == DType::bf16);
  CHECK(moved.at("first").shape == std::vector<std::int64_t>{3, 1});
  CHECK(as_text(moved.at("first").bytes) == "abcdef");
  CHECK(as_text(moved.at("second").bytes) == bytes_of(std::int64_t{-7}));
  CHECK(moved.at("none").bytes.empty());
  CHECK(moved.metadata() == Metadata{{"k", "v"}, {"a", "é"}});
  CHECK(moved.find("third") == nullptr);
  CHECK_THAT(error_of([&] { moved.at("frist"); }),
             Catch::Contains("there is no tensor 'frist' among 3; close: 'first'"));
}

TEST_CASE("what is written is read", "[io][safetensors]") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a.safetensors";
  std::vector<float> floats(35);
  std::iota(floats.begin(), floats.end(), -3.f);
  const std::vector<std::uint8_t> bytes{1, 2, 3};
  const std::vector<double> doubles{0.1, 1e300};
  const std::vector<float> nothing;
  const std::vector<TensorView> tensors{
      view("bytes \"q\"", DType::u8, {3}, bytes), view("floats", DType::f32, {5, 7}, floats),
      view("none", DType::f16, {2, 0}, nothing), view("doubles", DType::f64, {2}, doubles)};
  write_safetensors(path, tensors, {{"note", "line\nline"}});
  const Safetensors file(path);
  CHECK(file.metadata() == Metadata{{"note", "line\nline"}});
  REQUIRE(file.tensors().size() == tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorView& got = file.tensors()[i];
    CHECK(got.name == tensors[i].name);
    CHECK(got.dtype == tensors[i].dtype);
    CHECK(got.shape == tensors[i].shape);
    CHECK(as_text(got.bytes) == as_text(tensors[i].bytes));
    CHECK(reinterpret_cast<std::uintptr_t>(got.bytes.data()) % static_cast<std::uintptr_t>(info(got.dtype).bytes) == 0);
  }
  std::uint64_t length = 0;
  std::memcpy(&length, read_bytes(path).data(), 8);
  CHECK(length % 8 == 0);
  write_safetensors(path, {}, {});
  CHECK(Safetensors(path).tensors().empty());
}

TEST_CASE("nothing is written of tensors that do not fit", "[io][safetensors]") {
  const TemporaryFolder folder;
  const auto path = folder.write("a", "old");
  const std::vector<float> values(6);
  const auto error = [&](std::vector<TensorView> tensors) {
    return error_of([&] { write_safetensors(path, tensors); });
  };
  CHECK_THAT(error({view("t", DType::f32, {7}, values)}), Catch::Contains("it has 24 bytes, but f32 (7) takes 28"));
  CHECK_THAT(error({view("t", DType::f32, {6}, values), view("t", DType::f32, {6}, values)}),
             Catch::Contains("the name is taken"));
  CHECK_THAT(error({view("__metadata__", DType::f32, {6}, values)}), Catch::Contains("the name is taken"));
  CHECK_THAT(error({view("t", DType::q8_0, {32}, values)}), Catch::Contains("the format has no q8_0"));
  CHECK(read_bytes(path) == "old");
}

TEST_CASE("large files are written in shards, piece by piece and in any order", "[io][safetensors]") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "m.safetensors";
  std::vector<float> floats(6);
  std::iota(floats.begin(), floats.end(), 0.f);
  const std::vector<std::int8_t> bytes{1, 2, 3};
  const auto all = std::as_bytes(std::span(floats));
  SafetensorsWriter writer(
      path, {{"a", DType::i8, {3}}, {"b", DType::f32, {2, 3}}, {"c", DType::f32, {6}}, {"none", DType::f16, {0}}},
      {{"format", "pt"}}, 27);
  writer.write(2, all);
  writer.write(1, all.first(7));
  writer.write(0, std::as_bytes(std::span(bytes)));
  CHECK_THAT(error_of([&] { writer.commit(); }),
             Catch::Contains("tensor 'b': it has 7 bytes, but f32 (2, 3) takes 24"));
  CHECK_FALSE(std::filesystem::exists(folder.path() / "m-00001-of-00002.safetensors"));
  CHECK_THAT(error_of([&] { writer.write(1, all); }), Catch::Contains("it has 31 bytes, but f32 (2, 3) takes 24"));
  writer.write(1, all.subspan(7));
  writer.commit();

  const Safetensors first(folder.path() / "m-00001-of-00002.safetensors");
  const Safetensors second(folder.path() / "m-00002-of-00002.safetensors");
  REQUIRE(first.tensors().size() == 2);
  CHECK(first.metadata() == Metadata{{"format", "pt"}});
  CHECK(as_text(first.at("a").bytes) == "\1\2\3");
  CHECK(as_text(first.at("b").bytes) == as_text(all));
  CHECK(reinterpret_cast<std::uintptr_t>(first.at("b").bytes.data()) % 4 == 0);
  CHECK(as_text(second.at("c").bytes) == as_text(all));
  CHECK(second.at("none").bytes.empty());
  const Json index = Json::parse(read_bytes(path.string() + ".index.json"));
  CHECK(index.at("metadata").at("total_size").as_integer() == 51);
  CHECK(index.at("weight_map").at("c").as_string() == "m-00002-of-00002.safetensors");

  // Beside an index, one file of that name would be taken for another model.
  CHECK_THAT(error_of([&] { write_safetensors(path, {}, {}); }),
             Catch::Contains("m.safetensors.index.json: it exists"));
  CHECK_THAT(error_of([&] {
               SafetensorsWriter(folder.path() / "m.bin", {{"a", DType::i8, {3}}, {"b", DType::i8, {3}}}, {}, 3);
             }),
             Catch::Contains("expected a name that ends in .safetensors"));
}

TEST_CASE("a writer that is not committed leaves nothing", "[io][safetensors]") {
  const TemporaryFolder folder;
  { SafetensorsWriter writer(folder.path() / "m.safetensors", {{"a", DType::i8, {3}}, {"b", DType::i8, {3}}}, {}, 3); }
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("hostile safetensors are refused", "[io][safetensors]") {
  const TemporaryFolder folder;
  const auto tensor = [](const std::string& fields) { return file_of("{\"t\":{" + fields + "}}", "abcdefgh"); };
  struct Case {
    std::string bytes, error;
  };
  const Case cases[] = {
      {"", "the file has 0 bytes, expected at least the 8"},
      {"1234567", "the file has 7 bytes"},
      {bytes_of(std::uint64_t{100'000'001}), "the header length is 100000001, at most 100000000"},
      {bytes_of(~std::uint64_t{0}) + "{}", "the header length is 18446744073709551615"},
      {bytes_of(std::uint64_t{3}) + "{}", "the header length is 3 but only 2 bytes follow: the file is truncated"},
      {file_of("", ""), "the header does not begin with '{'"},
      {file_of(" {}", ""), "the header does not begin with '{'"},
      {file_of("{\"a\":", ""), "(header, from byte 8), byte 5: found the end of the text"},
      {file_of("{}", "x"), "no tensor covers bytes 0 to 1 of the data"},
      {file_of("{\"__metadata__\":{\"a\":1}}", ""), "__metadata__ 'a' is an integer, expected a string"},
      {file_of("{\"t\":5}", ""), "tensor 't': got an integer, expected an object"},
      {tensor(R"("shape":[8],"data_offsets":[0,8])"), "'dtype' is missing"},
      {tensor(R"("dtype":"U8","shape":[8],"data_offsets":[0,8],"x":1)"), "it has 4 members, expected exactly"},
      {tensor(R"("dtype":"Q9","shape":[8],"data_offsets":[0,8])"), "its dtype is 'Q9', expected one of"},
      {tensor(R"("dtype":"U8","shape":8,"data_offsets":[0,8])"), "'shape' is an integer, expected an array"},
      {tensor(R"("dtype":"U8","shape":[-8],"data_offsets":[0,8])"),
       "'shape' has an entry -8, expected integers of at least 0"},
      {tensor(R"("dtype":"U8","shape":[8.0],"data_offsets":[0,8])"), "'shape' has an entry 8.0"},
      {tensor(R"("dtype":"U8","shape":[8],"data_offsets":[0,9])"), "within the 8 bytes of data"},
      {tensor(R"("dtype":"U8","shape":[8],"data_offsets":[8,0])"), "its data_offsets are [8, 0]"},
      {tensor(R"("dtype":"U8","shape":[8],"data_offsets":[0,99999999999999999999])"), "'data_offsets' has an entry"},
      {tensor(R"("dtype":"U8","shape":[8],"data_offsets":[0,8,8])"), "it has 3 data_offsets, expected 2"},
      {tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,8])"), "span 8 bytes, but f32 (1) takes 4"},
      {tensor(R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0])"), "overflows"},
      {file_of(
           R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
           "abcd"),
       "two tensors overlap at byte 2"},
      {file_of(
           R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
           "abcd"),
       "no tensor covers bytes 1 to 2"},
      {file_of(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "abcd"), "no tensor covers bytes 2 to 4"},
      {file_of(
           R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
           ""),
       "the member name 'a' again"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.bytes.substr(c.bytes.size() < 8 ? 0 : 8));
    const auto path = folder.write("bad", c.bytes);
    CHECK_THAT(error_of([&] { Safetensors{path}; }), Catch::Contains(path.string()) && Catch::Contains(c.error));
  }
}

TEST_CASE("every truncation of a file is refused", "[io][safetensors]") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a";
  const std::vector<float> values(7, 1.f);
  write_safetensors(path, std::vector{view("t", DType::f32, {7}, values)});
  const std::string whole = read_bytes(path);
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_FALSE(error_of([&] { Safetensors(folder.write("cut", whole.substr(0, size))); }).empty());
}

}  // namespace safetensors_test
