#include <flamingo/data/shards/shard_index.hpp>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <string_view>

#include "io/files.hpp"

namespace shard_index_test {

using namespace flamingo;
using flamingo::tests::TemporaryFolder;

namespace {

std::string shard(int samples) {
  std::string archive;
  for (int i = 0; i < samples; ++i) {
    const auto header = tar_header(std::to_string(i) + ".txt", 0);
    archive.append(header.data(), header.size());
  }
  return archive + std::string(1024, '\0');
}
ShardIndex parsed(std::string_view text) { return ShardIndex::of(io::Json::parse(text), "index.json"); }

}  // namespace

TEST_CASE("an index is written as wids reads it, and back", "[shard_index]") {
  const TemporaryFolder folder;
  const ShardIndex index{"pairs", {{"a.tar", 3, 2560, "0123456789abcdef"}, {"sub/b.tar", 2, 2048}}, {{"taken", 5}}};
  index.write(folder.path() / "index.json");
  const ShardIndex back = ShardIndex::read(folder.path() / "index.json");
  CHECK((back.name == "pairs" && back.shards == index.shards && back.notes == index.notes && back.samples() == 5));
  const io::Json json = index.json();
  CHECK(json.at("__kind__").as_string() == "wids-shard-index-v1");
  CHECK(json.at("wids_version").as_integer() == 1);
  CHECK(json.at("shardlist").as_array()[0].at("nsamples").as_integer() == 3);
}

TEST_CASE("an index that makes no sense is refused", "[shard_index]") {
  CHECK_THROWS_WITH(parsed("[]"), "[shard_index] index.json: it has no array 'shardlist'");
  CHECK_THROWS_WITH(parsed(R"({"shardlist":[3]})"), Catch::Contains("is an integer, expected an object"));
  for (const char* bad : {"../a.tar", "/a.tar", "a/../../b.tar", "http://x/a.tar", "pipe:cat a.tar\\n"})
    CHECK_THROWS_AS(parsed(std::string(R"({"shardlist":[{"url":")") + bad + R"(","nsamples":1}]})"), Error);
  CHECK_THROWS_WITH(parsed(R"({"shardlist":[{"url":"a.tar","nsamples":-1}]})"), Catch::Contains("has -1 samples"));
  CHECK_THROWS_WITH(parsed(R"({"shardlist":[{"url":"a.tar"}]})"), Catch::Contains("no member 'nsamples'"));
  CHECK_THROWS_WITH(parsed(R"({"shardlist":[{"url":"a.tar","nsamples":"1"}]})"), Catch::Contains("got a string"));
}

TEST_CASE("a set of shards is a folder, an index or a file", "[shard_index]") {
  const TemporaryFolder folder;
  folder.write("b.tar", shard(3));
  folder.write("a.tar", shard(2));
  folder.write("c.txt", "no shard");
  ShardSet set = ShardSet::open(folder.path());
  CHECK((set.files.size() == 2 && set.files[0].filename() == "a.tar" && set.size() == 5 && set.problems.empty()));
  CHECK(ShardSet::open(folder.path() / "b.tar").size() == 3);

  folder.write("index.json",
               R"({"shardlist":[{"url":"a.tar","nsamples":2,"filesize":2048},{"url":"b.tar","nsamples":3}]})");
  set = ShardSet::open(folder.path());
  CHECK((set.size() == 5 && set.problems.empty()));
  CHECK(ShardSet::open(folder.path() / "index.json").samples == set.samples);
}

TEST_CASE("what the index promises and the disk has not is told", "[shard_index]") {
  const TemporaryFolder folder;
  folder.write("a.tar", shard(2).substr(0, 1024));
  folder.write("b.tar", shard(3));
  folder.write("index.json",
               R"({"shardlist":[{"url":"a.tar","nsamples":2,"filesize":2048},)"
               R"({"url":"b.tar","nsamples":3,"filesize":2560},{"url":"c.tar","nsamples":9,"filesize":9}]})");
  const ShardSet set = ShardSet::open(folder.path());
  CHECK((set.size() == 4 && set.files.size() == 2));  // one sample of a.tar is whole
  REQUIRE(set.problems.size() == 3);
  CHECK_THAT(set.problems[0], Catch::Contains("a.tar: the index says 2048 bytes, it has 1024"));
  CHECK_THAT(set.problems[1], Catch::Contains("found the end of the file"));
  CHECK_THAT(set.problems[2], Catch::Contains("c.tar: the index says 9 bytes, the file is missing"));
  const TemporaryFolder empty;
  CHECK_THROWS_WITH(ShardSet::open(empty.path()), Catch::Contains("there is no sample"));
  empty.write("a.tar", "damaged");
  CHECK_THROWS_WITH(ShardSet::open(empty.path()), Catch::Contains("found 7 bytes, expected a header of 512"));
}

}  // namespace shard_index_test
