#include <flamingo/data/interleaved.hpp>

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace interleaved_test {

using namespace flamingo;

namespace {

InterleavedDocument page() {
  InterleavedDocument page{.id = "7", .url = "http://a.org/b.html", .title = "Cats", .license = "CC0"};
  page.text("Two cats.")
      .image({.name = "x.png",
              .url = "http://a.org/x.png",
              .alt = "a cat",
              .caption = "One.",
              .width = 65,
              .height = 67,
              .hash = 0xfedcba9876543210u});
  return page.image({.name = "y.jpg"}).text("\"End\"\n");
}

std::string problem(const std::string& json) {
  try {
    InterleavedDocument::of(io::Json::parse(json), "line 3");
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a record comes back from its JSON", "[interleaved]") {
  const std::string line = page().json().dump();
  CHECK(line.find('\n') == std::string::npos);
  CHECK(line.find("\"texts\":[\"Two cats.\",null,null,") != std::string::npos);
  CHECK(line.find("\"images\":[null,\"x.png\",\"y.jpg\",null]") != std::string::npos);
  CHECK(InterleavedDocument::of(io::Json::parse(line)) == page());
}

TEST_CASE("a record is a document", "[interleaved]") {
  const Document document = page().document();
  REQUIRE(document.parts().size() == 4);
  CHECK(document.parts()[0].text == "Two cats.");
  CHECK(document.media().size() == 2);
  CHECK(document.media()[1]->frames == std::vector<std::string>{"y.jpg"});
}

TEST_CASE("records of others need texts and images alone", "[interleaved]") {
  const auto other =
      InterleavedDocument::of(io::Json::parse(R"({"images": ["a", null], "texts": [null, "b"], "metadata": "[]"})"));
  CHECK((other.parts.size() == 2 && other.images[0].name == "a" && other.parts[1].text == "b"));
}

TEST_CASE("broken records are refused with their place", "[interleaved]") {
  CHECK(problem(R"({"images": ["a"], "texts": [null, "b"]})") ==
        "[record] line 3: it has 2 texts and 1 images, expected lists of one length");
  CHECK(problem(R"({"images": ["a"], "texts": ["b"]})") ==
        "[record] line 3: part 0 is both text and image, expected one of them");
  CHECK(problem(R"({"images": [null], "texts": [null]})") ==
        "[record] line 3: part 0 is neither text nor image, expected one of them");
  CHECK(problem(R"({"images": ["a"], "texts": [null], "metadata": [{"hash": "12"}]})") ==
        "[record] line 3: the hash '12' is not 16 hexadecimal digits");
  CHECK(problem(R"({"images": ["a"], "texts": [null], "metadata": [{"width": -1}]})") ==
        "[record] line 3: part 0 has the width -1, expected pixels");
  CHECK(problem(R"({"texts": []})").find("there is no member 'images'") != std::string::npos);
}

}  // namespace interleaved_test
