#include <flamingo/eval/metrics/tagger.hpp>

#include <catch2/catch.hpp>

#include "io/files.hpp"

namespace tagger_test {

using namespace flamingo;
using List = std::vector<std::string>;

TEST_CASE("words of a sentence are the Treebank's", "[eval][tagger]") {
  CHECK(treebank_words("a dog's ball isn't red.") == List{"a", "dog", "'s", "ball", "is", "n't", "red", "."});
  CHECK(treebank_words("cats, dogs (2,000)") == List{"cats", ",", "dogs", "(", "2,000", ")"});
  CHECK(treebank_words("why? U.S. $5") == List{"why", "?", "U.S.", "$", "5"});
  CHECK(treebank_words("t-shirt and/or 10:30") == List{"t-shirt", "and/or", "10:30"});
  CHECK(treebank_words("").empty());
}

// The tags that NLTK 3.10 gives with the same weights (tests/fixtures/eval/README.md).
TEST_CASE("tags are those of NLTK's perceptron", "[eval][tagger]") {
  const PerceptronTagger tagger(FLAMINGO_TEST_DATA "/fixtures/eval/tagger");
  CHECK(tagger.tag({"dogs"}) == List{"DT"});
  CHECK(tagger.tag({"red", "gloves"}) == List{"DT", "JJ"});
  CHECK(tagger.tag({"surfboards", "in", "1995"}) == List{"NN", "VBP", "CD"});
  CHECK(tagger.tag({"a", "big", "old", "kite", "flys", "12", "waves"}) ==
        List{"DT", "JJ", "NNS", "NN", "VBZ", "CD", "NNS"});
  CHECK(tagger.tag({"Émile's", "hats"}) == List{"DT", "JJ"});
  CHECK(tagger.tag({"the", "unknowns", "hold"}) == List{"DT", "JJ", "NNS"});
  CHECK(tagger.tag({"cats", ",", "trees"}) == List{"DT", "JJ", "NNS"});
  CHECK(tagger.tag({}).empty());
}

TEST_CASE("a tagger without its files, or with tags that are no class, is refused", "[eval][tagger]") {
  CHECK_THROWS_WITH(PerceptronTagger("/nowhere"), Catch::Contains("averaged_perceptron_tagger_eng.weights.json"));
  const tests::TemporaryFolder folder;
  folder.write("averaged_perceptron_tagger_eng.weights.json", R"({"bias": {"XX": 1}})");
  folder.write("averaged_perceptron_tagger_eng.tagdict.json", "{}");
  folder.write("averaged_perceptron_tagger_eng.classes.json", R"(["NN"])");
  CHECK_THROWS_WITH(PerceptronTagger(folder.path()), Catch::Contains("found the tag 'XX', which is no class"));
}

}  // namespace tagger_test
