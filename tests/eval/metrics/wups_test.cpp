#include <flamingo/eval/metrics/wups.hpp>

#include <catch2/catch.hpp>

#include "small_wordnet.hpp"

namespace wups_test {

using namespace flamingo;
using List = std::vector<std::string>;

TEST_CASE("answers are as alike as their words, both ways", "[eval][wups]") {
  const test::SmallWordNet database;
  const WordNet wordnet(database.path());
  CHECK(wups(wordnet, List{"dog"}, List{"dog"}) == 1);
  CHECK(wups(wordnet, List{"zebra"}, List{"zebra"}) == 1);
  CHECK(wups(wordnet, List{"zebra"}, List{"dog"}) == 0);
  CHECK(wups(wordnet, List{"cat"}, List{"dog"}) == Approx(6 / 9.0));
  CHECK(wups(wordnet, List{"cat"}, List{"dog"}, 0.9) == Approx(0.1 * 6 / 9.0));
  // The answer's ball is like a cat by 2/(2+1+3) at most: the smaller way counts.
  CHECK(wups(wordnet, List{"cat"}, List{"cat", "ball"}) == Approx(2.0 / (2 + 3 + 1)));
  CHECK(wups(wordnet, List{"cat"}, List{"cat", "unknown"}) == 1);
  CHECK(wups(wordnet, List{}, List{"cat"}) == 0);
  CHECK(wups(wordnet, List{"cat"}, std::vector<List>{{"dog"}, {"cat"}}) == 1);
  CHECK_THROWS_WITH(wups(wordnet, List{"cat"}, std::vector<List>{}), Catch::Contains("no answers"));
}

}  // namespace wups_test
