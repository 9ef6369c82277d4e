/// Your own vision encoder: one filter over patches, learned places, and a non-linearity.
///
///   y = gelu(filter patches + bias + places)
///
/// A config type of your own picks it (EncoderOf below); then it is trained, saved and run as those of the library are.
#pragma once
#include <span>
#include <vector>

#include <flamingo/core/parameters.hpp>
#include <flamingo/ops/activation.hpp>
#include <flamingo/ops/arrange.hpp>
#include <flamingo/ops/convolution.hpp>
#include <flamingo/ops/residual.hpp>
#include <flamingo/train/trained_layer.hpp>  // declares EncoderOf, as model/vision/encoder.hpp does

namespace little {

struct Patches {
  int image = 16, patch = 4;  ///< pixels along each side
  int dim = 32;               ///< D

  constexpr int cells() const { return (image / patch) * (image / patch); }
};

template <Patches C, flamingo::Platform P>
struct PatchEncoder {
  static constexpr int D = C.dim, S = C.cells(), pixels = 3 * C.patch * C.patch;
  static constexpr flamingo::Window window = flamingo::square(C.patch, C.patch, flamingo::Padding::valid);
  using Pixels = flamingo::Rows<P, 3, const typename P::Real>;
  using Grids = std::span<const flamingo::Grid>;

  template <class St>
  struct Parameters {
    flamingo::Matrix<St, D, pixels> filter;
    flamingo::Vector<St, D> bias;
    flamingo::Learned<St, S, D> places;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(flamingo::matrix_spec("filter", D, pixels, flamingo::Init::normal(0.1f)), p.filter...);
    visit(flamingo::vector_spec("bias", D, flamingo::Init::zero()), p.bias...);
    visit(flamingo::table_spec("places", S, D, flamingo::Init::normal(0.02f)), p.places...);
  }
  static constexpr flamingo::Grid features(const flamingo::Grid&) { return {0, C.image / C.patch, C.image / C.patch}; }

  template <flamingo::Need need>
  struct Saved {
    Pixels x;
    std::vector<int> places;  ///< of each row, among its picture's
    flamingo::Rows<P, D> before_gelu;
  };
  template <flamingo::Need need = flamingo::no_gradients, class W>
  static Saved<need> forward(flamingo::Context<P>& ctx, const W& w, const Pixels& x, Grids pictures,
                             const flamingo::Rows<P, D>& y) {
    const auto scope = ctx.scope();
    Saved<need> s{x, {}, flamingo::take<need.any(), D>(ctx, y.rows)};
    for (int row = 0; row < y.rows; ++row) s.places.push_back(row % S);
    const auto seen = flamingo::scratch<D>(ctx, y.rows);
    flamingo::ops::convolution(ctx, x, pictures, w.filter, w.bias, window, 1, seen);  // (M S, D)
    flamingo::ops::gather(ctx, flamingo::ops::rows_of(w.places), flamingo::table(ctx, s.places), s.before_gelu);
    flamingo::ops::accumulate(ctx, seen, s.before_gelu);
    flamingo::ops::activate<flamingo::Activation::gelu>(ctx, s.before_gelu, y);
    return s;
  }
  template <flamingo::Need need, class W, class G, class DX>
  static void backward(flamingo::Context<P>& ctx, const W& w, const Saved<need>& s, Grids pictures,
                       const flamingo::Rows<P, D>& dy, const DX& dx, const G& g) {
    const auto scope = ctx.scope();
    const auto dseen = flamingo::scratch<D>(ctx, dy.rows);
    flamingo::ops::activate_backward<flamingo::Activation::gelu>(ctx, s.before_gelu, dy, dseen);
    flamingo::ops::scatter_add(ctx, dseen, flamingo::table(ctx, s.places), flamingo::ops::rows_of(g.places));
    flamingo::ops::convolution_backward(ctx, s.x, pictures, w.filter, window, 1, dseen, dx, g.filter, g.bias);
  }
};

}  // namespace little

template <little::Patches C, flamingo::Platform P>
struct flamingo::EncoderOf<C, P> {
  using type = little::PatchEncoder<C, P>;
};
