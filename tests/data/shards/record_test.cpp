#include <flamingo/data/shards/record.hpp>

#include <catch2/catch.hpp>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace record_test {

using namespace flamingo;
using namespace std::string_literals;

namespace {

/// A sample whose bytes live as long as it.
struct Made {
  std::vector<std::pair<std::string, std::string>> files;
  ShardSample sample() const& {
    ShardSample result{.key = "dir/007", .fields = {}};
    for (const auto& [extension, bytes] : files) result.fields.push_back({extension, std::as_bytes(std::span(bytes))});
    return result;
  }
  ShardSample sample() && = delete;  // a record reads these bytes
};
/// The record in one line: texts, and media as [bytes].
std::string line(const Record& record) {
  std::string text;
  for (const Record::Part& part : record.parts) {
    if (part.medium < 0) {
      text += part.text;
      continue;
    }
    const auto bytes = record.media[static_cast<std::size_t>(part.medium)].file();
    text += '[' + std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()) + ']';
  }
  return text;
}
std::string read(const Made& made, bool moving = false) { return line(read_record(made.sample(), moving)); }

}  // namespace

TEST_CASE("pairs and videos take their text from txt or the json", "[record]") {
  const Made pair{{{"jpg", "J"}, {"txt", "a cat"}, {"json", R"({"caption":"other"})"}}};
  Record record = read_record(pair.sample());
  CHECK((record.kind == RecordKind::pair && record.key == "dir/007" && line(record) == "[J]a cat"));
  CHECK((!record.media[0].video && record.media[0].name == "dir/007.jpg"));
  CHECK(read({{{"json", R"({"caption":"a dog","url":"u"})"}, {"png", "P"}}}) == "[P]a dog");
  const Made video{{{"mp4", "M"}, {"json", R"({"text":"a walk"})"}}};
  record = read_record(video.sample());
  CHECK((record.kind == RecordKind::video && record.media[0].video && line(record) == "[M]a walk"));
  CHECK(record.document().parts()[0].kind == Document::Kind::video);
  const Made gif{{{"gif", "G"}, {"txt", "it turns"}}};
  CHECK((read_record(gif.sample()).kind == RecordKind::pair &&
         read_record(gif.sample(), true).kind == RecordKind::video));
  CHECK_THROWS_WITH(read({{{"jpg", "J"}}}), "[record] dir/007: it has no text, expected a page, a pair or a video");
  CHECK_THROWS_WITH(read({{{"txt", "a"}, {"cls", "7"}}}), Catch::Contains("neither texts nor an image or a video"));
  CHECK_THROWS_WITH(read({{{"jpg", "J"}, {"json", "{"}}}), Catch::Contains("dir/007.json, byte 1"));
  CHECK_THROWS_WITH(read({{{"jpg", "J"}, {"txt", "caf\xe9"}}}), Catch::Contains("byte 3 of a text is not UTF-8"));
}

