#include <flamingo/data/captions.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace captions_test {

using namespace flamingo;
using Cases = std::vector<std::pair<std::string_view, std::string_view>>;

TEST_CASE("dates and times leave captions", "[captions]") {
  for (const auto& [caption, expected] : Cases{
           {"A dog runs on 12 May 2019.", "A dog runs."},
           {"A dog runs, May 12th, 2019, in the snow", "A dog runs, in the snow"},
           {"Sunset on the 3rd of August 1999 over a lake", "Sunset over a lake"},
           {"The crowd on Monday, 2 June 2014", "The crowd"},
           {"Church tower (1987) and a tree", "Church tower and a tree"},
           {"Market square in 1954 with carts", "Market square with carts"},
           {"Portrait of a woman, 1901", "Portrait of a woman"},
           {"Aurora 2019-05-12", "Aurora"},
           {"Rally, 12/05/2019.", "Rally."},
           {"Lunch at 12:30 pm with friends", "Lunch with friends"},
           {"The band in Sept. 2003", "The band"},
           {"Oct 3, 2008: two boats", "two boats"},
       })
    CHECK(without_dates(caption) == expected);
}

TEST_CASE("what only looks like a date stays", "[captions]") {
  for (const std::string_view caption : {"May looks at 12 roses", "a march of 300 people", "Boeing 747 on the runway",
                                         "room 1984", "3 of 4 cats", "version 1.2", "It may rain", "a 2019 Toyota",
                                         "  two  spaces kept", "", "50 50 20 people", "score 3:1", "Am 4. Juli"})
    CHECK(without_dates(caption) == caption);
}

TEST_CASE("places leave captions where they are additions", "[captions]") {
  for (const auto& [caption, expected] : Cases{
           {"Eiffel tower in Paris, France.", "Eiffel tower."},
           {"A barn near Springfield, Illinois at dawn", "A barn at dawn"},
           {"Skyline, New York City", "Skyline"},
           {"Skyline (Hong Kong) by night", "Skyline by night"},
           {"Two cats in the Netherlands playing", "Two cats playing"},
           {"A man from South Korea holds a fish", "A man holds a fish"},
           {"Lighthouse - Maine", "Lighthouse"},
       })
    CHECK(without_places(caption) == expected);
  for (const std::string_view caption : {"A Paris street", "turkey in the oven", "Two cats in a box", "China plates",
                                         "", "Paris", "Georgia O'Keeffe painting", "in the middle of May"})
    CHECK(without_places(caption) == caption);
  constexpr std::array<std::string_view, 2> own{"bree", "the shire"};
  CHECK(without_places("An inn in Bree", own) == "An inn");
  CHECK(without_places("An inn in Paris", own) == "An inn in Paris");
  constexpr std::array<std::string_view, 2> unsorted{"b", "a"};
  CHECK_THROWS_AS(without_places("x", unsorted), Error);
}

TEST_CASE("captions of other scripts pass untouched", "[captions]") {
  for (const std::string_view caption : {"猫が箱の中にいる", "ein Hund läuft", "кот в коробке", "caf\xc3\xa9 1"}) {
    CHECK(without_dates(caption) == caption);
    CHECK(without_places(caption) == caption);
  }
}

}  // namespace captions_test
