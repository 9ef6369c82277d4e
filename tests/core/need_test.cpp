#include <flamingo/core/need.hpp>

#include <catch2/catch.hpp>

namespace need_test {

using namespace flamingo;

TEST_CASE("what is needed is chosen while compiling", "[need]") {
  static_assert(!no_gradients.any() && input_gradients.any() && weight_gradients.any() && all_gradients.any());
  static_assert(all_gradients.inputs && all_gradients.weights && !input_gradients.weights && !weight_gradients.inputs);
  SUCCEED();
}

}  // namespace need_test
