/// excitation: f[m] = a[m] g σ(z[m])      excite: y[n] = x[n] + f[m] h[n], for the rows n of picture m
///
/// What a picture's residual branch counts for, channel by channel (Hu et al. 2018): z (M, D) are gates made of the
/// branch's mean, a (M) the scalars that a config gives a picture's branch (0 drops it), and g one learned gain for
/// all.
#pragma once
#include <span>

#include <flamingo/core/context.hpp>
#include <flamingo/core/parameters.hpp>
#include <flamingo/ops/grid.hpp>

namespace flamingo {
namespace kernels {
/// Gains of pictures and channels; defined once per platform.
template <Platform P>
struct Excitation;
}  // namespace kernels

namespace ops {
namespace detail {

template <Platform P, class Z, class Gain, class F>
void check_excitation(const char* where, const Z& z, View<P, 1, const AccumulateOf<P>> amounts, const Gain&,
                      const F& f) {
  static_assert(Gain::extent == 1, "excitation: the gain is one number");
  check(z.shape() == f.shape(), where, "z is ", z.shape(), " and f is ", f.shape(), ": their shapes differ");
  check(amounts.shape[0] == z.rows, where, "there are ", amounts.shape[0], " amounts, expected ", z.rows);
}
template <class H, class F>
void check_excite(const char* where, const H& h, std::span<const Grid> grids, const F& f) {
  static_assert(agree(width_of<H>, width_of<F>), "excite: the widths of h and f differ");
  check_grids(where, grids, h.rows);
  check(f.rows == static_cast<int>(grids.size()) && int(f.width) == int(h.width), where, "f is ", f.shape(),
        ", expected (", grids.size(), ", ", int(h.width), ')');
}

}  // namespace detail

template <Platform P, RowsOn<P> Z, class Gain, RowsOn<P> F>
void excitation(Context<P>& ctx, const Z& z, View<P, 1, const AccumulateOf<P>> amounts, const Gain& gain, const F& f) {
  detail::check_excitation("excitation", z, amounts, gain, f);
  kernels::Excitation<P>::gate(ctx, z, amounts, gain.data, any(f));
}
/// Writes dz; adds to dgain. dz may be df.
template <Platform P, RowsOn<P> Z, class Gain, RowsOn<P> F, RowsOn<P> DZ, VectorSink DGain>
void excitation_backward(Context<P>& ctx, const Z& z, View<P, 1, const AccumulateOf<P>> amounts, const Gain& gain,
                         const F& df, const DZ& dz, const DGain& dgain) {
  detail::check_excitation("excitation_backward", z, amounts, gain, df);
  check(dz.shape() == z.shape(), "excitation_backward", "dz is ", dz.shape(), ", expected ", z.shape());
  if constexpr (wanted<DGain>) kernels::Excitation<P>::gate_backward_gain(ctx, z, amounts, df, dgain.data);
  kernels::Excitation<P>::gate_backward(ctx, z, amounts, gain.data, df, any(dz));
}

/// y may be x or h.
template <Platform P, RowsOn<P> X, RowsOn<P> H, RowsOn<P> F, RowsOn<P> Y>
void excite(Context<P>& ctx, const X& x, const H& h, std::span<const Grid> grids, const F& f, const Y& y) {
  detail::check_excite("excite", h, grids, f);
  check(x.shape() == h.shape() && y.shape() == h.shape(), "excite", "x is ", x.shape(), ", h is ", h.shape(),
        " and y is ", y.shape(), ": their shapes differ");
  kernels::Excitation<P>::excite(ctx, x, h, grids, f, any(y));
}
/// Writes dh = f dy and df[m] = Σ dy h over the picture's rows. dx is dy itself.
template <Platform P, RowsOn<P> H, RowsOn<P> F, RowsOn<P> Y, RowsOn<P> DH, RowsOn<P> DF>
void excite_backward(Context<P>& ctx, const H& h, std::span<const Grid> grids, const F& f, const Y& dy, const DH& dh,
                     const DF& df) {
  detail::check_excite("excite_backward", h, grids, f);
  check(dy.shape() == h.shape() && dh.shape() == h.shape() && df.shape() == f.shape(), "excite_backward", "h is ",
        h.shape(), ", dy is ", dy.shape(), ", dh is ", dh.shape(), ", f is ", f.shape(), " and df is ", df.shape(),
        ": their shapes differ");
  kernels::Excitation<P>::excite_backward(ctx, h, grids, f, dy, any(dh), any(df));
}

}  // namespace ops
}  // namespace flamingo
