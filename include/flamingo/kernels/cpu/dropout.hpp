/// Numbers dropped by chance on the CPU.
#pragma once
#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/ops/dropout.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Drop<Cpu<R, Set>> {
  using P = Cpu<R, Set>;

  static void forward(Context<P>& ctx, const Dropout& rule, In<P> x, Out<P> y) {
    const R scale = R(1 / (1 - rule.probability));
    ctx.threads().run(x.rows, [&](int n) {
      for (int d = 0; d < x.width; ++d) y.row(n)[d] = rule.keeps(n, d, x.width) ? scale * x.row(n)[d] : R(0);
    });
  }
};

}  // namespace flamingo::kernels
