/// Products of rows that a context rounds: a row's bits are its own.
#pragma once
#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>

#include "support/packing.hpp"

namespace flamingo::test {

/// Under `rounds`, rows that multiply a matrix of `format` in panels have the same bits alone, beside others, and on
/// any number of threads.
template <Platform P>
void check_rows_alone(Format format, bool Context<P>::*rounds) {
  using R = typename P::Real;
  constexpr int N = 300, in = 1184, out = 67;
  const auto x = Tensor<R>::random(N, in, 1);
  const PackedTensor packed(format, out, in, 5);
  const Panels<P> panels(packed.on<P>());
  Context<P> ctx(2, 1 << 20), alone(1, 1 << 20);
  ctx.*rounds = alone.*rounds = true;
  Tensor<R> all(N, out);
  ops::linear(ctx, x.template rows_on<P>(), panels.view, all.template rows_on<P>());
  for (const int first : {0, 5, 11, 12, 240, 291})
    for (const int count : {1, 3, 8, 9}) {
      Tensor<R> y(count, out), on_one(count, out);
      const auto some = rows_of(x, first, count);
      ops::linear(ctx, some.template rows_on<P>(), panels.view, y.template rows_on<P>());
      ops::linear(alone, some.template rows_on<P>(), panels.view, on_one.template rows_on<P>());
      CHECK(y == rows_of(all, first, count));
      CHECK(y == on_one);
    }
}

}  // namespace flamingo::test
