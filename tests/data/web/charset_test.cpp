#include <flamingo/data/web/charset.hpp>

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

namespace charset_test {

using namespace flamingo;
using namespace std::string_view_literals;

TEST_CASE("a byte order mark decides before anything else", "[charset]") {
  CHECK(web::to_utf8("\xef\xbb\xbf\xc3\xa9", "text/html; charset=iso-8859-1") == "\xc3\xa9");
  CHECK(web::to_utf8("\xff\xfe\xe9\x00\x3d\xd8\x00\xde"sv) == "\xc3\xa9\xf0\x9f\x98\x80");
  CHECK(web::to_utf8("\xfe\xff\x00\xe9\x00"sv) == "\xc3\xa9\xef\xbf\xbd");
  CHECK(web::to_utf8("\xff\xfe\x00\xd8\x41\x00"sv) ==
        "\xef\xbf\xbd"
        "A");  // half a pair
}

TEST_CASE("the header decides before the page, the page before the guess", "[charset]") {
  const std::string page = "<meta charset='windows-1251'>\xcf";
  CHECK(web::to_utf8(page).ends_with("\xd0\x9f"));
  CHECK(web::to_utf8(page, "text/html; charset=ISO-8859-1").ends_with("\xc3\x8f"));
  CHECK(web::to_utf8("<META http-equiv=Content-Type content=\"text/html; CharSet = Shift_JIS\">\x83\x41")
            .ends_with("\xe3\x82\xa2"));
  CHECK(web::to_utf8("<?xml version=\"1.0\" encoding=\"koi8-r\"?>\xc1").ends_with("\xd0\xb0"));
  CHECK(web::to_utf8("<meta charset=utf-16>\xc3\xa9").ends_with("\xc3\xa9"));  // it was read as ASCII
  CHECK(web::to_utf8("\xe9\x00"sv, "text/html; charset=utf-16le") == "\xc3\xa9");
}

TEST_CASE("without a word UTF-8 is UTF-8 and the rest is windows-1252", "[charset]") {
  CHECK(web::to_utf8("na\xc3\xafve") == "na\xc3\xafve");
  CHECK(web::to_utf8("\x93na\xefve\x94 \x80") == "\xe2\x80\x9cna\xc3\xafve\xe2\x80\x9d \xe2\x82\xac");
  CHECK(web::to_utf8("<meta charset=no-such-thing>\xe9").ends_with("\xc3\xa9"));
  CHECK(web::to_utf8("<meta charset=../../x>\xe9").ends_with("\xc3\xa9"));
}

TEST_CASE("broken bytes are marked, never an error", "[charset]") {
  CHECK(web::to_utf8("<meta charset=utf-8>a\xff"
                     "b")
            .ends_with("a\xef\xbf\xbd"
                       "b"));
  CHECK(web::to_utf8("\x81", "text/html; charset=gbk") == "\xef\xbf\xbd");
  CHECK(web::to_utf8("") == "");
}

TEST_CASE("charsets are found in headers however they are written", "[charset]") {
  CHECK(web::charset_of("text/html;CHARSET = \"UTF-8\" ; x") == "utf-8");
  CHECK(web::charset_of("text/html; charset") == "");
  CHECK(web::charset_of("charset charset=latin1") == "latin1");
  CHECK(web::encoding_of_label(" Latin1 ") == "windows-1252");
  CHECK(web::encoding_of_label("tis-620") == "cp874");
}

}  // namespace charset_test
