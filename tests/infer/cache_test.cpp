#include <flamingo/infer/cache.hpp>

#include <catch2/catch.hpp>

namespace cache_test {

using namespace flamingo;

TEST_CASE("Rows are free again when the last sequence that reads them is gone") {
  const auto uses = Shared<RowUses>::make(11);
  CacheRows a(uses);
  {
    const CacheRows batch = CacheRows::take(uses, 5);
    a.append(batch.runs()[0].first, 3);
    CHECK(uses->used() == 5);
  }
  CHECK(uses->used() == 3);
  {
    CacheRows fork = a;
    const CacheRows more = CacheRows::take(uses, 2);
    fork.append(more.runs()[0].first, 2);
    a = CacheRows(uses);
    CHECK(uses->used() == 5);
    CHECK(fork.count() == 5);
    const CacheRows moved = std::move(fork);
    CHECK(uses->used() == 5);
    CHECK(moved.count() == 5);
  }
  CHECK(uses->used() == 0);
}

TEST_CASE("Rows of a sequence read alone are one run") {
  const auto uses = Shared<RowUses>::make(7);
  CacheRows a(uses);
  for (int step = 0; step < 7; ++step) {
    const CacheRows one = CacheRows::take(uses, 1);
    a.append(one.runs()[0].first, 1);
  }
  REQUIRE(a.runs().size() == 1);
  CHECK(a.runs()[0].count == 7);
  CHECK_THROWS_WITH(CacheRows::take(uses, 1), Catch::Contains("[cache] 1 adjacent rows asked for, 0 of 7 are free"));
}

TEST_CASE("A pool goes on after the rows taken last, then looks for the first gap that is long enough") {
  const auto uses = Shared<RowUses>::make(10);
  CacheRows a = CacheRows::take(uses, 3), b = CacheRows::take(uses, 2), c = CacheRows::take(uses, 4);
  a = CacheRows();
  CHECK(CacheRows::take(uses, 1).runs()[0].first == 9);
  const CacheRows d = CacheRows::take(uses, 2);
  CHECK(d.runs()[0].first == 0);
  CHECK_THROWS_WITH(CacheRows::take(uses, 3), Catch::Contains("3 adjacent rows asked for, 2 of 10 are free"));
  b = CacheRows();
  CHECK(CacheRows::take(uses, 3).runs()[0].first == 2);
}

TEST_CASE("A content key depends on every byte, the frames and the place") {
  std::vector<std::byte> bytes(13, std::byte{7});
  const std::uint64_t key = content_key(bytes, 1, 0);
  CHECK(key == content_key(bytes, 1, 0));
  CHECK(key != content_key(bytes, 2, 0));
  CHECK(key != content_key(bytes, 1, 1));
  CHECK(key != content_key(bytes, 1, 0, 3));
  for (std::byte& b : bytes) {
    b = std::byte{8};
    CHECK(key != content_key(bytes, 1, 0));
    b = std::byte{7};
  }
}

}  // namespace cache_test
