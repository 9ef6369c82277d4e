#include <flamingo/data/shards/shard.hpp>

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "io/files.hpp"

namespace shard_test {

using namespace flamingo;
using flamingo::tests::read_bytes;
using flamingo::tests::TemporaryFolder;

namespace {

std::string file(std::string_view name, std::string data) {
  const auto header = tar_header(name, data.size());
  data.resize((data.size() + 511) / 512 * 512);
  return std::string(header.data(), header.size()) + data;
}
const std::string ending(1024, '\0');
const std::string two = file("a/0.JPG", "picture") + file("a/0.txt", "words") + file("a/0.seg.png", "mask") +
                        file("README", "no sample") + file("1.txt", "more") + file("1.jpg", "bytes");

}  // namespace

TEST_CASE("files that agree up to the first dot are one sample", "[shard]") {
  const TemporaryFolder folder;
  const Shard shard(folder.write("a.tar", two + ending));
  REQUIRE(shard.size() == 2);
  CHECK((shard.problem().empty() && shard.offset(1) == two.size() - 2048 && shard.bytes() == two.size() + 1024));
  const ShardSample first = shard.sample(0), second = shard.sample(1);
  CHECK(first.key == "a/0");
  REQUIRE(first.fields.size() == 3);
  CHECK((first.fields[0].extension == "jpg" && first.fields[2].extension == "seg.png"));
  CHECK(first.find("txt")->text() == "words");
  CHECK(first.find("gif") == nullptr);
  CHECK((second.key == "1" && second.fields.size() == 2 && second.find("jpg")->text() == "bytes"));
  CHECK_THROWS_WITH(shard.sample(2), Catch::Contains("sample 2 is asked for, it has 2"));
}

TEST_CASE("names without a sample are passed over as webdataset does", "[shard]") {
  using detail::sample_name;
  CHECK(sample_name("a/b.c.d")->first == "a/b");
  CHECK(sample_name("a.b/c.d")->first == "a.b/c");
  CHECK(sample_name("a/b.c.d")->second == "c.d");
  for (const std::string_view none : {"a", ".hidden", "a/.hidden", "__info__", "__meta__/a.txt"}) {
    CHECK_FALSE(sample_name(none));
  }
  CHECK(sample_name("_a_.b"));
}

TEST_CASE("a shard cut short has the samples that are whole, and says what is wrong", "[shard]") {
  const TemporaryFolder folder;
  const std::string whole = two + ending;
  for (std::size_t cut = 0; cut < whole.size(); cut += 100) {
    const Shard shard(folder.write("cut.tar", whole.substr(0, cut)));
    // The second sample is whole only where the archive's end tells that nothing of it is missing.
    CHECK(shard.size() == (cut >= two.size() + 512 ? 2u : cut > two.size() - 1536 ? 1u : 0u));
    CHECK(shard.problem().empty() == (cut == two.size() + 512 || cut >= two.size() + 512));
    for (std::size_t i = 0; i < shard.size(); ++i) CHECK(shard.sample(i).fields.size() == (i == 0 ? 3 : 2));
  }
}

TEST_CASE("a field twice, a compressed shard and a missing one are refused", "[shard]") {
  const TemporaryFolder folder;
  const Shard twice(folder.write("twice.tar", file("0.txt", "a") + file("0.TXT", "b") + ending));
  CHECK_THROWS_WITH(twice.sample(0), Catch::Contains("sample 0 has the field txt twice"));
  CHECK_THROWS_WITH(Shard(folder.write("a.tar.gz", "\x1f\x8b\x08 and so on")), Catch::Contains("it is compressed"));
  CHECK_THROWS_WITH(Shard(folder.path() / "none.tar"), Catch::Contains("cannot open it"));
  std::string many;
  for (std::size_t i = 0; i <= Shard::max_fields; ++i) many += file("0." + std::to_string(i), "");
  const Shard wide(folder.write("wide.tar", many + ending));
  CHECK_THROWS_WITH(wide.sample(0), Catch::Contains("more than 4096 fields"));
}

}  // namespace shard_test
