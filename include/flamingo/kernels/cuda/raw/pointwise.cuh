/// Element by element on raw pointers: non-linearities and their slopes, sums, gates, fills, conversions.
///
///   y = f(x),   y = f(gate) up,   y = a + b,   y += bias,   y = x + tanh(gate) branch
///
/// Rows (N, D), packed; gates and biases in Accumulate<R>. What is written may be what is read.
#pragma once
#include <algorithm>
#include <cstddef>

#include "tile.cuh"

namespace flamingo::raw {

inline constexpr int pointwise_threads = 256;

__device__ inline float error_function(float x) { return erff(x); }
__device__ inline double error_function(double x) { return erf(x); }
__device__ inline float hyperbolic_tangent(float x) { return tanhf(x); }
__device__ inline double hyperbolic_tangent(double x) { return tanh(x); }

/// Non-linearities: value(z) = f(z), slope(z) = f'(z).
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

/// This thread's element of a flat range.
__device__ inline long long element_index() {
  return static_cast<long long>(block_index_x()) * pointwise_threads + thread_index();
}
/// One thread for each of `size` elements.
template <class... P>
cudaError_t launch_elements(std::size_t size, cudaStream_t stream, void (*kernel)(P...),
                            std::type_identity_t<P>... args) {
  const std::size_t blocks = (size + pointwise_threads - 1) / pointwise_threads;
  return launch(dim3(static_cast<unsigned>(blocks)), pointwise_threads, 0, stream, kernel, args...);
}

template <class F, class R>
static __global__ void __launch_bounds__(pointwise_threads) activate_kernel(const R* x, R* y, long long size) {
  const long long i = element_index();
  if (i < size) y[i] = narrow<R>(F::value(widen(x[i])));
}
template <class F, class R>
static __global__ void __launch_bounds__(pointwise_threads)
    activate_backward_kernel(const R* x, const R* dy, R* dx, long long size) {
  const long long i = element_index();
  if (i < size) dx[i] = narrow<R>(F::slope(widen(x[i])) * widen(dy[i]));
}
template <class F, class R>
static __global__ void __launch_bounds__(pointwise_threads)
    gate_activate_kernel(const R* gate, const R* up, R* y, long long size) {
  const long long i = element_index();
  if (i < size) y[i] = narrow<R>(F::value(widen(gate[i])) * widen(up[i]));
}
template <class F, class R>
static __global__ void __launch_bounds__(pointwise_threads)
    gate_activate_backward_kernel(const R* gate, const R* up, const R* dy, R* dgate, R* dup, long long size) {
  const long long i = element_index();
  if (i >= size) return;
  const auto z = widen(gate[i]), u = widen(up[i]), g = widen(dy[i]);
  dgate[i] = narrow<R>(F::slope(z) * g * u);
  dup[i] = narrow<R>(F::value(z) * g);
}

template <class R>
static __global__ void __launch_bounds__(pointwise_threads) add_kernel(const R* a, const R* b, R* y, long long size) {
  const long long i = element_index();
  if (i < size) y[i] = narrow<R>(widen(a[i]) + widen(b[i]));
}
template <class R, class A>
static __global__ void __launch_bounds__(pointwise_threads)
    add_bias_kernel(const A* bias, R* y, long long size, int D) {
  const long long i = element_index();
  if (i < size) y[i] = narrow<R>(widen(y[i]) + bias[i % D]);
}
template <class T>
static __global__ void __launch_bounds__(pointwise_threads) fill_kernel(T* x, T value, long long size) {
  const long long i = element_index();
  if (i < size) x[i] = value;
}
/// Rounded to nearest, where To is narrower.
template <class From, class To>
static __global__ void __launch_bounds__(pointwise_threads) convert_kernel(const From* x, To* y, long long size) {
  const long long i = element_index();
  if (i < size) y[i] = narrow<To>(static_cast<Accumulate<To>>(widen(x[i])));
}

/// A gate's number for an element: one for the layer (gates == 1), or one a feature.
template <class A>
__device__ inline A gate_of(const A* gate, int gates, long long element, int D) {
  return hyperbolic_tangent(gate[gates == 1 ? 0 : element % D]);
}
template <class R, class A>
static __global__ void __launch_bounds__(pointwise_threads)
    gated_add_kernel(const R* x, const A* gate, int gates, const R* branch, R* y, long long size, int D) {
  const long long i = element_index();
  if (i < size) y[i] = narrow<R>(widen(x[i]) + gate_of(gate, gates, i, D) * widen(branch[i]));
}
template <class R, class A>
static __global__ void __launch_bounds__(pointwise_threads)
    gated_add_backward_kernel(const A* gate, int gates, const R* dy, R* dbranch, long long size, int D) {
  const long long i = element_index();
  if (i < size) dbranch[i] = narrow<R>(gate_of(gate, gates, i, D) * widen(dy[i]));
}

/// x = max(-limit, min(x, limit))
template <class R, class A>
static __global__ void __launch_bounds__(pointwise_threads) clamp_kernel(A limit, R* x, long long size) {
  const long long i = element_index();
  if (i >= size) return;
  const A z = widen(x[i]);
  x[i] = narrow<R>(z > limit ? limit : z < -limit ? -limit : z);
}
template <class R, class A>
static __global__ void __launch_bounds__(pointwise_threads)
    clamp_backward_kernel(A limit, const R* x, R* dx, long long size) {
  const long long i = element_index();
  if (i >= size) return;
  const A z = widen(x[i]);
  if (!(z < limit && z > -limit)) dx[i] = narrow<R>(0);
}

/// partial (chunks, D): the sums of dy branch over the rows of each chunk, first to last.
template <class R, class A>
static __global__ void __launch_bounds__(pointwise_threads)
    gate_backward_partial_kernel(const R* branch, const R* dy, A* partial, int N, int D, int chunk_rows) {
  const int column = block_index_x() * pointwise_threads + thread_index(), first = block_index_y() * chunk_rows;
  if (column >= D) return;
  const int end = first + chunk_rows < N ? first + chunk_rows : N;
  A sum = 0;
  for (int row = first; row < end; ++row) {
    const long long at = static_cast<long long>(row) * D + column;
    sum += static_cast<A>(widen(dy[at])) * static_cast<A>(widen(branch[at]));
  }
  partial[static_cast<long long>(block_index_y()) * D + column] = sum;
}
/// dgate (D) += (1 - tanh²(gate)) the sums of the chunks, first to last.
template <class A>
static __global__ void __launch_bounds__(pointwise_threads)
    gate_backward_columns_kernel(const A* gate, const A* partial, A* dgate, int D, int chunks) {
  const int column = block_index_x() * pointwise_threads + thread_index();
  if (column >= D) return;
  A sum = 0;
  for (int chunk = 0; chunk < chunks; ++chunk) sum += partial[static_cast<long long>(chunk) * D + column];
  const A t = hyperbolic_tangent(gate[column]);
  dgate[column] += (A(1) - t * t) * sum;
}
/// dgate[0] += (1 - tanh²(gate)) the sum of all `count` partials. One block.
template <class A>
static __global__ void __launch_bounds__(pointwise_threads)
    gate_backward_all_kernel(const A* gate, const A* partial, A* dgate, long long count) {
  struct Sums {
    Array<A, pointwise_threads / 32> warp;
  };
  Sums& sums = shared_memory<Sums>();
  A own = 0;
  for (long long i = thread_index(); i < count; i += pointwise_threads) own += partial[i];
  own = warp_sum(own);
  if (lane_index() == 0) sums.warp[warp_index()] = own;
  __syncthreads();
  if (thread_index() != 0) return;
  for (int i = 1; i < pointwise_threads / 32; ++i) own += sums.warp[i];
  const A t = hyperbolic_tangent(gate[0]);
  dgate[0] += (A(1) - t * t) * own;
}

/// y = f(x)
template <class F, class R>
cudaError_t activate(const R* x, R* y, std::size_t size, cudaStream_t stream) {
  return launch_elements(size, stream, activate_kernel<F, R>, x, y, static_cast<long long>(size));
}
/// dx = f'(x) dy
template <class F, class R>
cudaError_t activate_backward(const R* x, const R* dy, R* dx, std::size_t size, cudaStream_t stream) {
  return launch_elements(size, stream, activate_backward_kernel<F, R>, x, dy, dx, static_cast<long long>(size));
}
/// y = f(gate) up
template <class F, class R>
cudaError_t gate_activate(const R* gate, const R* up, R* y, std::size_t size, cudaStream_t stream) {
  return launch_elements(size, stream, gate_activate_kernel<F, R>, gate, up, y, static_cast<long long>(size));
}
/// dgate = f'(gate) up dy,  dup = f(gate) dy
template <class F, class R>
cudaError_t gate_activate_backward(const R* gate, const R* up, const R* dy, R* dgate, R* dup, std::size_t size,
                                   cudaStream_t stream) {
  return launch_elements(size, stream, gate_activate_backward_kernel<F, R>, gate, up, dy, dgate, dup,
                         static_cast<long long>(size));
}

/// x = max(-limit, min(x, limit))
template <class R>
cudaError_t clamp(Accumulate<R> limit, R* x, std::size_t size, cudaStream_t stream) {
  return launch_elements(size, stream, clamp_kernel<R, Accumulate<R>>, limit, x, static_cast<long long>(size));
}
/// dx = 0 where the clamped x lies at a limit.
template <class R>
cudaError_t clamp_backward(Accumulate<R> limit, const R* x, R* dx, std::size_t size, cudaStream_t stream) {
  return launch_elements(size, stream, clamp_backward_kernel<R, Accumulate<R>>, limit, x, dx,
                         static_cast<long long>(size));
}

/// y = a + b
template <class R>
cudaError_t add(const R* a, const R* b, R* y, std::size_t size, cudaStream_t stream) {
  return launch_elements(size, stream, add_kernel<R>, a, b, y, static_cast<long long>(size));
}
/// Adds bias (D) to each row of y (N, D).
template <class R>
cudaError_t add_bias(const Accumulate<R>* bias, R* y, int N, int D, cudaStream_t stream) {
  const std::size_t size = static_cast<std::size_t>(N) * static_cast<std::size_t>(D);
  return launch_elements(size, stream, add_bias_kernel<R, Accumulate<R>>, bias, y, static_cast<long long>(size), D);
}
template <class T>
cudaError_t fill(T* x, T value, std::size_t size, cudaStream_t stream) {
  return launch_elements(size, stream, fill_kernel<T>, x, value, static_cast<long long>(size));
}
template <class From, class To>
cudaError_t convert(const From* x, To* y, std::size_t size, cudaStream_t stream) {
  return launch_elements(size, stream, convert_kernel<From, To>, x, y, static_cast<long long>(size));
}

/// y (N, D) = x + tanh(gate) branch; `gates` is 1 or D.
template <class R>
cudaError_t gated_add(const R* x, const Accumulate<R>* gate, int gates, const R* branch, R* y, int N, int D,
                      cudaStream_t stream) {
  const std::size_t size = static_cast<std::size_t>(N) * static_cast<std::size_t>(D);
  return launch_elements(size, stream, gated_add_kernel<R, Accumulate<R>>, x, gate, gates, branch, y,
                         static_cast<long long>(size), D);
}
/// dbranch = tanh(gate) dy
template <class R>
cudaError_t gated_add_backward(const Accumulate<R>* gate, int gates, const R* dy, R* dbranch, int N, int D,
                               cudaStream_t stream) {
  const std::size_t size = static_cast<std::size_t>(N) * static_cast<std::size_t>(D);
  return launch_elements(size, stream, gated_add_backward_kernel<R, Accumulate<R>>, gate, gates, dy, dbranch,
                         static_cast<long long>(size), D);
}

/// How many rows one thread sums: a function of N alone, so the order of the sum is the same on every device.
inline int gate_chunk_rows(int N) { return std::max(64, tiles_over(N, 128)); }
/// How many Accumulate<R> the workspace of gate_backward holds.
inline std::size_t gate_workspace(int N, int D) {
  return static_cast<std::size_t>(tiles_over(N, gate_chunk_rows(N))) * static_cast<std::size_t>(D);
}
/// Adds (1 - tanh²(gate)) <dy, branch> to dgate: over all, or over rows where there is a gate a feature. No atomics:
/// the same bits every time.
template <class R>
cudaError_t gate_backward(const Accumulate<R>* gate, int gates, const R* branch, const R* dy, Accumulate<R>* dgate,
                          Accumulate<R>* workspace, int N, int D, cudaStream_t stream) {
  using A = Accumulate<R>;
  const int chunk_rows = gate_chunk_rows(N), chunks = tiles_over(N, chunk_rows),
            blocks = tiles_over(D, pointwise_threads);
  const cudaError_t error = launch(grid_of(blocks, chunks), pointwise_threads, 0, stream,
                                   gate_backward_partial_kernel<R, A>, branch, dy, workspace, N, D, chunk_rows);
  if (error != cudaSuccess) return error;
  if (gates == 1)
    return launch(grid_of(1), pointwise_threads, pointwise_threads / 32 * sizeof(A), stream,
                  gate_backward_all_kernel<A>, gate, workspace, dgate, static_cast<long long>(chunks) * D);
  return launch(grid_of(blocks), pointwise_threads, 0, stream, gate_backward_columns_kernel<A>, gate, workspace, dgate,
                D, chunks);
}

}  // namespace flamingo::raw