TEST_CASE("pages as we and OBELICS write them", "[record]") {
  const Made page{{{"json", R"({"texts":["one ",null," two"],"images":[null,"0.jpg",null]})"}, {"0.jpg", "J"}}};
  Record record = read_record(page.sample());
  CHECK((record.kind == RecordKind::page && line(record) == "one [J] two" && record.missing == 0));
  // OBELICS names images by their addresses; they are there only where somebody fetched them.
  const Made bare{{{"json", R"({"texts":["one",null,"two"],"images":[null,"http://x/a.jpg",null],"metadata":"[]"})"}}};
  record = read_record(bare.sample());
  CHECK((line(record) == "onetwo" && record.missing == 1 && record.media.empty()));
  CHECK_THROWS_WITH(read({{{"json", R"({"texts":["a"],"images":[]})"}}}),
                    Catch::Contains("expected lists of one length"));

  InterleavedDocument document{.id = "p"};
  const std::string jpeg = "\xff\xd8\xff\xe0 first", png = "\x89PNG second";
  const auto bytes = [](const std::string& s) {
    const auto view = std::as_bytes(std::span(s));
    return std::vector<std::byte>(view.begin(), view.end());
  };
  document.text("a ").image({.name = "x", .alt = "alt", .bytes = bytes(jpeg)}).text(" b ");
  document.image({.name = "y", .bytes = bytes(png)});
  Made written;
  for (SampleField& field : fields_of(document)) written.files.emplace_back(field.extension, field.bytes);
  REQUIRE(written.files.size() == 3);
  CHECK((written.files[1].first == "0.jpg" && written.files[2].first == "1.png"));
  CHECK(read(written) == "a [" + jpeg + "] b [" + png + "]");
  document.images[0].bytes.clear();
  CHECK_THROWS_WITH(fields_of(document), "[record] p: the image x has no bytes");
}

TEST_CASE("pages as MMC4 writes them", "[record]") {
  // An image stands before its sentence; a sentence that follows another one directly gets the space between them.
  const Made page{{{"json", R"({"text_list":["A.","B.","C."],"image_info":[
      {"image_name":"b.jpg","matched_text_index":1,"matched_sim":0.3},
      {"image_name":"c.jpg","matched_text_index":1},{"image_name":"gone.jpg","matched_text_index":0},
      {"image_name":"d.png","matched_text_index":2,"image_base64":"UE5H"}]})"},
                   {"b.jpg", "1"},
                   {"c.jpg", "2"}}};
  const Record record = read_record(page.sample());
  CHECK(line(record) == "A.[1][2]B.[PNG]C.");
  CHECK((record.missing == 1 && record.media.size() == 3));
  CHECK(read({{{"json", R"({"text_list":["A.","B."],"image_info":[]})"}}}) == "A. B.");
  CHECK_THROWS_WITH(
      read({{{"json", R"({"text_list":["A."],"image_info":[{"image_name":"b","matched_text_index":1}]})"}}}),
      Catch::Contains("an image stands before text 1 of 1"));
  CHECK_THROWS_WITH(read({{{"json", R"({"text_list":[3]})"}}}), Catch::Contains("got an integer, expected a string"));
}

TEST_CASE("shards that webdataset wrote are read, with pax names", "[record]") {
  const std::filesystem::path folder = std::filesystem::path(FLAMINGO_TEST_DATA) / "fixtures/shards";
  const Shard pairs(folder / "pairs.tar"), pages(folder / "pages.tar");
  REQUIRE((pairs.size() == 5 && pages.size() == 2 && pairs.problem().empty() && pages.problem().empty()));
  const Record third = read_record(pairs.sample(2));
  CHECK(
      (third.kind == RecordKind::pair && third.key == "000000002" && third.parts[1].text == "picture n\xc3\xbamero 2"));
  CHECK(extension_of(third.media[0].file()) == "jpg");
  const Record mmc4 = read_record(pages.sample(0)), obelics = read_record(pages.sample(1));
  CHECK((mmc4.key.size() == 172 && mmc4.parts.size() == 4 && mmc4.parts[1].medium == 0 && mmc4.missing == 0));
  CHECK((obelics.parts.size() == 3 && obelics.parts[2].text == "after" && obelics.media.size() == 1));
}

TEST_CASE("base64 is read in both alphabets", "[record]") {
  const auto text = [](std::string_view coded) {
    const auto bytes = detail::from_base64(coded, "x");
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  CHECK((text("") == "" && text("YQ==") == "a" && text("YWI=") == "ab" && text("YWJj") == "abc" &&
         text("YW\nJj") == "abc"));
  CHECK((text("+/8=") == "\xfb\xff" && text("-_8") == "\xfb\xff"));
  CHECK_THROWS_WITH(text("YW J"), Catch::Contains("the character of code 32"));
}

TEST_CASE("a medium can be taken out of its document", "[record]") {
  const Made page{{{"json", R"({"texts":["a",null,null,"b"],"images":[null,"0.jpg","1.jpg",null]})"},
                   {"0.jpg", "0"},
                   {"1.jpg", "1"}}};
  Record record = read_record(page.sample());
  record.drop(0);
  CHECK((line(record) == "a[1]b" && record.media.size() == 1));
  CHECK(record.document().media().size() == 1);
}

TEST_CASE("files are known by their first bytes", "[record]") {
  const auto is = [](const std::string& head) { return extension_of(std::as_bytes(std::span(head))); };
  CHECK(
      (is("\xff\xd8\xff\xe0") == "jpg" && is("GIF89a") == "gif" && is("\x89PNG\r\n") == "png" && is("BM12") == "bmp"));
  CHECK((is("\0\0\0\x20"s + "ftypisom") == "mp4" && is("\x1a\x45\xdf\xa3") == "webm" && is("RIFF1234WEBP") == "webp"));
  CHECK((is("") == "bin" && is("RIFF1234AVI ") == "avi"));
  const std::string jpeg = "\xff\xd8\xff\xe0";
  const auto fields = fields_of(std::as_bytes(std::span(jpeg)), "a cat", io::Json::Object{{"source", "x"}});
  REQUIRE(fields.size() == 3);
  CHECK((fields[0].extension == "jpg" && fields[1].bytes == "a cat" && fields[2].bytes == R"({"source":"x"})"));
}

}  // namespace record_test
