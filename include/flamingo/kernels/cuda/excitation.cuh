/// Gains of pictures and channels on CUDA.
#pragma once
#include <span>

#include <flamingo/kernels/cuda/raw/excitation.cuh>
#include <flamingo/kernels/cuda/windows.cuh>
#include <flamingo/ops/excitation.hpp>

namespace flamingo::kernels {

template <Real R>
struct Excitation<Cuda<R>> {
  using P = Cuda<R>;
  using A = AccumulateOf<P>;
  using Amounts = View<P, 1, const A>;
  using Grids = std::span<const Grid>;

  static void gate(Context<P>& ctx, In<P> z, Amounts amounts, const A* gain, Out<P> f) {
    check_cuda(raw::excitation(bare(z.data), amounts.data, gain, bare(f.data), z.rows, z.width, ctx.stream()),
               "excitation");
  }
  static void gate_backward(Context<P>& ctx, In<P> z, Amounts amounts, const A* gain, In<P> df, Out<P> dz) {
    check_cuda(raw::excitation_backward(bare(z.data), amounts.data, gain, bare(df.data), bare(dz.data), z.rows, z.width,
                                        ctx.stream()),
               "excitation_backward");
  }
  static void gate_backward_gain(Context<P>& ctx, In<P> z, Amounts amounts, In<P> df, A* dgain) {
    const auto scope = ctx.scope();
    check_cuda(raw::excitation_backward_gain(bare(z.data), amounts.data, bare(df.data), dgain,
                                             take_vector<A>(ctx, z.rows).data, z.rows, z.width, ctx.stream()),
               "excitation_backward");
  }

  static void excite(Context<P>& ctx, In<P> x, In<P> h, Grids grids, In<P> f, Out<P> y) {
    const auto scope = ctx.scope();
    check_cuda(raw::excite(bare(x.data), bare(h.data), bare(f.data), bare(y.data), on_device(ctx, grids), h.width,
                           ctx.stream()),
               "excite");
  }
  static void excite_backward(Context<P>& ctx, In<P> h, Grids grids, In<P> f, In<P> dy, Out<P> dh, Out<P> df) {
    const auto scope = ctx.scope();
    check_cuda(raw::excite_backward(bare(h.data), bare(f.data), bare(dy.data), bare(dh.data), bare(df.data),
                                    on_device(ctx, grids), h.width, ctx.stream()),
               "excite_backward");
  }
};

}  // namespace flamingo::kernels
