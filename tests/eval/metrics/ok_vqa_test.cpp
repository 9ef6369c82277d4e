#include <flamingo/eval/metrics/ok_vqa.hpp>

#include <catch2/catch.hpp>

#include "small_wordnet.hpp"

namespace ok_vqa_test {

using namespace flamingo;

TEST_CASE("singulars are those of the package inflection", "[eval][ok_vqa]") {
  const std::pair<const char*, const char*> words[] = {{"dogs", "dog"},
                                                       {"Buses", "Bus"},
                                                       {"bus", "bus"},
                                                       {"boxes", "box"},
                                                       {"churches", "church"},
                                                       {"dishes", "dish"},
                                                       {"mice", "mouse"},
                                                       {"lice", "louse"},
                                                       {"geese", "geese"},
                                                       {"children", "child"},
                                                       {"Children", "Child"},
                                                       {"men", "man"},
                                                       {"women", "woman"},
                                                       {"people", "person"},
                                                       {"axes", "axis"},
                                                       {"oxen", "ox"},
                                                       {"quizzes", "quiz"},
                                                       {"movies", "movie"},
                                                       {"series", "series"},
                                                       {"species", "species"},
                                                       {"fish", "fish"},
                                                       {"jeans", "jeans"},
                                                       {"wolves", "wolf"},
                                                       {"calves", "calf"},
                                                       {"knives", "knife"},
                                                       {"stoves", "stofe"},
                                                       {"drives", "drife"},
                                                       {"hives", "hive"},
                                                       {"cities", "city"},
                                                       {"keys", "key"},
                                                       {"heroes", "hero"},
                                                       {"tomatoes", "tomato"},
                                                       {"potatoes", "potato"},
                                                       {"shoes", "shoe"},
                                                       {"crises", "crisis"},
                                                       {"analyses", "analysis"},
                                                       {"theses", "thesis"},
                                                       {"bases", "basis"},
                                                       {"data", "datum"},
                                                       {"media", "medium"},
                                                       {"news", "news"},
                                                       {"glasses", "glass"},
                                                       {"glass", "glass"},
                                                       {"status", "status"},
                                                       {"statuses", "status"},
                                                       {"alias", "alias"},
                                                       {"octopi", "octopus"},
                                                       {"viri", "virus"},
                                                       {"matrices", "matrix"},
                                                       {"indices", "index"},
                                                       {"humans", "human"},
                                                       {"moves", "move"},
                                                       {"sexes", "sex"},
                                                       {"zombies", "zombie"},
                                                       {"kine", "cow"},
                                                       {"gloves", "glofe"},
                                                       {"waves", "wafe"},
                                                       {"horses", "horse"},
                                                       {"houses", "house"},
                                                       {"leaves", "leafe"},
                                                       {"selves", "self"},
                                                       {"lives", "life"},
                                                       {"skis", "ski"},
                                                       {"tennis", "tenni"},
                                                       {"gas", "ga"},
                                                       {"goldfish", "goldfish"},
                                                       {"jellyfish", "jellyfish"},
                                                       {"taxis", "taxi"},
                                                       {"oasis", "oasi"},
                                                       {"photos", "photo"},
                                                       {"buses'", "buses'"},
                                                       {"s", ""},
                                                       {"x", "x"},
                                                       {"databases", "database"},
                                                       {"natives", "native"},
                                                       {"soliloquies", "soliloquy"},
                                                       {"ladies", "lady"},
                                                       {"dies", "dy"},
                                                       {"passersby", "passerby"},
                                                       {"vertices", "vertex"},
                                                       {"criteria", "criterium"},
                                                       {"bacteria", "bacterium"},
                                                       {"sheep", "sheep"},
                                                       {"equipment", "equipment"},
                                                       {"rice", "rice"},
                                                       {"price", "price"},
                                                       {"prices", "price"},
                                                       {"police", "polouse"}};
  for (const auto& [plural, expected] : words) {
    INFO(plural);
    CHECK(singular(plural) == expected);
  }
}

/// Says of words in -s that they are plural nouns.
struct Plurals {
  std::vector<std::string> tag(const std::vector<std::string>& words) const {
    std::vector<std::string> tags;
    for (const std::string& word : words) tags.push_back(word.ends_with('s') ? "NNS" : "NN");
    return tags;
  }
};

TEST_CASE("the list comes first, then verbs in -ing, then plurals", "[eval][ok_vqa]") {
  const test::SmallWordNet database;
  const WordNet wordnet(database.path());
  const Plurals tagger;
  const OkVqaStemmer stemmer(wordnet, tagger);
  CHECK(stemmer.stem("tennis gloves") == "tennis glove");  // both of the list
  CHECK(stemmer.stem("riding") == "ride");                 // of the list, though WordNet's shortest is "rid"
  CHECK(stemmer.stem("sprinting dogs") == "sprint dog");
  CHECK(stemmer.stem("red buses, churches") == "red bus , church");
  CHECK(stemmer.stem("") == "");
  CHECK(std::is_sorted(std::begin(flamingo::detail::ok_vqa_words), std::end(flamingo::detail::ok_vqa_words)));
}

}  // namespace ok_vqa_test
