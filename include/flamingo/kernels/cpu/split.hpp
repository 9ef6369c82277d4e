/// Sums over processes on the CPU, by whatever communicator the context was given.
#pragma once
#include <flamingo/kernels/cpu/context.hpp>
#include <flamingo/ops/split.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Processes<Cpu<R, Set>> {
  using P = Cpu<R, Set>;

  static void sum(Context<P>& ctx, Out<P> x) {
    check(static_cast<bool>(ctx.sum_over_processes), "split",
          "the model is split but the context has no communicator: set sum_over_processes");
    ctx.sum_over_processes(x.data, x.size());
  }
};

}  // namespace flamingo::kernels
