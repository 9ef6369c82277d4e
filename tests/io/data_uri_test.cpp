#include <flamingo/io/data_uri.hpp>

#include <catch2/catch.hpp>

namespace data_uri_test {

using namespace flamingo::io;

TEST_CASE("base64 is RFC 4648's", "[io][data_uri]") {
  CHECK(base64("").empty());
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64(std::string_view("\xff\xfe\0\x3f", 4)) == "//4APw==");
  CHECK(data_uri("image/png", "fo") == "data:image/png;base64,Zm8=");
}

}  // namespace data_uri_test
