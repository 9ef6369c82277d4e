#include <flamingo/data/web/warc.hpp>

#include <zlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace warc_test {

using namespace flamingo;
using namespace flamingo::web;

namespace {

std::string record(const std::string& url, const std::string& block, const std::string& type = "response") {
  return "WARC/1.0\r\nWARC-Type: " + type + "\r\nWARC-Target-URI: " + url +
         "\r\nContent-Type: application/http; msgtype=response\r\nContent-Length: " + std::to_string(block.size()) +
         "\r\n\r\n" + block + "\r\n\r\n";
}
std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string result(deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = static_cast<uInt>(result.size());
  deflate(&stream, Z_FINISH);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}
struct File {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("flamingo_warc_" + std::to_string(::getpid()));
  explicit File(const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }
  ~File() { std::filesystem::remove(path); }
};
struct Read {
  std::vector<std::string> urls, blocks;
  std::vector<WarcPlace> places;
  std::uint64_t damaged = 0;
};
Read read(const std::filesystem::path& path, const WarcLimits& limits = {}) {
  WarcReader reader(path, limits);
  WarcRecord record;
  Read result;
  while (reader.next(record)) {
    result.urls.emplace_back(record.url);
    result.blocks.emplace_back(record.cut ? "cut" : record.block);
    result.places.push_back(reader.place());
  }
  result.damaged = reader.damaged();
  return result;
}
using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("records are read one after another, compressed or not", "[warc]") {
  const std::string large(300'000, 'x');
  const bool compressed = GENERATE(false, true);
  std::string all;
  for (const std::string& r :
       {record("http://a/", "one"), record("<http://b/>", large), record("http://c/", ""), record("http://d/", "four")})
    all += compressed ? gzip(r) : r;
  const File file(all);
  const Read found = read(file.path);
  CHECK(found.urls == Texts{"http://a/", "http://b/", "http://c/", "http://d/"});
  CHECK(found.blocks == Texts{"one", large, "", "four"});
  CHECK(found.damaged == 0);
  WarcReader reader(file.path);
  WarcRecord record;
  for (const std::size_t i : {3u, 0u, 1u, 1u, 2u}) {
    reader.go_to(found.places[i]);
    REQUIRE(reader.next(record));
    CHECK((record.url == found.urls[i] && record.block == found.blocks[i]));
  }
}

TEST_CASE("several records in one member are found again too", "[warc]") {
  const File file(gzip(record("a", "one") + record("b", "two")) + gzip(record("c", "three")));
  const Read found = read(file.path);
  CHECK(found.blocks == Texts{"one", "two", "three"});
  WarcReader reader(file.path);
  WarcRecord record;
  reader.go_to(found.places[1]);
  REQUIRE(reader.next(record));
  CHECK(record.block == "two");
}

TEST_CASE("a damaged member costs its own records alone", "[warc]") {
  std::string broken = gzip(record("b", std::string(5000, 'y') + "two"));
  for (std::size_t i = 40; i < 60; ++i) broken[i] = '\xff';
  const File file(gzip(record("a", "one")) + broken + gzip(record("c", "three")));
  const Read found = read(file.path);
  CHECK(found.urls.front() == "a");
  CHECK(found.urls.back() == "c");
  CHECK(found.damaged > 0);
}

TEST_CASE("what is no record is passed over", "[warc]") {
  const File file(record("a", "one") + "junk\nmore junk\n" + record("b", "two") +
                  "WARC/1.0\r\nContent-Length: 100\r\n\r\nshort");
  const Read found = read(file.path);
  CHECK(found.blocks == Texts{"one", "two", "cut"});
  CHECK(found.damaged == 1);
}

TEST_CASE("what is too long is passed over in bounded memory", "[warc]") {
  const File file(gzip(record("a", std::string(50'000'000, 'z'))) + gzip(record("b", "two")));
  CHECK(std::filesystem::file_size(file.path) < 100'000);
  const Read found = read(file.path, {.block = 1'000'000});
  CHECK(found.blocks == Texts{"cut", "two"});
  const File header("WARC/1.0\r\n" + std::string(200'000, 'h') + "\r\n" + record("b", "two"));
  CHECK(read(header.path).blocks == Texts{"two"});
}

TEST_CASE("empty and absent files", "[warc]") {
  const File file("");
  CHECK(read(file.path).urls.empty());
  CHECK_THROWS_WITH(WarcReader("/no/such/file.warc"),
                    "[warc] /no/such/file.warc: cannot open it (No such file or directory)");
}

TEST_CASE("answers are read through their encodings", "[warc]") {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n";
  const HttpResponse plain = read_http(head + "\r\nbody", 100);
  CHECK((plain.status == 200 && plain.content_type == "text/html; charset=utf-8" && plain.body == "body"));
  CHECK(read_http(head + "Transfer-Encoding: chunked\r\n\r\n3\r\nbod\r\n1;x=y\r\ny\r\n0\r\n\r\n", 100).body == "body");
  CHECK(read_http(head + "Transfer-Encoding: chunked\r\n\r\n<p>not chunked", 100).body == "<p>not chunked");
  CHECK(read_http(head + "Content-Encoding: gzip\r\n\r\n" + gzip("body"), 100).body == "body");
  CHECK(read_http(head + "Content-Encoding: gzip\r\n\r\n" + gzip("body").substr(0, 8), 100).body == "");
  CHECK(read_http("HTTP/1.0 404\nX: y\n\n", 100).status == 404);
  CHECK_THROWS_WITH(read_http(head + "Content-Encoding: br\r\n\r\nx", 100, "u"),
                    "[http] u: its encoding is br, expected gzip, deflate or none");
  CHECK_THROWS_WITH(read_http(head + "Content-Encoding: gzip\r\n\r\n" + gzip(std::string(1000, 'a')), 100, "u"),
                    "[gzip] u: it holds more than 100 bytes");
  CHECK_THROWS_WITH(read_http("<html>", 100, "u"), "[http] u: it does not begin with HTTP/");
  CHECK_THROWS_WITH(read_http("HTTP/1.1 200", 100, "u"), "[http] u: its header has no end");
}

TEST_CASE("bare and wrapped deflate are both read", "[warc]") {
  std::string wrapped(100, '\0');
  uLongf size = wrapped.size();
  const std::string text = "some text";
  ::compress(reinterpret_cast<Bytef*>(wrapped.data()), &size, reinterpret_cast<const Bytef*>(text.data()), text.size());
  wrapped.resize(size);
  CHECK(inflated(wrapped, 100) == text);
  CHECK(inflated(std::string_view(wrapped).substr(2, size - 6), 100) == text);
  CHECK(inflated("", 100) == "");
}

}  // namespace warc_test
