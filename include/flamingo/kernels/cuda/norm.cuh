/// Layer and RMS norm on CUDA. Moments lie as two vectors one after the other, all means and all reciprocal deviations:
/// nobody but backward reads them.
#pragma once
#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/raw/layer_norm.cuh>
#include <flamingo/ops/norm.hpp>

namespace flamingo::kernels {

template <Real R>
struct Norm<Cuda<R>> {
  using P = Cuda<R>;
  using A = AccumulateOf<P>;

  template <class Scale, class Bias>
  static void layer(Context<P>& ctx, In<P> x, const Scale& scale, const Bias& bias, float epsilon, Out<P> y,
                    Moments<P> moments) {
    check_cuda(raw::layer_norm_forward(bare(x.data), numbers_of(scale), numbers_of(bias), bare(y.data), means(moments),
                                       deviations(moments), x.rows, x.width, A(epsilon), ctx.stream()),
               "layer_norm");
  }
  template <class Scale>
  static void layer_backward_input(Context<P>& ctx, In<P> x, Moments<P> moments, const Scale& scale, In<P> dy,
                                   Out<P> dx) {
    check_cuda(
        raw::layer_norm_backward(bare(dy.data), bare(x.data), numbers_of(scale), means(moments), deviations(moments),
                                 bare(dx.data), none, none, none, x.rows, x.width, ctx.stream()),
        "layer_norm_backward");
  }
  template <class DScale, class DBias>
  static void layer_backward_weights(Context<P>& ctx, In<P> x, Moments<P> moments, In<P> dy, const DScale& dscale,
                                     const DBias& dbias) {
    const auto scope = ctx.scope();
    check_cuda(raw::layer_norm_backward(bare(dy.data), bare(x.data), scale_unread, means(moments), deviations(moments),
                                        no_rows(x), numbers_of(dscale), numbers_of(dbias), workspace(ctx, x), x.rows,
                                        x.width, ctx.stream()),
               "layer_norm_backward");
  }

  template <class Scale>
  static void rms(Context<P>& ctx, In<P> x, const Scale& scale, float epsilon, Out<P> y, Moments<P> moments) {
    check_cuda(raw::rms_norm_forward(bare(x.data), numbers_of(scale), bare(y.data), deviations(moments), x.rows,
                                     x.width, A(epsilon), ctx.stream()),
               "rms_norm");
  }
  template <class Scale>
  static void rms_backward_input(Context<P>& ctx, In<P> x, Moments<P> moments, const Scale& scale, In<P> dy,
                                 Out<P> dx) {
    check_cuda(raw::rms_norm_backward(bare(dy.data), bare(x.data), numbers_of(scale), deviations(moments),
                                      bare(dx.data), none, none, x.rows, x.width, ctx.stream()),
               "rms_norm_backward");
  }
  template <class DScale>
  static void rms_backward_weights(Context<P>& ctx, In<P> x, Moments<P> moments, In<P> dy, const DScale& dscale) {
    const auto scope = ctx.scope();
    check_cuda(raw::rms_norm_backward(bare(dy.data), bare(x.data), scale_unread, deviations(moments), no_rows(x),
                                      numbers_of(dscale), workspace(ctx, x), x.rows, x.width, ctx.stream()),
               "rms_norm_backward");
  }

 private:
  static constexpr A* none = nullptr;
  static constexpr const A* scale_unread = nullptr;  // dscale and dbias do not depend on scale

  static A* means(const Moments<P>& m) { return m.data; }
  static A* deviations(const Moments<P>& m) { return m.data ? m.data + m.rows : nullptr; }
  static auto no_rows(const In<P>&) { return static_cast<typename flamingo::detail::Bare<R>::Type*>(nullptr); }
  static A* workspace(Context<P>& ctx, const In<P>& x) {
    return take_vector<A>(ctx, static_cast<int>(raw::norm_workspace(x.rows, x.width))).data;
  }
  /// The numbers of a vector, or null where a config has none or nobody wants them.
  template <class V>
  static auto numbers_of(const V& v) {
    if constexpr (wanted<V>)
      return v.data;
    else
      return none;
  }
};

}  // namespace flamingo::kernels
