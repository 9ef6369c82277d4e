#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>

#include "kernels/cuda/model.hpp"

namespace flamingo::test {
extern template ModelReport drawn_model<Cpu<double, Isa::portable>>();
}  // namespace flamingo::test

namespace model_types_test {

using namespace flamingo;
using namespace flamingo::test;

TEST_CASE("a model asked in bf16 on Cuda finds given answers about as likely as the CPU in double", "[cuda]") {
  const ModelReport got = drawn_model<Cuda<bfloat16>>(), expected = drawn_model<Cpu<double, Isa::portable>>();
  // A row is rounded where it is read, after both halves of each block, and where it is normed last.
  constexpr int roundings = 2 + 2 * (mini_config.lm.layers + mini_config.gated_blocks());
  REQUIRE(got.answers.size() == expected.answers.size());
  for (std::size_t i = 0; i < got.answers.size(); ++i)
    CHECK(std::abs(got.answers[i] / expected.answers[i] - 1) < chain_bound<bfloat16>(roundings) / 2);
  CHECK(got.ids.size() == 3);
  for (const auto& ids : got.ids) CHECK(ids.size() == 8);
}

}  // namespace model_types_test
