#include "kernels/cuda/pair_model.hpp"

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>

#include "kernels/cuda/alike.hpp"

namespace flamingo::test {
extern template std::vector<double> trained_pairs<Cpu<double, Isa::portable>>(int);
}  // namespace flamingo::test

namespace pair_model_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("a pair of contrastive encoders trains on Cuda as on the CPU", "[cuda]") {
  const std::vector<double> got = trained_pairs<Cuda<double>>(3),
                            expected = trained_pairs<Cpu<double, Isa::portable>>(3);
  check_alike(got, expected);
}

}  // namespace pair_model_test
