#include <flamingo/data/web/extract.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <flamingo/core/random.hpp>

namespace extract_test {

using namespace flamingo;
using namespace flamingo::web;
namespace fs = std::filesystem;

namespace {

const fs::path pictures = FLAMINGO_TEST_DATA "/fixtures/images";

/// Function words and random others: long enough for the rules, different for each seed.
std::string prose(std::uint64_t seed, int words = 120) {
  constexpr std::array<const char*, 12> small_words{"the", "of",   "and", "with", "that", "is",
                                                    "to",  "have", "in",  "for",  "was",  "it"};
  Random random(seed, 11);
  std::string text;
  for (int i = 0; i < words; ++i) {
    if (random.uniform() < 0.4f) {
      text += small_words[static_cast<std::size_t>(random.below(12))];
    } else {
      for (int k = 0; k < 6; ++k) text += static_cast<char>('a' + random.below(26));
    }
    text += ' ';
  }
  return text;
}

struct TestSite {
  fs::path path;
  explicit TestSite(const std::string& name)
      : path(fs::temp_directory_path() / ("flamingo_extract_" + name + std::to_string(::getpid()))) {
    fs::remove_all(path);
    fs::create_directories(path / "site");
    for (const char* picture : {"coffee.jpg", "cat.png", "rocket_rgba.png"})
      fs::copy_file(pictures / picture, path / "site" / picture);
  }
  ~TestSite() { fs::remove_all(path); }
  void page(const std::string& name, const std::string& body) const {
    std::ofstream(path / "site" / name) << "<title>" << name << "</title><body><main>" << body << "</main>";
  }
  ExtractionReport extract(const std::string& output, const ExtractionOptions& options = {}) const {
    return Extraction({path / "site"}, path / output, options).run();
  }
  std::vector<InterleavedDocument> documents(const std::string& output) const {
    std::vector<InterleavedDocument> result;
    std::map<std::string, bool> files;
    for (const auto& entry : fs::directory_iterator(path / output))
      if (entry.path().extension() == ".jsonl") files[entry.path().string()] = true;
    for (const auto& [file, unused] : files) {
      std::ifstream lines(file);
      for (std::string line; std::getline(lines, line);)
        result.push_back(InterleavedDocument::of(io::Json::parse(line)));
    }
    return result;
  }
  /// All that an extraction leaves: names and contents.
  std::map<std::string, std::string> all(const std::string& output) const {
    std::map<std::string, std::string> result;
    for (const auto& entry : fs::recursive_directory_iterator(path / output))
      if (entry.is_regular_file())
        result[entry.path().lexically_relative(path / output).string()] =
            std::string(io::MappedFile(entry.path()).text());
    return result;
  }
};

/// A site with something for each rule.
void fill(const TestSite& site) {
  for (std::uint64_t i = 0; i < 9; ++i)
    site.page("good" + std::to_string(i) + ".html", "<h1>Page</h1><p>" + prose(i) +
                                                        "<p><img src=coffee.jpg alt='A cup'><p>" + prose(100 + i) +
                                                        "<img src=cat.png>");
  site.page("near.html", "<h1>Page</h1><p>" + prose(3) + "<p><img src=coffee.jpg><p>" + prose(103) + "one more.");
  site.page("none.html", "<p>" + prose(50) + "<img src=none.png>");
  site.page("short.html", "<p>Too short.");
  site.page("german.html",
            "<p>" + std::string("Die Katze und der Hund sind auf dem Weg nach Hause, aber das ist nicht so wichtig. ") +
                "Das ist ein Text, der aus sich selbst heraus nicht viel sagt, weil er nur von der Sprache handelt. Er "
                "ist auch noch kurz, und das ist gut so, denn mehr als nur ein paar Zeilen werden hier nicht gelesen "
                "oder beachtet.");
  std::string deep;
  for (int i = 0; i < 2000; ++i) deep += "<div>";
  site.page("deep.html", deep);
}

}  // namespace

TEST_CASE("documents come out of pages, and every page and picture is counted", "[extract]") {
  const TestSite site("rules");
  fill(site);
  const ExtractionReport report = site.extract("out");
  CHECK(report.pages.count("kept") == 9);
  CHECK(report.pages.count("near_duplicate") == 1);
  CHECK(report.pages.count("no_images") == 1);
  CHECK(report.pages.count("too_few_words") == 1);
  CHECK(report.pages.count("not_english") == 1);
  CHECK(report.pages.count("unreadable") == 1);
  CHECK(report.pages.total() == 14);
  CHECK(report.images.count("missing") == 1);
  CHECK(report.images.count("too_small") + report.images.count("kept") == 19);
  const auto documents = site.documents("out");
  REQUIRE(documents.size() == 9);
  CHECK(documents[0].url == "file://site/good0.html");
  CHECK(documents[0].title == "good0.html");
  CHECK(documents[0].parts[0].text.starts_with("good0.html\n\nPage\n\n"));
  REQUIRE(documents[0].parts.size() >= 3);
  CHECK(documents[0].parts[1].image == 0);
  CHECK(documents[0].images[0].url == "file://site/coffee.jpg");
  CHECK(documents[0].images[0].alt == "A cup");
  CHECK(fs::exists(site.path / "out" / "images" / documents[0].images[0].name));
  CHECK(ExtractionReport::of(io::Json::parse(site.all("out").at("report.json"))).json() == report.json());
}

TEST_CASE("a picture on many pages of a site is decoration", "[extract]") {
  const TestSite site("decoration");
  fill(site);
  ExtractionOptions options;
  options.most_pages_of_image = 8;
  options.images.rules.least_edge = 16;
  const ExtractionReport report = site.extract("out", options);
  CHECK(report.images.count("decoration") == 18);
  CHECK(report.pages.count("no_images") == 10);
  options.images_needed = false;
  CHECK(site.extract("all", options).pages.count("kept") == 10);
  for (const auto& document : site.documents("all")) CHECK(document.images.empty());
  options.most_pages_of_image = 9;
  options.counting_memory = 40;  // many passes
  CHECK(site.extract("more", options).images.count("decoration") == 0);
}

TEST_CASE("alt texts become texts where that is asked for", "[extract]") {
  const TestSite site("alt");
  site.page("a.html", "<p>" + prose(1) +
                          "<p><img src=coffee.jpg alt='A cup'><figure><img src=rocket_rgba.png alt='A "
                          "rocket'><figcaption>Start.</figcaption></figure>");
  const auto texts = [&](AltText alt, const std::string& output) {
    ExtractionOptions options;
    options.alt = alt;
    site.extract(output, options);
    std::string all;
    const InterleavedDocument document = site.documents(output).at(0);
    for (const auto& part : document.parts) all += part.image < 0 ? '|' + part.text : "#";
    return all.substr(all.find('#'));
  };
  CHECK(texts(AltText::drop, "no") == "##|Start.");
  CHECK(texts(AltText::without_caption, "lone") == "#|A cup#|Start.");
  CHECK(texts(AltText::always, "always") == "#|A cup#|A rocket|Start.");
}

TEST_CASE("neither processes nor a kill change what comes out", "[extract]") {
  const TestSite site("kill");
  fill(site);
  ExtractionOptions options;
  options.pages_a_shard = 2;
  site.extract("one", options);
  const auto expected = site.all("one");
  options.processes = 3;
  site.extract("three", options);
  CHECK(site.all("three") == expected);

  // Killed again and again, each time a little later, it arrives at the same.
  options.processes = 2;
  bool finished = false;
  for (int wait = 1; !finished; wait += 3) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        site.extract("killed", options);
        ::_exit(0);
      } catch (...) {
        ::_exit(1);
      }
    }
    ::usleep(static_cast<useconds_t>(wait) * 3000);
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    finished = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    REQUIRE((finished || WIFSIGNALED(status)));
    ::usleep(5000);  // its children end after it
  }
  CHECK(site.all("killed") == expected);
}

