#include <flamingo/core/kinds.hpp>

#include <catch2/catch.hpp>

namespace kinds_test {

using namespace flamingo;

// What the kinds compute is tested with the ops that take them; here, that their numbers, which configs may be saved
// by, do not move.
TEST_CASE("kinds keep their numbers", "[kinds]") {
  static_assert(static_cast<int>(Activation::identity) == 0);
  static_assert(static_cast<int>(Activation::gelu) == 1);
  static_assert(static_cast<int>(Activation::gelu_tanh) == 2);
  static_assert(static_cast<int>(Activation::quick_gelu) == 3);
  static_assert(static_cast<int>(Activation::silu) == 4);
  static_assert(static_cast<int>(Activation::relu) == 5);
  static_assert(static_cast<int>(Activation::relu6) == 6);
  static_assert(static_cast<int>(Activation::squared_relu) == 7);
  static_assert(RotaryPairs::halves != RotaryPairs::adjacent);
  SUCCEED();
}

}  // namespace kinds_test
