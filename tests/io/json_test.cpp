#include <catch2/catch.hpp>

#include <cstdint>
#include <limits>
#include <string>

#include <flamingo/io/json.hpp>

#include "files.hpp"

namespace json_test {

using namespace flamingo::io;
using flamingo::tests::error_of;

TEST_CASE("json keeps order, types and exact integers", "[io][json]") {
  const Json json = Json::parse(R"( {"b": [1, -2.5, 1e3, true, false, null, ""], "a": {"x": -9223372036854775808},
    "big": 9223372036854775807, "bigger": 9223372036854775808, "minus": -0} )");
  const auto& members = json.as_object();
  REQUIRE(members.size() == 5);
  CHECK(members[0].name == "b");
  CHECK(members[1].name == "a");
  const auto& list = json.at("b").as_array();
  REQUIRE(list.size() == 7);
  CHECK(list[0].is_integer());
  CHECK(list[0].as_integer() == 1);
  CHECK(list[1].as_double() == -2.5);
  CHECK_FALSE(list[2].is_integer());
  CHECK(list[2].as_integer() == 1000);
  CHECK(list[3].as_bool());
  CHECK(list[5].is_null());
  CHECK(json.at("a").at("x").as_integer() == std::numeric_limits<std::int64_t>::min());
  CHECK(json.at("big").as_integer() == std::numeric_limits<std::int64_t>::max());
  CHECK_FALSE(json.at("bigger").is_integer());
  CHECK(json.at("bigger").as_double() == 0x1p63);
  CHECK(std::signbit(json.at("minus").as_double()));
  CHECK(json.find("none") == nullptr);
}

TEST_CASE("json strings", "[io][json]") {
  CHECK(Json::parse(R"("a\"\\\/\b\f\n\r\tA\u00e9\ud83d\ude00\u0000z")").as_string() ==
        std::string("a\"\\/\b\f\n\r\tA\xc3\xa9\xf0\x9f\x98\x80\0z", 18));
  CHECK(Json::parse("\"\xe6\x97\xa5\"").as_string() == "\xe6\x97\xa5");
}

TEST_CASE("json writes what it reads", "[io][json]") {
  const Json json(
      Json::Object{{"z", Json(Json::Array{Json(3.0), Json(0.1), Json(-5), Json("q\"\\\n\x01\xc3\xa9"), Json()})},
                   {"a", Json(true)},
                   {"empty", Json(Json::Object{})}});
  CHECK(json.dump() == "{\"z\":[3.0,0.1,-5,\"q\\\"\\\\\\n\\u0001\xc3\xa9\",null],\"a\":true,\"empty\":{}}");
  CHECK(Json::parse(json.dump()) == json);
  CHECK(Json::parse(json.dump(2)) == json);
  CHECK(Json::parse("[1,{\"a\":2}]").dump(2) == "[\n  1,\n  {\n    \"a\": 2\n  }\n]");
  for (double value : {1e300, 5e-324, 123456789.125, -1e22})
    CHECK(Json::parse(Json(value).dump()).as_double() == value);
  CHECK_THAT(error_of([] { Json(std::numeric_limits<double>::infinity()).dump(); }), Catch::Contains("finite"));
  CHECK_THAT(error_of([] { Json("\xff").dump(); }), Catch::Contains("not UTF-8"));
}

TEST_CASE("json refuses what is not JSON, with its place", "[io][json]") {
  struct Case {
    std::string text, error;
  };
  const Case cases[] = {
      {"", "byte 0: found the end of the text, expected a value"},
      {"  ", "byte 2: found the end of the text, expected a value"},
      {"[1,]", "byte 3: found ']', expected a value"},
      {"[1 2]", "byte 3: found '2', expected ',' or ']'"},
      {"[1", "byte 2: found the end of the text, expected ',' or ']'"},
      {"{\"a\" 1}", "byte 5: found '1', expected ':'"},
      {"{\"a\":1,}", "byte 7: found '}', expected a member name in quotes"},
      {"{a:1}", "byte 1: found 'a', expected a member name in quotes or '}'"},
      {"{\"a\":1,\"b\":2,\"a\":3}", "byte 13: found the member name 'a' again, expected each name once"},
      {"01", "byte 1: found '1', expected no digit after a leading 0"},
      {"-", "byte 1: found the end of the text, expected a digit"},
      {"1.", "byte 2: found the end of the text, expected a digit"},
      {"1e+", "byte 3: found the end of the text, expected a digit"},
      {"+1", "byte 0: found '+', expected a value"},
      {".5", "byte 0: found '.', expected a value"},
      {"NaN", "byte 0: found 'N', expected a value"},
      {"1e999", "byte 0: found the number 1e999, expected one that a double can hold"},
      {"tru", "byte 0: found 't', expected a value"},
      {"1 x", "byte 2: found 'x', expected the end of the text"},
      {"\"abc", "byte 4: found the end of the text, expected '\"' to end the string of byte 0"},
      {"\"a\nb\"", "byte 2: found byte 0x0a, expected no control character inside a string"},
      {"\"\\x\"", "byte 2: found 'x', expected one of"},
      {"\"\\u12g4\"", "byte 5: found 'g', expected four hexadecimal digits"},
      {"\"\\ud800\"", "byte 7: found '\"', expected '\\u' and a low surrogate"},
      {"\"\\ud800\\u0041\"", "byte 1: found a high surrogate, expected a low surrogate after it"},
      {"\"\\udc00\"", "byte 1: found a low surrogate, expected a high surrogate before it"},
      {"\"\xc0\x80\"", "byte 1: found byte 0xc0, expected valid UTF-8"},
      {"\"\xed\xa0\x80\"", "byte 1: found byte 0xed, expected valid UTF-8"},
      {"\"\xf4\x90\x80\x80\"", "expected valid UTF-8"},
      {"\"\xe6\x97\"", "expected valid UTF-8"},
      {std::string("\0", 1), "byte 0: found byte 0x00, expected a value"},
      {"/* no */ 1", "byte 0: found '/', expected a value"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK_THAT(error_of([&] { Json::parse(c.text, "a.json"); }),
               Catch::Contains("[json] a.json, byte ") && Catch::Contains(c.error));
  }
}

TEST_CASE("json limits", "[io][json]") {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK_NOTHROW(Json::parse(nested(64)));
  CHECK_THAT(error_of([&] { Json::parse(nested(65)); }),
             Catch::Contains("byte 64: found nesting level 65, expected at most 64"));
  CHECK_THAT(error_of([&] { Json::parse(std::string(1'000'000, '[')); }), Catch::Contains("nesting level 65"));
  CHECK_THAT(error_of([] { Json::parse("[1,2,3]", "t", {.values = 3}); }), Catch::Contains("found value number 4"));
  CHECK_THAT(error_of([] { Json::parse("[1,2,3]", "t", {.bytes = 6}); }), Catch::Contains("has 7 bytes, at most 6"));
}

TEST_CASE("json accessors say what was got", "[io][json]") {
  const Json json = Json::parse("{\"a\": [1.5], \"b\": \"x\"}");
  CHECK(error_of([&] { json.at("c"); }) == "[json] there is no member 'c', expected one of: a, b");
  CHECK(error_of([&] { json.at("b").as_integer(); }) == "[json] got a string, expected an integer");
  CHECK(error_of([&] { json.at("a").as_array()[0].as_integer(); }) == "[json] got the number 1.5, expected an integer");
  CHECK(error_of([&] { json.at("a").at("b"); }) == "[json] got an array, expected an object");
}

}  // namespace json_test
