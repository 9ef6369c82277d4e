/// enter, leave: the borders of a part that several processes divide (Shoeybi et al. 2019); nothing for one process.
///
/// `leave` sums the parts' outputs in forward; `enter` stands where the rows came in and sums their gradients in
/// backward.
#pragma once
#include <flamingo/core/context.hpp>

namespace flamingo {
namespace kernels {
/// Sums over processes; defined once per platform.
template <Platform P>
struct Processes;
}  // namespace kernels

namespace ops {

template <int Split, Platform P, RowsOn<P> Y>
void leave(Context<P>& ctx, const Y& y) {
  if constexpr (Split > 1) kernels::Processes<P>::sum(ctx, any(y));
}
template <int Split, Platform P, RowsSink<P> DX>
void enter(Context<P>& ctx, const DX& dx) {
  if constexpr (Split > 1 && wanted<DX>) kernels::Processes<P>::sum(ctx, any(dx));
}

}  // namespace ops
}  // namespace flamingo
