#include <flamingo/eval/metrics/ngrams.hpp>

#include <catch2/catch.hpp>

namespace ngrams_test {

using namespace flamingo;

TEST_CASE("runs of one to four words are counted", "[eval][ngrams]") {
  const Ngrams n("a b a  b c");
  CHECK(n.words == 5);
  CHECK(n.counts[0].at("a") == 2);
  CHECK(n.counts[1].at("a\x1f"
                       "b") == 2);
  CHECK(n.counts[1].size() == 3);
  CHECK(n.counts[2].size() == 3);
  CHECK(n.counts[3].size() == 2);
  CHECK(Ngrams("").words == 0);
  CHECK(Ngrams("one").counts[1].empty());
}

}  // namespace ngrams_test
