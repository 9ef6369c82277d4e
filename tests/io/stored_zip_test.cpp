#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

#include <flamingo/io/stored_zip.hpp>

#include "torch_writer.hpp"

namespace stored_zip_test {

using namespace flamingo::io;
using namespace flamingo::tests;

namespace {

std::string as_text(const StoredZip::Member& member) {
  return {reinterpret_cast<const char*>(member.bytes.data()), member.bytes.size()};
}

const std::vector<ZipMember> two{{"a/one", "first"}, {"a/two", "second!"}};

}  // namespace

TEST_CASE("members of an archive are read in place, with and without zip64", "[io][stored_zip]") {
  const TemporaryFolder folder;
  for (const bool zip64 : {false, true}) {
    StoredZip opened(folder.write("a", zip_of(two, {.zip64 = zip64})));
    const StoredZip zip(std::move(opened));
    REQUIRE(zip.members().size() == 2);
    CHECK(zip.members()[0].name == "a/one");
    CHECK(as_text(zip.members()[0]) == "first");
    CHECK(as_text(zip.members()[1]) == "second!");
  }
  CHECK(StoredZip(folder.write("none", zip_of({}))).members().empty());
  const StoredZip packed(folder.write("packed", zip_of({{.name = "a", .bytes = "xyz", .method = 8}})));
  CHECK_FALSE(packed.members()[0].stored);
}

TEST_CASE("archives that two readers could read differently are refused", "[io][stored_zip]") {
  const TemporaryFolder folder;
  const auto one = [](ZipMember member) { return zip_of({std::move(member)}); };
  std::string wrong_end = zip_of(two, {.zip64 = true});
  wrong_end[wrong_end.size() - 12] = '\1';  // the small end's count is neither saturated nor the large one's
  std::string locator = zip_of(two, {.zip64 = true});
  locator[locator.size() - 22 - 12] = '\1';
  std::string local_size = zip_of(two);
  local_size[6] = '\0';  // without bit 3 the local header's size counts, and it is 0
  std::string directory = zip_of(two);
  directory[directory.rfind("PK\1\2")] = 'x';
  std::string cut = zip_of(two);
  cut.erase(3, 5);
  struct Case {
    std::string bytes, error;
  };
  const Case cases[] = {
      {"", "the last 22 bytes are no end of a zip archive"},
      {std::string(40, 'x'), "the last 22 bytes are no end of a zip archive"},
      {zip_of(two, {.after = "x"}), "the last 22 bytes are no end of a zip archive"},
      {"x" + zip_of(two), "the directory says that it has"},
      {cut, "the directory says that it has"},
      {directory, "no member of the directory begins here"},
      {zip_of(two, {.more_members = -1}), "the directory goes on after its 1 members"},
      {zip_of(two, {.more_members = 1000}), "cannot hold 1002 members"},
      {wrong_end, "its two ends contradict each other"},
      {locator, "where no zip64 end lies"},
      {local_size, "member 'a/one' has 5 bytes, but its local header says 0"},
      {one({.name = "a", .bytes = "b", .method = 12}), "member 'a' has the method 12, expected 0 (stored) or 8"},
      {one({.name = "a", .bytes = "b", .stored = 7}), "member 'a' takes 7 bytes for 1"},
      {one({.name = "a", .bytes = "b", .flags = 1}), "member 'a' is encrypted"},
      {one({.name = "a", .bytes = "b", .local_name = "c"}),
       "member 'a' has another name or method in its local header"},
      {one({.name = "a", .bytes = "b", .local_offset = 2}), "member 'a' does not begin at byte 2"},
      {one({.name = "a", .bytes = "b", .local_offset = 1 << 20}), "member 'a' does not begin at byte 1048576"},
      {one({.name = "/a", .bytes = "b"}), "member '/a' has no relative name"},
      {one({.name = "a\\b", .bytes = "b"}), "has no relative name"},
      {one({.name = "a/../../b", .bytes = "b"}), "member 'a/../../b' names a place outside the archive"},
      {zip_of({{"a", "b"}, {"a", "c"}}), "member 'a' occurs twice"},
      // The second member's header lies within the first one's bytes.
      {zip_of({{"a", zip_of({{"b", "x"}}).substr(0, 32)}, {.name = "b", .bytes = "x", .local_offset = 31}}),
       "two members overlap at byte 31"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.error);
    const auto path = folder.write("bad", c.bytes);
    CHECK_THAT(error_of([&] { StoredZip{path}; }), Catch::Contains(path.string()) && Catch::Contains(c.error));
  }
}

TEST_CASE("every truncation of an archive is refused", "[io][stored_zip]") {
  const TemporaryFolder folder;
  for (const bool zip64 : {false, true}) {
    const std::string whole = zip_of(two, {.zip64 = zip64});
    for (std::size_t size = 0; size < whole.size(); ++size)
      CHECK_FALSE(error_of([&] { StoredZip(folder.write("cut", whole.substr(0, size))); }).empty());
  }
}

}  // namespace stored_zip_test
