/// The numbers that Cuda's products read where weights are packed.
#pragma once
#include <flamingo/core/context.hpp>
#include <flamingo/core/parameters.hpp>
#include <flamingo/kernels/cuda/linear_sizes.hpp>

namespace flamingo::kernels {

/// Takes, until the caller's scope ends, what Q unpacks of w into scratch: nothing on the CPU.
template <Platform Q, class W>
void take_unpacked(Context<Dry<Q>>&, const W&) {}
template <Real R, int O, int D>
void take_unpacked(Context<Dry<Cuda<R>>>& ctx, const PackedMatrix<Dry<Cuda<R>>, O, D>& w) {
  if (!lies_as_numbers<R>(w.format)) scratch(ctx, w.rows, w.columns);
}

}  // namespace flamingo::kernels
