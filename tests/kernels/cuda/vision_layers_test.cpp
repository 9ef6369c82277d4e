#include "kernels/cuda/vision_layers.hpp"

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>

namespace flamingo::test {
extern template Results vision_transformers<Cpu<double, Isa::portable>>();
extern template Results convolutional_encoders<Cpu<double, Isa::portable>>();
}  // namespace flamingo::test

namespace vision_layers_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

void check_agreement(const Results& got, const Results& expected) {
  const double allowed = chain_bound<double>(roundings_of_encoders());
  REQUIRE(allowed < 1e-12);
  const Worst worst = worst_distance(got, expected);
  INFO(worst.name);
  CHECK(worst.distance < allowed);
}

}  // namespace

// In double: their operations are compared in float too (operations_test.cpp, vision_operations_test.cpp).
TEST_CASE("vision transformers on Cuda agree with the CPU's, there and back", "[cuda]") {
  const Results got = vision_transformers<Cuda<double>>();
  check_agreement(got, vision_transformers<Cpu<double, Isa::portable>>());
  REQUIRE(got[1].name == "ViT y");
  CHECK(got[0].numbers == got[1].numbers);  // bit for bit without gradients
}

TEST_CASE("convolutional encoders on Cuda agree with the CPU's, and give the same bits every time", "[cuda]") {
  const Results got = convolutional_encoders<Cuda<double>>();
  check_agreement(got, convolutional_encoders<Cpu<double, Isa::portable>>());
  CHECK(worst_distance(convolutional_encoders<Cuda<double>>(), got).distance == 0);
}

}  // namespace vision_layers_test
