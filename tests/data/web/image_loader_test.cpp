#include <flamingo/data/web/image_loader.hpp>

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

namespace image_loader_test {

using namespace flamingo;
using namespace flamingo::web;

namespace {

const std::filesystem::path pictures = FLAMINGO_TEST_DATA "/fixtures/images";

struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("flamingo_loader_" + std::to_string(::getpid()));
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("pictures are found by their addresses and kept by their content", "[image_loader]") {
  const Folder folder;
  ImageLoader loader({{"http://a.org/", pictures}}, folder.path);
  const JudgedImage coffee = loader.judge("http://a.org/coffee.jpg?width=3");
  REQUIRE(coffee.dropped == "");
  CHECK((coffee.width > 64 && coffee.height > 64 && coffee.look.hash != 0));
  CHECK(coffee.name.ends_with(".jpg"));
  CHECK(io::MappedFile(folder.path / coffee.name).text() == io::MappedFile(pictures / "coffee.jpg").text());
  CHECK(loader.judge("http://a.org/coffe%65.jpg").name == coffee.name);
  CHECK(loader.judge("http://a.org/coffee.jpg").look.hash == coffee.look.hash);
}

TEST_CASE("what is absent, broken or outside is told apart from what is bad", "[image_loader]") {
  const Folder folder;
  std::ofstream(folder.path / "cut.jpg") << std::string(io::MappedFile(pictures / "coffee.jpg").text().substr(0, 500));
  std::filesystem::create_directory(folder.path / "inside");
  ImageLoader loader({{"http://a/", folder.path / "inside"}, {"http://b/", pictures}, {"http://c/", folder.path}}, {});
  CHECK(loader.judge("http://a/x.png").dropped == "missing");
  CHECK(loader.judge("http://elsewhere/x.png").dropped == "missing");
  CHECK(loader.judge("http://a/%2e%2e/cut.jpg").dropped == "missing");  // it is there, but outside
  CHECK(loader.judge("http://a//" + (folder.path / "cut.jpg").string()).dropped == "missing");
  CHECK(loader.judge("http://b/README.md").dropped == "unreadable");
  CHECK(loader.judge("http://c/cut.jpg").dropped == "unreadable");
  // A GIF of 1 x 1.
  CHECK(loader.judge("data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7").dropped ==
        "too_small");
  CHECK(loader.judge("data:image/gif;base64,!").dropped == "missing");
}

TEST_CASE("pictures of an archive are found there, and forgotten with it", "[image_loader]") {
  const Folder folder;
  const std::string coffee(io::MappedFile(pictures / "coffee.jpg").text());
  const auto record = [](const std::string& type, const std::string& url, const std::string& content,
                         const std::string& block) {
    return "WARC/1.0\r\nWARC-Type: " + type + "\r\nWARC-Target-URI: " + url + "\r\nContent-Type: " + content +
           "\r\nContent-Length: " + std::to_string(block.size()) + "\r\n\r\n" + block + "\r\n\r\n";
  };
  const std::filesystem::path archive = folder.path / "x.warc";
  std::ofstream(archive, std::ios::binary) << record("response", "http://a/page", "application/http",
                                                     "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>x")
                                           << record("response", "http://a/1.jpg", "application/http",
                                                     "HTTP/1.1 200 OK\r\ncontent-type: image/jpeg\r\n\r\n" + coffee)
                                           << record("resource", "http://a/2.jpg", "image/jpeg", coffee);
  ImageLoader loader({}, {});
  loader.open_archive(archive);
  const JudgedImage one = loader.judge("http://a/1.jpg"), two = loader.judge("http://a/2.jpg");
  CHECK((one.dropped.empty() && one.name == two.name && one.name == content_name(coffee)));
  CHECK(loader.judge("http://a/page").dropped == "missing");
  loader.close_archive();
  CHECK(loader.judge("http://a/1.jpg").dropped == "missing");
}

}  // namespace image_loader_test
