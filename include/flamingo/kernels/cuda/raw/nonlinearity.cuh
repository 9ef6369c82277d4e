/// Non-linearities of raw kernels: F::value(z) = f(z), F::slope(z) = f'(z).
#pragma once
#include "tile.cuh"

namespace flamingo::raw {

__device__ inline float error_function(float x) { return erff(x); }
__device__ inline double error_function(double x) { return erf(x); }
__device__ inline float hyperbolic_tangent(float x) { return tanhf(x); }
__device__ inline double hyperbolic_tangent(double x) { return tanh(x); }

struct Identity {
  template <class A>
  __device__ static A value(A z) {
    return z;
  }
  template <class A>
  __device__ static A slope(A) {
    return A(1);
  }
};
/// z/2 (1 + erf(z / √2))
struct Gelu {
  /// Twice the normal distribution function.
  template <class A>
  __device__ static A twice_normal(A z) {
    return A(1) + error_function(z * A(0.70710678118654752440));
  }
  template <class A>
  __device__ static A value(A z) {
    return A(0.5) * z * twice_normal(z);
  }
  template <class A>
  __device__ static A slope(A z) {
    return A(0.5) * twice_normal(z) + z * A(0.39894228040143267794) * exponential(A(-0.5) * z * z);
  }
};
/// z/2 (1 + tanh(√(2/π) (z + 0.044715 z³)))
struct GeluTanh {
  template <class A>
  __device__ static A tangent(A z) {
    return hyperbolic_tangent(A(0.79788456080286535588) * (z + A(0.044715) * z * z * z));
  }
  template <class A>
  __device__ static A value(A z) {
    return A(0.5) * z * (A(1) + tangent(z));
  }
  template <class A>
  __device__ static A slope(A z) {
    const A t = tangent(z);
    return A(0.5) * (A(1) + t) +
           A(0.5) * z * (A(1) - t * t) * A(0.79788456080286535588) * (A(1) + A(3 * 0.044715) * z * z);
  }
};
/// z σ(1.702 z)
struct QuickGelu {
  template <class A>
  __device__ static A value(A z) {
    return z / (A(1) + exponential(A(-1.702) * z));
  }
  template <class A>
  __device__ static A slope(A z) {
    const A s = A(1) / (A(1) + exponential(A(-1.702) * z));
    return s * (A(1) + A(1.702) * z * (A(1) - s));
  }
};
/// z σ(z)
struct Silu {
  template <class A>
  __device__ static A value(A z) {
    return z / (A(1) + exponential(-z));
  }
  template <class A>
  __device__ static A slope(A z) {
    const A s = A(1) / (A(1) + exponential(-z));
    return s * (A(1) + z * (A(1) - s));
  }
};
struct Relu {
  template <class A>
  __device__ static A value(A z) {
    return z > A(0) ? z : A(0);
  }
  template <class A>
  __device__ static A slope(A z) {
    return z > A(0) ? A(1) : A(0);
  }
};
/// min(max(z, 0), 6)
struct Relu6 {
  template <class A>
  __device__ static A value(A z) {
    return z > A(6) ? A(6) : Relu::value(z);
  }
  template <class A>
  __device__ static A slope(A z) {
    return z > A(0) && z < A(6) ? A(1) : A(0);
  }
};
/// max(z, 0)²
struct SquaredRelu {
  template <class A>
  __device__ static A value(A z) {
    return Relu::value(z) * Relu::value(z);
  }
  template <class A>
  __device__ static A slope(A z) {
    return A(2) * Relu::value(z);
  }
};

}  // namespace flamingo::raw
