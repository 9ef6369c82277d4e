/// Choosing among logits on CUDA: what was chosen is all that need reach the host.
#pragma once
#include <cstddef>

#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/raw/choice.cuh>
#include <flamingo/ops/choice.hpp>

namespace flamingo::kernels {

template <Real R>
struct Choosing<Cuda<R>> {
  using P = Cuda<R>;

  static void likeliest(Context<P>& ctx, In<P> logits, View<P, 1, const int> banned, int k, View<P, 1, Choice> best) {
    static_assert(sizeof(raw::Choice) == sizeof(Choice) && offsetof(raw::Choice, id) == offsetof(Choice, id) &&
                  offsetof(raw::Choice, log_p) == offsetof(Choice, log_p));
    check_cuda(raw::likeliest(bare(logits.data), logits.rows, logits.width, banned.data, banned.shape[0], k,
                              reinterpret_cast<raw::Choice*>(best.data), ctx.stream()),
               "likeliest");
  }
};

}  // namespace flamingo::kernels
