// A product of rows with a matrix of another width is refused where the widths stand in the types.
// expects: linear: the width of x differs from the columns of w
#include <flamingo/cpu.hpp>
#include <flamingo/ops/linear.hpp>

using P = flamingo::Cpu<float>;
#ifdef FAIL
constexpr int width = 5;
#else
constexpr int width = 7;
#endif

void product(flamingo::Context<P>& ctx, flamingo::Rows<P, width> x, flamingo::MatrixView<P, 3, 7> w,
             flamingo::Rows<P, 3> y) {
  flamingo::ops::linear(ctx, x, w, y);
}
