#include <flamingo/data/shards/shard_writer.hpp>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "io/files.hpp"

namespace shard_writer_test {

using namespace flamingo;
using flamingo::tests::read_bytes;
using flamingo::tests::TemporaryFolder;

namespace {

void add(ShardWriter& writer, int first, int count) {
  for (int i = first; i < first + count; ++i) {
    writer.notes() = {{"taken", i}};
    writer.add("s" + std::to_string(i),
               std::vector<SampleField>{{"txt", std::string(700, static_cast<char>('a' + i))}, {"json", "{}"}});
  }
}
std::size_t files_in(const std::filesystem::path& folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++count;
  return count;
}

}  // namespace

TEST_CASE("samples are cut into shards by their number and their bytes", "[shard_writer]") {
  const TemporaryFolder folder;
  ShardWriter by_number(folder.path() / "n", "n", {.samples = 3});
  add(by_number, 0, 7);
  by_number.finish({{"taken", 7}});
  const ShardIndex index = ShardIndex::read(folder.path() / "n/index.json");
  REQUIRE(index.shards.size() == 3);
  CHECK((index.shards[0].file == "n-000000.tar" && index.shards[2].samples == 1 && index.samples() == 7));
  CHECK(index.notes == io::Json::Object{{"taken", 7}});
  const Shard second(folder.path() / "n/n-000001.tar");
  REQUIRE(second.size() == 3);
  CHECK((second.sample(0).key == "s3" && second.sample(0).find("txt")->text() == std::string(700, 'd')));

  constexpr std::uint64_t sample = 1536 + 1024;
  ShardWriter by_bytes(folder.path() / "b", "b", {.bytes = 2 * sample + 1024});
  add(by_bytes, 0, 5);
  by_bytes.finish({});
  CHECK(by_bytes.index().shards.size() == 3);
  for (const ShardInfo& shard : by_bytes.index().shards) {
    const auto path = folder.path() / "b" / shard.file;
    CHECK(static_cast<std::uintmax_t>(shard.bytes) == std::filesystem::file_size(path));
    CHECK(static_cast<std::uint64_t>(shard.bytes) <= 2 * sample + 1024);
    const std::string bytes = read_bytes(path);
    CHECK(shard.checksum == shard_checksum(std::as_bytes(std::span(bytes))));
  }
  CHECK_THROWS_WITH(by_bytes.add("big", std::vector<SampleField>{{"txt", std::string(6000, 'x')}}),
                    Catch::Contains("the sample big takes 6656 bytes, a shard holds 6144"));
}

TEST_CASE("a run that is killed goes on behind its last whole shard", "[shard_writer]") {
  const TemporaryFolder folder;
  ShardWriter whole(folder.path() / "whole", "x", {.samples = 3});
  add(whole, 0, 8);
  whole.finish({{"taken", 8}});
  {
    ShardWriter killed(folder.path() / "cut", "x", {.samples = 3});
    add(killed, 0, 5);  // and no finish()
  }
  CHECK(files_in(folder.path() / "cut") == 2);  // a shard and the index
  std::ofstream(folder.path() / "cut/x-000001.tar.tmp-1-0") << "half";
  {
    ShardWriter resumed(folder.path() / "cut", "x", {.samples = 3});
    CHECK(resumed.notes() == io::Json::Object{{"taken", 3}});
    CHECK(files_in(folder.path() / "cut") == 2);
    add(resumed, 3, 5);
    resumed.finish({{"taken", 8}});
  }
  for (const ShardInfo& shard : whole.index().shards)
    CHECK(read_bytes(folder.path() / "whole" / shard.file) == read_bytes(folder.path() / "cut" / shard.file));
  CHECK(read_bytes(folder.path() / "whole/index.json") == read_bytes(folder.path() / "cut/index.json"));
  CHECK_THROWS_WITH(ShardWriter(folder.path() / "cut", "y"), Catch::Contains("it is the index of 'x', not of 'y'"));
}

TEST_CASE("names that would not read back are refused", "[shard_writer]") {
  const TemporaryFolder folder;
  ShardWriter writer(folder.path(), "x");
  const std::vector<SampleField> one{{"txt", "a"}};
  writer.add("a/b", one);
  CHECK_THROWS_WITH(writer.add("a/b", one), Catch::Contains("follows one of the same key"));
  for (const char* key : {"a.b", "", "/a", "../a", "__a__/b"}) CHECK_THROWS_AS(writer.add(key, one), Error);
  for (const char* field : {"", "TXT", "a/b"})
    CHECK_THROWS_AS(writer.add("c", std::vector<SampleField>{{field, "a"}}), Error);
  CHECK_THROWS_WITH(writer.add("c", std::vector<SampleField>{{"txt", "a"}, {"txt", "b"}}),
                    Catch::Contains("has the field txt twice"));
  CHECK_THROWS_WITH(writer.add("c", {}), Catch::Contains("has no fields"));
  CHECK_THROWS_AS(ShardWriter(folder.path(), "x/y"), Error);
  CHECK_THROWS_AS(ShardWriter(folder.path(), "x", {.samples = 0}), Error);
}

}  // namespace shard_writer_test
