/// What the trial of matrix products asks of a contender.
#pragma once
#include <functional>

namespace flamingo::bench {

/// y (M, N) = x (M, K) wᵀ, w (N, K), all of them row after row.
struct Product {
  int M, N, K;
  const float *x, *w;
  float* y;
};

/// Prepares what may be prepared once for a frozen w, and returns what computes y on so many threads.
using Contender = std::function<void()>(const Product& product, int threads);

Contender own_rows, own_panels;  // ours.cpp with our kernels: w as it lies, and in panels
Contender eigen_kernels;         // ours.cpp where Eigen multiplies, without a row's bits depending on the others
Contender eigen_plain;           // one statement of Eigen's
Contender eigen_over_blas;       // the same with EIGEN_USE_BLAS
Contender onednn;                // oneDNN's product, w in the layout that it asks for

}  // namespace flamingo::bench
