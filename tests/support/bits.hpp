/// What must not change a single bit: the number of threads, a second run, the address of a tensor.
#pragma once
#include <catch2/catch.hpp>

#include <flamingo/core/context.hpp>

#include "support/tensor.hpp"

namespace flamingo::test {

/// `compute(ctx)` returns a tensor, or an array of them, made from tensors of its own: new addresses in each run.
template <Platform P, class Compute>
void check_repeatable(const Compute& compute) {
  Context<P> one(1, 1 << 22);
  const auto first = compute(one);
  CHECK(compute(one) == first);
  for (const int threads : {2, 3}) {
    INFO(threads << " threads");
    Context<P> ctx(threads, 1 << 22);
    CHECK(compute(ctx) == first);
  }
  INFO("a host's threads");
  Context<P> hosted(
      3,
      [](int n, FunctionRef<void(int)> f) {
        while (n-- > 0) f(n);
      },
      1 << 22);
  CHECK(compute(hosted) == first);
}

}  // namespace flamingo::test
