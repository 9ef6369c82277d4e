#include <flamingo/core/platform.hpp>

#include <catch2/catch.hpp>
#include <type_traits>

namespace platform_test {

using namespace flamingo;

TEST_CASE("a platform is a device and a number type", "[platform]") {
  static_assert(Platform<Cpu<float>> && Platform<Cuda<bfloat16>> && Platform<Dry<Cuda<half>>> && !Platform<float>);
  static_assert(std::is_same_v<Dry<Cpu<double>>::Real, double>);
  static_assert(std::is_same_v<AccumulateOf<Cuda<bfloat16>>, float> &&
                std::is_same_v<AccumulateOf<Dry<Cpu<double>>>, double>);
  static_assert(!std::is_same_v<Cpu<float, Isa::avx2>, Cpu<float, Isa::avx512>>);
  static_assert(!std::is_same_v<Cpu<float, Isa::avx2, Products::own>, Cpu<float, Isa::avx2, Products::eigen>>);
  CHECK(Cpu<float>::name == "cpu");
  CHECK(Cuda<float>::name == "cuda");
  CHECK(Dry<Cpu<float>>::name == "dry");
}

}  // namespace platform_test
