#include <flamingo/data/web/url.hpp>

#include <catch2/catch.hpp>
#include <string>

namespace url_test {

using namespace flamingo::web;

TEST_CASE("references are resolved as RFC 3986 does", "[url]") {
  const std::string base = "http://a/b/c/d;p?q";
  // Section 5.4, without fragments.
  CHECK(resolve_url(base, "g:h") == "g:h");
  CHECK(resolve_url(base, "g") == "http://a/b/c/g");
  CHECK(resolve_url(base, "./g") == "http://a/b/c/g");
  CHECK(resolve_url(base, "g/") == "http://a/b/c/g/");
  CHECK(resolve_url(base, "/g") == "http://a/g");
  CHECK(resolve_url(base, "//g") == "http://g/");
  CHECK(resolve_url(base, "?y") == "http://a/b/c/d;p?y");
  CHECK(resolve_url(base, "g?y#s") == "http://a/b/c/g?y");
  CHECK(resolve_url(base, ".") == "http://a/b/c/");
  CHECK(resolve_url(base, "..") == "http://a/b/");
  CHECK(resolve_url(base, "../g") == "http://a/b/g");
  CHECK(resolve_url(base, "../..") == "http://a/");
  CHECK(resolve_url(base, "../../../../g") == "http://a/g");
  CHECK(resolve_url(base, "g;x=1/../y") == "http://a/b/c/y");
  CHECK(resolve_url(base, "") == "");
  CHECK(resolve_url(base, "#only") == "");
}

TEST_CASE("what browsers forgive is forgiven", "[url]") {
  CHECK(resolve_url("file://manual/en/x.html", " images\\a b.png\n") == "file://manual/en/images/a%20b.png");
  CHECK(resolve_url("http://a", "x.png") == "http://a/x.png");
  CHECK(resolve_url("HTTP://A/b", "HTTPS://C/d\te") == "https://C/de");
  CHECK(resolve_url("http://a/b", "data:image/png;base64,AAAA") == "data:image/png;base64,AAAA");
}

TEST_CASE("percent signs without digits stay", "[url]") {
  CHECK(percent_decoded("a%20b%2Fc%zz%4") == "a b/c%zz%4");
  CHECK(percent_decoded("%41") == "A");
}

TEST_CASE("data addresses hold bytes", "[url]") {
  CHECK(data_url_bytes("data:image/png;base64,aGVs bG8%3D") == "hello");
  CHECK(data_url_bytes("DATA:,a%20b") == "a b");
  CHECK(data_url_bytes("data:;base64,_-8") == "\xff\xef");
  CHECK(!data_url_bytes("data:image/png;base64,a*b"));
  CHECK(!data_url_bytes("data:nothing"));
  CHECK(!data_url_bytes("http://a/,b"));
}

}  // namespace url_test
