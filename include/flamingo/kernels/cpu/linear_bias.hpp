/// The bias of dense products on the CPU, whoever multiplies.
#pragma once
#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/ops/linear.hpp>

namespace flamingo::kernels {

template <class P>
struct LinearBias {
  template <class B>
  static void add_bias(Context<P>&, const B& b, Out<P> y) {
    for (int n = 0; n < y.rows; ++n) line(y, n) += line(b);
  }

  template <class B>
  static void backward_bias(Context<P>&, In<P> dy, const B& db) {
    for (int n = 0; n < dy.rows; ++n) line(db) += line(dy, n);
  }
};

}  // namespace flamingo::kernels
