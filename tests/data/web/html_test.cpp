#include <flamingo/data/web/html.hpp>

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

namespace html_test {

using namespace flamingo;
using web::Tag;

namespace {

/// Every node as tag(children), texts in quotes.
std::string drawn(const web::HtmlTree& tree, std::uint32_t i = 0) {
  const web::Node& node = tree.nodes[i];
  if (node.tag == Tag::text) return "'" + std::string(node.text) + "'";
  std::string text = std::to_string(static_cast<int>(node.tag));
  if (node.tag == Tag::paragraph) text = "p";
  if (node.tag == Tag::other) text = "i";
  if (node.tag == Tag::root) text = "r";
  if (node.tag == Tag::block) text = "b";
  text += '(';
  for (std::uint32_t k = i + 1; k < node.end; k = tree.nodes[k].end) text += drawn(tree, k);
  return text + ')';
}

std::string problem(const std::string& page, const web::HtmlLimits& limits = {}) {
  web::HtmlParser parser(limits);
  try {
    parser.parse(page, "x.html");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string repeated(std::string_view text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}

}  // namespace

TEST_CASE("broken markup becomes the tree that browsers see", "[html]") {
  web::HtmlParser parser;
  CHECK(drawn(parser.parse("<p>a<p>b<i>c</p>d")) == "r(b()r(p('a')p('b'i('c'))i('d')))");
  CHECK(drawn(parser.parse("<div>a<script>x<p></script><!-- y --><style>z</style>b</div>")) == "r(b()r(b('a''b')))");
  CHECK(drawn(parser.parse("&lt;&eacute;&#x41;")) ==
        "r(b()r('<\xc3\xa9"
        "A'))");
  CHECK(drawn(parser.parse("")) == "r(b()r())");
}

TEST_CASE("subtrees are ranges and parents lie before them", "[html]") {
  web::HtmlParser parser;
  const web::HtmlTree& tree = parser.parse("<ul><li>a<li><b>c</b></ul><table><td>d</table><p>e");
  for (std::uint32_t i = 1; i < tree.nodes.size(); ++i) {
    const web::Node &node = tree.nodes[i], &parent = tree.nodes[node.parent];
    CHECK((node.parent < i && i < node.end && node.end <= parent.end));
  }
  CHECK(tree.nodes[0].end == tree.nodes.size());
}

TEST_CASE("the attributes that extraction reads are kept", "[html]") {
  web::HtmlParser parser;
  const web::HtmlTree& tree = parser.parse("<img SRC='a&amp;b.png' onclick=x data-lazy-src=c hidden>");
  const web::Node& image = tree.nodes.back();
  CHECK(image.tag == Tag::img);
  CHECK(image.attributes == 3);
  CHECK(tree.get(image, web::Attribute::src) == "a&b.png");
  CHECK(tree.get(image, web::Attribute::data_src) == "c");
  CHECK((tree.has(image, web::Attribute::hidden) && !tree.has(image, web::Attribute::alt)));
  CHECK(parser.parse("<picture><source srcset=a><img src=b></picture>").nodes[3].tag == Tag::picture);
  CHECK((web::heading_level(Tag::h1) == 1 && web::heading_level(Tag::h6) == 6 && web::heading_level(Tag::a) == 0));
}

TEST_CASE("pages that cost too much are refused, and the parser goes on", "[html]") {
  CHECK(problem("<p>1234", {.bytes = 5}) == "[html] x.html: the page has 7 bytes, at most 5 are read");
  CHECK(problem(repeated("<div>", 1025)) ==
        "[html] x.html: the page leaves 1025 elements open at a time, at most 1024 are read");
  CHECK(problem(repeated("<p>", 5000)) == "");       // each closes the one before
  CHECK(problem(repeated("<b>x</b>", 5000)) == "");  // closed again
  CHECK(problem(repeated("<div>", 1000)) == "");
  web::HtmlParser parser({.memory = std::size_t{2} << 20});
  // Formatting that is never closed is made anew in each paragraph.
  std::string page = "<p>";
  for (int i = 0; i < 500; ++i) page += "<font size=" + std::to_string(i) + '>';
  page += "</p>" + repeated("<p>x", 1000);
  CHECK_THROWS_WITH(parser.parse(page), "[html] page: the tree of the page takes more than 2097152 bytes");
  CHECK(parser.parse("<p>a").nodes.size() == 5);
}

TEST_CASE("a long attribute is as long as the page may be", "[html]") {
  web::HtmlParser parser;
  const std::string page = "<p title='" + std::string(4'000'000, 'x') + "'>a";
  CHECK(parser.parse(page).nodes.size() == 5);
}

}  // namespace html_test
