#include <flamingo/dist/parts.hpp>

#include <catch2/catch.hpp>
#include <initializer_list>

namespace parts_test {

using namespace flamingo::dist;

TEST_CASE("parts lie one after another, are of nearly one size and begin at multiples of the grain", "[dist]") {
  for (const int processes : {1, 2, 3, 4, 7})
    for (const Range all : {Range{0, 0}, Range{0, 16}, Range{256, 1024}, Range{512, 5 * 256 + 48}, Range{0, 100000}}) {
      CAPTURE(processes, all.begin, all.end);
      const Parts parts{all, processes};
      std::size_t at = all.begin, largest = 0;
      for (int r = 0; r < processes; ++r) {
        const Range part = parts.of(r);
        CHECK(part.begin == at);
        CHECK(part.end >= part.begin);
        CHECK((part.empty() || r == 0 || part.begin % grain == 0));
        largest = std::max(largest, part.size());
        at = part.end;
      }
      CHECK(at == all.end);
      CHECK(largest <= all.size() / static_cast<std::size_t>(processes) + grain);
    }
}

}  // namespace parts_test
