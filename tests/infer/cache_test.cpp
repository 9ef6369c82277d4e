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

TEST_CASE("rows of sequences that are read a token at a time lie one after another") {
  RowUses uses(200);
  const int prompts = uses.take(10);  // of two sequences, five rows each
  std::vector<int> a{prompts + 4}, b{prompts + 9};
  for (int i = 0; i < 40; ++i)
    for (std::vector<int>* s : {&a, &b}) s->push_back(uses.take_after(s->back()));
  const auto breaks = [](const std::vector<int>& s) {
    int n = 0;
    for (std::size_t i = 1; i < s.size(); ++i) n += s[i] != s[i - 1] + 1;
    return n;
  };
  CHECK((breaks(a) == 1 && breaks(b) == 1));  // behind the prompts, and nowhere else
  // Where little is left rows come one by one, until there is none.
  for (int i = uses.used(); i < 200; ++i) a.push_back(uses.take_after(a.back()));
  CHECK(uses.used() == 200);
  CHECK_THROWS_WITH(uses.take_after(a.back()), Catch::Contains("[cache] all 200 rows are in use"));
}

}  // namespace cache_test
