#include <flamingo/infer/cache.hpp>

#include <catch2/catch.hpp>
#include <thread>

namespace cache_test {

using namespace flamingo;

TEST_CASE("Rows are free again when the last sequence that reads them is gone") {
  const auto uses = Shared<RowUses>::make(11);
  CacheRows a(uses);
  {
    CacheRows batch = CacheRows::take_after(uses, -1, 5);
    CHECK(uses->used() == 5);
    a.append(std::move(batch));
  }
  CHECK(uses->used() == 5);
  {
    CacheRows fork = a;
    fork.append(CacheRows::take_after(uses, fork.last(), 2));
    a = CacheRows(uses);
    CHECK(uses->used() == 7);
    CHECK(fork.count() == 7);
    const CacheRows moved = std::move(fork);
    CHECK(uses->used() == 7);
    CHECK(moved.count() == 7);
  }
  CHECK(uses->used() == 0);
}

TEST_CASE("Threads may copy, grow and drop sequences of one pool") {
  const auto uses = Shared<RowUses>::make(1000);
  const CacheRows shots = CacheRows::take_after(uses, -1, 50);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        CacheRows query = shots;
        query.append(CacheRows::take_after(uses, query.last(), 1 + i % 9));
        const CacheRows fork = query;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(uses->used() == 50);
}

TEST_CASE("Rows of a sequence read alone are one run") {
  const auto uses = Shared<RowUses>::make(7);
  CacheRows a(uses);
  for (int step = 0; step < 7; ++step) a.append(CacheRows::take_after(uses, a.last(), 1));
  REQUIRE(a.runs().size() == 1);
  CHECK(a.runs()[0].count == 7);
  CHECK_THROWS_WITH(CacheRows::take_after(uses, a.last(), 1),
                    Catch::Contains("[cache] 1 more rows of text asked for, 0 of 7 are free"));
}

TEST_CASE("Rows are taken as long as there are any, whatever the gaps between others") {
  const auto uses = Shared<RowUses>::make(12);
  CacheRows a = CacheRows::take_after(uses, -1, 3), b = CacheRows::take_after(uses, a.last(), 2),
            c = CacheRows::take_after(uses, b.last(), 5);
  CHECK((b.runs()[0].first == 3 && c.runs()[0].first == 5));
  b = CacheRows();
  CHECK_THROWS_AS(CacheRows::take_after(uses, a.last(), 5), CacheFull);
  CHECK(uses->used() == 8);  // what fails takes none
  const CacheRows d = CacheRows::take_after(uses, a.last(), 4);
  REQUIRE(d.runs().size() == 2);
  CHECK((d.runs()[0].first == 3 && d.runs()[0].count == 2 && d.runs()[1].first == 10 && d.runs()[1].count == 2));
  a = c = CacheRows();
  CHECK(uses->used() == 4);
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

TEST_CASE("rows of sequences that are read a token at a time lie one after another") {
  const auto uses = Shared<RowUses>::make(400);
  CacheRows a = CacheRows::take_after(uses, -1, 5), b = CacheRows::take_after(uses, -1, 5);
  for (int i = 0; i < 40; ++i)
    for (CacheRows* s : {&a, &b}) s->append(CacheRows::take_after(uses, s->last(), 1));
  CHECK((a.runs().size() == 1 && b.runs().size() == 1));
  // Where little is left rows come from anywhere, until there is none.
  while (uses->used() < 400) a.append(CacheRows::take_after(uses, a.last(), 1));
  CHECK(a.count() + b.count() == 400);
  CHECK_THROWS_AS(CacheRows::take_after(uses, b.last(), 1), CacheFull);
}

}  // namespace cache_test
