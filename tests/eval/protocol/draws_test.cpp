#include <flamingo/eval/protocol/draws.hpp>

#include <catch2/catch.hpp>
#include <set>

namespace draws_test {

using namespace flamingo;
using Places = std::vector<std::size_t>;

TEST_CASE("draws are different numbers, the same for the same purpose and seed", "[eval][draws]") {
  const Places a = drawn(draw_for(3, "queries"), 20, 50);
  CHECK(std::set<std::size_t>(a.begin(), a.end()).size() == 20);
  CHECK(*std::max_element(a.begin(), a.end()) < 50);
  CHECK(a == drawn(draw_for(3, "queries"), 20, 50));
  CHECK(a != drawn(draw_for(4, "queries"), 20, 50));
  CHECK(a != drawn(draw_for(3, "shots of 1"), 20, 50));
  CHECK_THROWS_WITH(drawn(Random(0), 3, 2), "[draws] cannot draw 3 of 2");
  // Each of 5 is drawn first about as often: 2,000 tries, 400 ± 4.5 standard deviations.
  std::vector<int> first(5);
  for (std::uint64_t seed = 0; seed < 2000; ++seed) ++first[drawn(Random(seed), 2, 5)[0]];
  for (const int count : first) CHECK(std::abs(count - 400) < 80);
}

TEST_CASE("orders are as many as there can be, the first the given one", "[eval][draws]") {
  CHECK(orders(Random(1), 0, 6) == std::vector<Places>{{}});
  CHECK(orders(Random(1), 1, 6) == std::vector<Places>{{0}});
  CHECK(orders(Random(1), 2, 6).size() == 2);
  const auto six = orders(Random(1), 8, 6);
  REQUIRE(six.size() == 6);
  CHECK(six[0] == Places{0, 1, 2, 3, 4, 5, 6, 7});
  for (const Places& order : six) CHECK(std::set<std::size_t>(order.begin(), order.end()).size() == 8);
  CHECK(six[1] != six[2]);
  CHECK(orders(Random(1), 4, 1).size() == 1);
}

TEST_CASE("shuffled pictures are never one's own", "[eval][draws]") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Places places = deranged(Random(seed), 7);
    CHECK(std::set<std::size_t>(places.begin(), places.end()).size() == 7);
    for (std::size_t i = 0; i < 7; ++i) CHECK(places[i] != i);
  }
  CHECK_THROWS_WITH(deranged(Random(0), 1), Catch::Contains("cannot give 1 item"));
}

TEST_CASE("each label gets its share", "[eval][draws]") {
  const std::vector<int> labels{0, 0, 0, 1, 0, 2, 2};
  std::vector<int> taken(3);
  for (const std::size_t i : drawn_of_each(Random(2), 2, labels)) ++taken[static_cast<std::size_t>(labels[i])];
  CHECK(taken == std::vector<int>{2, 1, 2});
  CHECK_THROWS_WITH(drawn_of_each(Random(2), 2, {0, -1}), "[draws] item 1 has no label");
}

}  // namespace draws_test
