#include <flamingo/data/web/image_source.hpp>

#include <catch2/catch.hpp>
#include <string>

namespace image_source_test {

using namespace flamingo::web;

namespace {

std::string source(const std::string& markup) {
  HtmlParser parser;
  const HtmlTree& tree = parser.parse(markup);
  for (std::uint32_t i = 0; i < tree.nodes.size(); ++i)
    if (tree.nodes[i].tag == Tag::img) return std::string(image_source(tree, i));
  return "none";
}

}  // namespace

TEST_CASE("the widest candidate within the limit is the best", "[image_source]") {
  CHECK(best_of_srcset("a.png 320w, b.png 1000w, c.png 2000w") == "b.png");
  CHECK(best_of_srcset("c.png 3000w, d.png 2000w") == "d.png");  // none fits: the narrowest
  CHECK(best_of_srcset("a.png, b.png 1.5x, c.png 3x") == "b.png");
  CHECK(best_of_srcset(" a.png , ,b.png 2x ") == "b.png");
  CHECK(best_of_srcset("data:image/png;base64,AA== 1x") == "data:image/png;base64,AA==");
  CHECK(best_of_srcset("a.png nonsense") == "a.png");
  CHECK(best_of_srcset(" , ") == "");
}

TEST_CASE("what scripts load late is found", "[image_source]") {
  CHECK(source("<img src=a.png>") == "a.png");
  CHECK(source("<img src='data:image/gif;base64,R0lGOD' data-src=b.png>") == "b.png");
  CHECK(source("<img src=grey.gif data-original=c.png>") == "c.png");
  CHECK(source("<img src=small.png srcset='big.png 800w'>") == "big.png");
  CHECK(source("<img data-srcset='x.png 100w, y.png 200w' src=a.png>") == "y.png");
  CHECK(source("<img>") == "");
}

TEST_CASE("a picture's sources serve where img has none", "[image_source]") {
  CHECK(
      source(
          "<picture><source type=image/webp srcset=a.webp><source type=image/jpeg srcset='b.jpg 1x'><img></picture>") ==
      "b.jpg");
  CHECK(source("<picture><source srcset=a.webp><img src=b.jpg></picture>") == "b.jpg");
}

}  // namespace image_source_test