TEST_CASE("a folder with another extraction is refused", "[extract]") {
  const TestSite site("other");
  site.page("a.html", "<p>" + prose(1) + "<img src=coffee.jpg>");
  site.extract("out");
  ExtractionOptions options;
  options.page.text.least_words = 40;
  CHECK_THROWS_WITH(site.extract("out", options),
                    Catch::Contains("it holds an extraction of other inputs or with other options"));
  CHECK(site.extract("out").pages.count("kept") == 1);
}

TEST_CASE("archives give the documents that their pages give", "[extract]") {
  const TestSite site("warc");
  fs::create_directory(site.path / "archives");
  std::ofstream archive(site.path / "archives" / "a.warc", std::ios::binary);
  const auto response = [&](const std::string& url, const std::string& type, const std::string& body) {
    const std::string block = "HTTP/1.1 200 OK\r\nContent-Type: " + type + "\r\n\r\n" + body;
    archive << "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: " << url << "\r\nContent-Length: " << block.size()
            << "\r\n\r\n"
            << block << "\r\n\r\n";
  };
  response("http://a.org/x/page", "text/html; charset=iso-8859-1",
           "<title>Caf\xe9</title><base href='/'><p>" + prose(1) + "<p><img src='coffee.jpg'>");
  response("http://a.org/coffee.jpg", "image/jpeg", std::string(io::MappedFile(pictures / "coffee.jpg").text()));
  response("http://a.org/style.css", "text/css", "p {}");
  archive.close();
  const ExtractionReport report = Extraction({site.path / "archives"}, site.path / "out").run();
  CHECK((report.pages.total() == 1 && report.pages.count("kept") == 1));
  const auto documents = site.documents("out");
  REQUIRE(documents.size() == 1);
  CHECK((documents[0].url == "http://a.org/x/page" && documents[0].title == "Caf\xc3\xa9"));
  CHECK((documents[0].images.size() == 1 && documents[0].images[0].url == "http://a.org/coffee.jpg"));
}

TEST_CASE("reports of parts make the report of the whole", "[extract]") {
  Tallies a, b, whole;
  for (int i = 0; i < 20; ++i) {
    const std::string sample = "page " + std::to_string(i);
    (i < 10 ? a : b).add(i % 3 ? "short" : "kept", sample);
    whole.add(i % 3 ? "short" : "kept", sample);
  }
  a.add(b);
  CHECK(a.json() == whole.json());
  CHECK(Tallies::of(whole.json()).json() == whole.json());
  CHECK((whole.count("kept") == 7 && whole.count("none") == 0 && whole.total() == 20));
}

}  // namespace extract_test
