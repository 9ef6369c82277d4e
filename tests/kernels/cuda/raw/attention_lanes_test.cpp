/// Attention on the ordinary units against plain loops in double, for each element type and several head sizes.
#include <cstddef>
#include <vector>

#include <catch2/catch.hpp>

#include "attention_spans.hpp"

namespace attention_lanes_test {

using namespace emulator;

TEST_CASE("attention agrees with the formulas", "[raw][attention]") {
  check_against_reference<float, 16, false>(3, 3, 0);
  check_against_reference<float, 32, true>(6, 2, 8);
  check_against_reference<float, 40, false>(2, 1, 4);  // not a whole number of channels for each lane
  check_against_reference<float, 64, false>(2, 2, 3);  // rows on no 16 bytes
  check_against_reference<double, 16, true>(6, 2, 0);
  check_against_reference<double, 32, false>(3, 1, 1);
  check_against_reference<double, 128, false>(2, 1, 0);  // one stage
}

}  // namespace attention_lanes_test
