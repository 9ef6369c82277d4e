#include <flamingo/eval/metrics/wordnet.hpp>

#include <catch2/catch.hpp>

#include "small_wordnet.hpp"

namespace wordnet_test {

using namespace flamingo;
using List = std::vector<std::string>;

TEST_CASE("forms find their lemmas", "[eval][wordnet]") {
  const test::SmallWordNet database;
  const WordNet wordnet(database.path());
  CHECK(wordnet.lemmas("dogs", WordNet::noun) == List{"dog"});
  CHECK(wordnet.lemmas("geese", WordNet::noun) == List{"goose"});
  CHECK(wordnet.lemmas("ran", WordNet::verb) == List{"run"});
  CHECK(wordnet.lemmas("riding", WordNet::verb) == List{"ride", "rid"});
  CHECK(wordnet.lemma("riding", WordNet::verb) == "rid");
  CHECK(wordnet.lemmas("bigger", WordNet::adjective).empty());
  CHECK(wordnet.lemma("flying", WordNet::verb) == "flying");
  CHECK(wordnet.lemmas("", WordNet::noun).empty());
  CHECK(wordnet.synsets("Dogs").size() == 1);
  CHECK(wordnet.synsets("unknown").empty());
  CHECK_THROWS_WITH(WordNet("/nowhere"), Catch::Contains("index.noun"));
}

TEST_CASE("similarity is Wu and Palmer's", "[eval][wordnet]") {
  const test::SmallWordNet database;
  const WordNet wordnet(database.path());
  const auto alike = [&](const char* a, const char* b) {
    return wordnet.similarity(wordnet.synsets(a)[0], wordnet.synsets(b)[0]).value();
  };
  // entity 1, animal 2, pet and mammal 3 by the longest way. dog -> pet <- cat and dog -> canine -> mammal <- cat: of
  // the two deepest, mammal comes first by name.
  CHECK(alike("dog", "cat") == Approx(2.0 * 3 / (2 * 3 + 2 + 1)));
  CHECK(alike("cat", "dog") == Approx(2.0 * 3 / (2 * 3 + 1 + 2)));
  CHECK(alike("dog", "goose") == Approx(2.0 * 2 / (2 * 2 + 2 + 1)));
  CHECK(alike("ball", "rex") == Approx(2.0 * 1 / (2 * 1 + 1 + 4)));
  CHECK(alike("canine", "canine") == 1);
  CHECK(alike("rex", "canine") == Approx(2.0 * 4 / (2 * 4 + 2)));
  // Verbs, and a verb and a noun, meet in a root above all.
  CHECK(alike("run", "sprint") == Approx(2.0 / (2 + 1)));
  CHECK(alike("sprint", "run") == Approx(2.0 / (2 + 2 + 1)));  // as NLTK has it: the root's name comes first
  CHECK(alike("ride", "run") == Approx(2.0 / (2 + 1 + 1)));
  CHECK(alike("ball", "ride") == Approx(2.0 / (2 + 2 + 1)));
}

}  // namespace wordnet_test
