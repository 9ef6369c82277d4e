#include <flamingo/data/shards/tar.hpp>

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tar_test {

using namespace flamingo;

namespace {

std::string header(std::string_view name, std::uint64_t size, char type = '0') {
  auto bytes = tar_header(name, size);
  bytes[156] = type;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    sum += static_cast<unsigned char>(i >= 148 && i < 156 ? ' ' : bytes[i]);
  for (std::size_t i = 6; i-- > 0; sum /= 8) bytes[148 + i] = static_cast<char>('0' + sum % 8);
  return {bytes.data(), bytes.size()};
}
std::string padded(std::string data) {
  data.resize((data.size() + 511) / 512 * 512);
  return data;
}
std::string file(std::string_view name, const std::string& data, char type = '0') {
  return header(name, data.size(), type) + padded(data);
}
const std::string ending(1024, '\0');

TarReader reader(const std::string& archive) { return {std::as_bytes(std::span(archive)), "a.tar"}; }
std::string text(const TarEntry& entry) {
  return {reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size()};
}
/// Names of all entries.
std::vector<std::string> names(const std::string& archive) {
  TarReader all = reader(archive);
  std::vector<std::string> found;
  while (const auto entry = all.next()) found.push_back(entry->name);
  return found;
}
/// A header changed in one place, its sum made right again.
std::string changed(std::string archive, std::size_t at, std::string_view to) {
  archive.replace(at, to.size(), to);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(i >= 148 && i < 156 ? ' ' : archive[i]);
  for (std::size_t i = 6; i-- > 0; sum /= 8) archive[148 + i] = static_cast<char>('0' + sum % 8);
  return archive;
}
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("an archive's files come in their order, with their places", "[tar]") {
  const std::string archive = file("a.txt", "one") + file("b/c.jpg", std::string(513, 'x')) + file("d", "") + ending;
  TarReader all = reader(archive);
  auto entry = all.next();
  REQUIRE(entry);
  CHECK((entry->name == "a.txt" && text(*entry) == "one" && entry->offset == 0));
  entry = all.next();
  CHECK((entry->name == "b/c.jpg" && entry->bytes.size() == 513 && entry->offset == 1024));
  CHECK(all.offset() == 1024 + 512 + 1024);
  entry = all.next();
  CHECK((entry->name == "d" && entry->bytes.empty()));
  CHECK_FALSE(all.next());
  CHECK_FALSE(all.next());
  CHECK(reader(archive).next()->bytes.data() == reinterpret_cast<const std::byte*>(archive.data()) + 512);
  TarReader from_the_middle(std::as_bytes(std::span(archive)), "a.tar", 1024);
  CHECK(from_the_middle.next()->name == "b/c.jpg");
}

TEST_CASE("folders, links and comments are passed over", "[tar]") {
  CHECK(names(file("f", "", '5') + file("l", "", '2') + file("g", "19 comment=ignored\n", 'g') + file("a", "1") +
              changed(file("old", "", '\0'), 3, "/") + file("c", "", '7') + ending) == Names{"a", "c"});
  CHECK(names(ending).empty());
  CHECK(names(std::string(512, '\0')).empty());  // one block of zeros is an end too
}

TEST_CASE("long names and sizes of pax and GNU are read", "[tar]") {
  const std::string name(300, 'n'), deep = "folder/" + std::string(90, 'm') + "/" + std::string(80, 'o');
  const std::string record = " path=" + name + "\n", pax = std::to_string(record.size() + 3) + record;
  CHECK(names(file("x", pax, 'x') + file("short", "1") + file("next", "2") + ending) == Names{name, "next"});
  CHECK(names(file("x", name + '\0', 'L') + file("short", "1") + ending) == Names{name});
  CHECK(names(file(deep, "1") + ending) == Names{deep});  // ustar's own prefix
  // A size in a pax record stands in place of the header's.
  std::string archive = file("x", "10 size=3\n", 'x') + header("a", 0) + padded("abc") + ending;
  CHECK(text(*reader(archive).next()) == "abc");
  archive = changed(file("a", "abc"), 124, std::string_view("\x80\0\0\0\0\0\0\0\0\0\0\3", 12)) + ending;
  CHECK(text(*reader(archive).next()) == "abc");
  CHECK(reader(file("x", pax, 'x') + file("short", "1") + ending).next()->offset == 0);
}

TEST_CASE("names that lead out of their folder are refused", "[tar]") {
  CHECK(names(file("a", "1") + ending) == Names{"a"});
  const auto named = [](std::string_view name) { return changed(file("_", "1"), 0, name) + ending; };
  CHECK(names(named("./a/b")) == Names{"a/b"});
  for (const std::string_view bad : {"/etc/passwd", "../a", "a/../../b", "a/..", "a//b", "a/./b", "a\\b", "a\nb"})
    CHECK_THROWS_WITH(names(named(bad)), Catch::Contains("expected a relative path that stays inside its folder"));
  CHECK_THROWS_WITH(names(named("../a")),
                    "[tar] a.tar, byte 0: found the name '../a', expected a relative path that "
                    "stays inside its folder");
  for (const std::string_view bad : {"../a", "/a", "a/", "", "a\tb"}) CHECK_THROWS_AS(tar_header(bad, 1), Error);
}

TEST_CASE("damage ends in one clear error", "[tar]") {
  const std::string whole = file("a", std::string(600, 'x')) + file("b", "2") + ending;
  CHECK_THROWS_WITH(names(whole.substr(0, 512 + 1024)),
                    "[tar] a.tar, byte 1536: found the end of the file, expected an entry or the block of zeros that "
                    "ends an archive");
  CHECK_THROWS_WITH(names(whole.substr(0, 700)),
                    "[tar] a.tar, byte 0: found an entry of 600 bytes, expected at most the 188 left");
  CHECK_THROWS_WITH(names(whole.substr(0, 1600)), "[tar] a.tar, byte 1536: found 64 bytes, expected a header of 512");
  CHECK_THROWS_WITH(names(""), Catch::Contains("found the end of the file"));
  std::string broken = whole;
  broken[1536] = 'c';
  CHECK_THROWS_WITH(names(broken), Catch::Contains("byte 1536: found a header whose checksum is"));
  CHECK_THROWS_WITH(names(changed(whole, 124, "00000009999")), Catch::Contains("a number that is not octal"));
  CHECK_THROWS_WITH(names(changed(whole, 124, std::string_view("\x80\x7f\0\0\0\0\0\0\0\0\0\0", 12))),
                    Catch::Contains("a size beyond 2^63"));
  CHECK_THROWS_WITH(names(changed(whole, 124, "77777777777")), Catch::Contains("at most the"));
  CHECK_THROWS_WITH(names(file("s", "", 'S') + ending), Catch::Contains("found a sparse file"));
  CHECK_THROWS_WITH(names(file("x", "9 path=a", 'x') + ending), Catch::Contains("a damaged extended header"));
  CHECK_THROWS_WITH(names(file("x", "99 path=a\n", 'x') + ending), Catch::Contains("a damaged extended header"));
  CHECK_THROWS_WITH(names(file("x", "9 path=a\n", 'x') + ending),
                    Catch::Contains("expected the entry that an extended header belongs to"));
  CHECK_THROWS_WITH(names(file("x", std::string((1 << 20) + 1, 'x'), 'L') + ending), Catch::Contains("at most 1 MiB"));
}

TEST_CASE("a name is written so that it reads back, or refused", "[tar]") {
  const std::string longest = std::string(155, 'a') + '/' + std::string(100, 'b');
  CHECK(names(file(longest, "") + ending) == Names{longest});
  CHECK_THROWS_WITH(tar_header(std::string(101, 'a'), 0), Catch::Contains("101 bytes, expected at most 100"));
  CHECK_THROWS_AS(tar_header(std::string(156, 'a') + "/b" + std::string(100, 'b'), 0), Error);
  CHECK_THROWS_WITH(tar_header("a", std::uint64_t{1} << 33), Catch::Contains("less than 8 GiB"));
  CHECK((tar_size(0) == 512 && tar_size(1) == 1024 && tar_size(512) == 1024 && tar_size(513) == 1536));
}

}  // namespace tar_test
