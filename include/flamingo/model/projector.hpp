/// What stands between Llama 3.2's vision transformer and its gated blocks in place of a Resampler: y = lead_in x + b
///
/// Every row of a picture goes through; which of them are there to be seen is data (SeenMedium).
#pragma once
#include <flamingo/config/resampler.hpp>
#include <flamingo/core/context.hpp>
#include <flamingo/core/need.hpp>
#include <flamingo/core/parameters.hpp>
#include <flamingo/ops/linear.hpp>

namespace flamingo {

struct ResamplerPlan;

namespace model {

/// x (M R, E) -> y (M R, D)
template <ResamplerConfig C, Platform P>
struct Projector {
  static_assert(C.dim > 0 && C.latents > 0, "ResamplerConfig: dim and latents must be positive");
  static_assert(C.out() == C.dim, "ResamplerConfig: without layers nothing leads from dim to out_dim");

  static constexpr int D = C.dim, E = C.features(), R = C.latents, L = 0;
  using Real = typename P::Real;

  template <class S>
  struct Parameters {
    Matrix<S, D, E> lead_in;
    Vector<S, D> lead_in_bias;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(matrix_spec("lead_in", D, E, Init::normal(0.02f)), p.lead_in...);
    visit(vector_spec("lead_in_bias", D, Init::zero()), p.lead_in_bias...);
  }

  template <Need need>
  struct Saved {
    If<need.weights, Rows<P, E, const Real>> x;
  };

  template <Need need, class W>
  static Saved<need> forward(Context<P>& ctx, const W& w, const Rows<P, E, const Real>& x, const ResamplerPlan&,
                             const Rows<P, D>& y) {
    ops::linear(ctx, x, w.lead_in, w.lead_in_bias, y);
    return {x};
  }
  /// Writes dx and adds to g.
  template <Need need, class W, class G, RowsSink<P> DX>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, const ResamplerPlan&, const Rows<P, D>& dy,
                       const DX& dx, const G& g) {
    ops::linear_backward(ctx, s.x, w.lead_in, dy, dx, g.lead_in, g.lead_in_bias);
  }
};

}  // namespace model
}  // namespace flamingo
