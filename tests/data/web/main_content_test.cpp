#include <flamingo/data/web/main_content.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include <flamingo/data/web/charset.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace main_content_test {

using namespace flamingo;
using namespace flamingo::web;

namespace {

MainContent content(const std::string& page) {
  HtmlParser parser;
  ContentFinder finder;
  return finder.find(parser.parse(page));
}
std::string prose(int sentences) {
  std::string text;
  for (int i = 0; i < sentences; ++i) text += "This is sentence " + std::to_string(i) + " of the matter of the page. ";
  return text;
}

/// Words and how often each occurs: runs of letters, digits and what is beyond ASCII.
std::map<std::string, int> words_of(std::string_view text) {
  std::map<std::string, int> words;
  std::string word;
  for (const char c : std::string(text) + ' ') {
    const bool part = (c & 0x80) || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    if (part) {
      word += static_cast<char>(c >= 'A' && c <= 'Z' ? c | 32 : c);
    } else if (!word.empty()) {
      ++words[word];
      word.clear();
    }
  }
  return words;
}

double f1(std::string_view found, std::string_view expected) {
  const auto a = words_of(found), b = words_of(expected);
  double common = 0, sum = 0;
  for (const auto& [word, count] : a) {
    sum += count;
    if (const auto other = b.find(word); other != b.end()) common += std::min(count, other->second);
  }
  for (const auto& [word, count] : b) sum += count;
  return sum > 0 ? 2 * common / sum : 0;
}

}  // namespace

TEST_CASE("navigation around the matter is left out", "[main_content]") {
  const std::string page =
      "<body><nav><a href=a>Home</a></nav><div class='left-menu'>Menu text</div><div><h1>Cats</h1><p>" + prose(3) +
      "</p><ul><li><a href=b>Dogs</a><li><a href=c>Birds</a></ul><p hidden>Not seen.</p></div><footer>Imprint</footer>";
  CHECK(content(page).text == "Cats\n\n" + prose(3).substr(0, prose(3).size() - 1));
}

TEST_CASE("a name is not believed where most of the page lies inside", "[main_content]") {
  CHECK(content("<body class='with-sidebar menu'><p>" + prose(2)).text.starts_with("This is sentence 0"));
  CHECK(content("<div class=sidebar><p>" + prose(2) + "</div><p>" + prose(5)).text.find("0") <
        content("<p>" + prose(5)).text.size());
}

TEST_CASE("pictures stand where they stood, also within a paragraph", "[main_content]") {
  const MainContent page =
      content("<article><p>Before<img src=a.png alt=' A  cat '> after.</p><img src=b.png><p>End.</article>");
  CHECK(page.text == "Before after.\n\nEnd.");
  REQUIRE(page.images.size() == 2);
  CHECK((page.images[0].source == "a.png" && page.images[0].alt == "A cat"));
  CHECK(page.text.substr(0, page.images[0].offset) == "Before");
  CHECK(page.text.substr(page.images[1].offset).find("End.") != std::string::npos);
}

TEST_CASE("captions are those of figures", "[main_content]") {
  const MainContent page = content(
      "<main><figure><img src=a.png><figcaption>One <b>cat</b>.</figcaption></figure>"
      "<div class=figure><p class=title>Two.</p><div><img src=b.png></div></div><p>" +
      prose(3) + "</p><img src=c.png></main>");
  REQUIRE(page.images.size() == 3);
  CHECK(page.images[0].caption == "One cat.");
  CHECK(page.images[1].caption == "Two.");
  CHECK(page.images[2].caption == "");
}

TEST_CASE("what noscript repeats is one picture", "[main_content]") {
  const MainContent page = content("<p>a<img src='data:,' data-src=x.png><noscript><img src=x.png></noscript>b");
  CHECK(page.images.size() == 1);
}

TEST_CASE("lists, rows and code keep their lines", "[main_content]") {
  const MainContent page =
      content("<main><ul><li>a<li>b</ul><table><tr><td>1<td>2<tr><td>3<td>4</table><pre>\nx\n  y\n</pre>c<br>d</main>");
  CHECK(page.text == "- a\n- b\n\n1\t2\n3\t4\n\nx\n  y\n\nc\nd");
}

TEST_CASE("a heading without anything under it goes", "[main_content]") {
  const MainContent page = content(
      "<main><h1>T</h1><h2>A</h2><p>text</p><h2>See</h2><ul><li><a href=x>link</a></ul><h2>B</h2><h3>C</h3><img "
      "src=a.png></main>");
  CHECK(page.text == "T\n\nA\n\ntext\n\nB\n\nC");
}

TEST_CASE("titles lose the site's name", "[main_content]") {
  CHECK(content("<title>Cats - Site</title><h1>Cats</h1><p>a").title == "Cats");
  CHECK(content("<title>On cats | The Site</title><p>a").title == "On cats");
  CHECK(content("<title>x</title><meta property=og:title content='On cats'><p>a").title == "On cats");
  CHECK(content("<title>Site | On cats</title><h1>1 On cats</h1><p>a").title == "On cats");
  CHECK(content("<h1>Alone</h1><p>a").title == "Alone");
}

TEST_CASE("the head tells language, base and licence", "[main_content]") {
  const MainContent page = content("<html lang=en-GB><base href='/x/'><link rel=license href='http://cc/by'><p>a");
  CHECK((page.language == "en-GB" && page.base == "/x/" && page.license == "http://cc/by"));
}

TEST_CASE("empty and strange pages have no matter", "[main_content]") {
  CHECK(content("").text == "");
  CHECK(content("<body class=nav>").text == "");
  CHECK(content("<img src=x>").images.size() == 1);
}

TEST_CASE("hand-checked pages keep their text", "[main_content]") {
  // tests/check/pages.py compares the same figure with trafilatura's.
  double sum = 0;
  int pages = 0;
  for (const auto& entry : std::filesystem::directory_iterator(FLAMINGO_TEST_DATA "/fixtures/pages")) {
    if (entry.path().extension() != ".html") continue;
    std::filesystem::path marked = entry.path();
    marked.replace_extension(".txt");
    const std::string found = content(to_utf8(io::MappedFile(entry.path()).text())).text;
    const double f = f1(found, io::MappedFile(marked).text());
    CAPTURE(entry.path().filename().string(), f);
    CHECK(f > 0.7);
    sum += f;
    ++pages;
  }
  CHECK(pages == 30);
  CHECK(sum / pages > 0.96);
}

}  // namespace main_content_test
