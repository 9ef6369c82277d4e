// An operation on a platform that has no kernel for it: the error names both.
// expects: flamingo::kernels::Linear<
// expects: Abacus
#include <flamingo/ops/linear.hpp>

/// A host's own platform.
struct Abacus {
  using Real = float;
  static constexpr std::string_view name = "abacus";
};
template <>
class flamingo::Context<Abacus> : public flamingo::Memory {};

#ifndef FAIL
template <>
struct flamingo::kernels::Linear<Abacus> {
  template <class W>
  static void forward(Context<Abacus>&, In<Abacus>, const W&, Out<Abacus>) {}
};
#endif

void product(flamingo::Context<Abacus>& ctx, flamingo::Rows<Abacus, 7> x, flamingo::MatrixView<Abacus, 3, 7> w,
             flamingo::Rows<Abacus, 3> y) {
  flamingo::ops::linear(ctx, x, w, y);
}
