#include <flamingo/data/web/inputs.hpp>

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace inputs_test {

using namespace flamingo;
using namespace flamingo::web;

namespace {

struct Tree {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("flamingo_inputs_" + std::to_string(::getpid()));
  Tree() {
    for (const char* name : {"manual/b.html", "manual/a.HTM", "manual/deep/c.xhtml", "manual/x.png",
                             "manual/old.warc.gz", "other/manual/d.html", "empty/x.png", "e f.html"}) {
      std::filesystem::create_directories((path / name).parent_path());
      std::ofstream(path / name) << "x";
    }
  }
  ~Tree() { std::filesystem::remove_all(path); }
};

std::string problem(const std::vector<std::filesystem::path>& inputs) {
  try {
    list_inputs(inputs);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("folders are listed in order, in shards", "[inputs]") {
  const Tree tree;
  const std::vector<std::filesystem::path> inputs{tree.path / "manual", tree.path / "other" / "manual" / "",
                                                  tree.path / "e f.html"};
  const Inputs found = list_inputs(inputs, 2);
  REQUIRE(found.shards.size() == 5);
  CHECK(found.shards[0].pages == std::vector<std::string>{"a.HTM", "b.html"});
  CHECK(found.shards[1].pages == std::vector<std::string>{"deep/c.xhtml"});
  CHECK(found.shards[0].prefix == "file://manual/");
  CHECK(found.shards[2].archive.filename() == "old.warc.gz");
  CHECK(found.shards[3].prefix == "file://manual-2/");
  CHECK(found.shards[4].pages == std::vector<std::string>{"e f.html"});
  REQUIRE(found.sites.size() == 3);
  CHECK(found.sites[1].prefix == found.shards[3].prefix);
}

TEST_CASE("inputs that are none are refused", "[inputs]") {
  const Tree tree;
  const std::string at = "[extract] " + tree.path.string();
  CHECK(problem({}) == "[extract] there is no input, expected files, folders or WARC archives");
  CHECK(problem({tree.path / "none"}) == at + "/none: there is no such file or folder");
  CHECK(problem({tree.path / "empty"}) == at + "/empty: there is no .html, .htm, .xhtml, .warc or .warc.gz file in it");
  CHECK(problem({tree.path / "empty/x.png"}) ==
        at + "/empty/x.png: its name is that of no page or archive, expected .html, .htm, .xhtml, .warc or .warc.gz");
}

TEST_CASE("paths become parts of addresses", "[inputs]") {
  CHECK(web::detail::percent_encoded("a b/c#?%.html") == "a%20b/c%23%3F%25.html");
  CHECK(web::detail::percent_encoded("\xc3\xa9") == "%C3%A9");
}

}  // namespace inputs_test
