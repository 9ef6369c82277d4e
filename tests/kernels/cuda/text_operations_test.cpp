#include "kernels/cuda/text_operations.hpp"

#include <catch2/catch.hpp>

#include <flamingo/cuda.cuh>
#include <flamingo/ops/split.hpp>

namespace flamingo::test {
extern template Results text_operations<Cpu<double, Isa::portable>>();
}  // namespace flamingo::test

namespace text_operations_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

template <class R>
const Results& first_run() {
  static const Results results = text_operations<Cuda<R>>();
  return results;
}

}  // namespace

TEMPLATE_TEST_CASE("each operation on text of Cuda agrees with the CPU's", "[cuda]", float, double) {
  const Results &got = first_run<TestType>(), expected = text_operations<Cpu<double, Isa::portable>>();
  const double allowed = chain_bound<TestType>(roundings_of_text_operations);
  if (std::is_same_v<TestType, double>) REQUIRE(allowed < 1e-12);
  const Worst worst = worst_distance(got, expected);
  INFO(worst.name);
  CHECK(worst.distance < allowed);
}

TEST_CASE("operations on text of Cuda give the same bits every time", "[cuda]") {
  CHECK(worst_distance(text_operations<Cuda<float>>(), first_run<float>()).distance == 0);
}

TEST_CASE("a split model on Cuda sums by the context's communicator, in the order of its stream", "[cuda]") {
  using P = Cuda<float>;
  Run<P> run;
  const auto y = run.blank(2, 3);
  CHECK_THROWS_WITH(ops::leave<2>(run.ctx, y),
                    "[split] the model is split but the context has no communicator: set sum_over_processes");
  run.ctx.sum_over_processes = [&](float* numbers, std::size_t count, cudaStream_t stream) {
    CHECK((numbers == y.data && count == 6 && stream == run.ctx.stream()));
    check_cuda(raw::add(numbers, numbers, numbers, count, stream), "sum");  // as if of two processes
  };
  ops::leave<2>(run.ctx, y);
  ops::enter<2>(run.ctx, y);
  ops::enter<1>(run.ctx, y);
  run.report("y", y);
  CHECK(run.results[0].numbers == std::vector<double>(6, 28));
}

}  // namespace text_operations_test
