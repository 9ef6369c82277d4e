/// Element by element on raw pointers: non-linearities and their slopes, sums, gates, fills, conversions.
///
///   y = f(x),   y = f(gate) up,   y = a + b,   y += bias,   y = x + tanh(gate) branch
///
/// Rows (N, D), packed; gates and biases in Accumulate<R>. What is written may be what is read.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "nonlinearity.cuh"
#include "tile.cuh"

namespace flamingo::raw {

inline constexpr int pointwise_threads = 256;

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

inline std::size_t numbers_of_rows(int N, int D) { return static_cast<std::size_t>(N) * static_cast<std::size_t>(D); }

/// Whether Count elements of each operand can be moved as one.
template <int Count, class... T>
inline bool packs_of(const T*... rows) {
  return ((reinterpret_cast<std::uintptr_t>(rows) % (sizeof(T) * Count) == 0) && ...);
}

/// y[i] = f(i, x[i]...): Count elements a thread, moved as one. f is made ready once a thread.
template <int Count, class F, class Y, class... X>
static __global__ void __launch_bounds__(pointwise_threads) map_kernel(F f, long long size, Y* y, const X*... x) {
  begin_early();
  const long long first = (static_cast<long long>(block_index_x()) * pointwise_threads + thread_index()) * Count;
  if (first >= size) return;
  const auto ready = f.ready();
  if (first + Count <= size) {
    const auto compute = [&](const Pack<X, Count>&... packs) {
      Pack<Y, Count> result;
      FLAMINGO_UNROLL
      for (int k = 0; k < Count; ++k) result.value[k] = narrow<Y>(ready(first + k, widen(packs.value[k])...));
      store_pack(y + first, result);
    };
    compute(load_pack<Count>(x + first)...);
  } else {
    for (long long i = first; i < size; ++i) y[i] = narrow<Y>(ready(i, widen(x[i])...));
  }
}
template <class F, class Y, class... X>
cudaError_t map(F f, std::size_t size, cudaStream_t stream, Y* y, const X*... x) {
  constexpr int count = static_cast<int>(16 / std::max({sizeof(Y), sizeof(X)...}));
  const int each = packs_of<count>(y, x...) ? count : 1;
  const std::size_t threads = (size + static_cast<std::size_t>(each) - 1) / static_cast<std::size_t>(each);
  return launch_early(dim3(static_cast<unsigned>((threads + pointwise_threads - 1) / pointwise_threads)),
                      pointwise_threads, 0, stream,
                      each == count ? map_kernel<count, F, Y, X...> : map_kernel<1, F, Y, X...>, f,
                      static_cast<long long>(size), y, x...);
}

template <class F>
struct Activated {
  __device__ Activated ready() const { return *this; }
  template <class A>
  __device__ A operator()(long long, A x) const {
    return F::value(x);
  }
  template <class A>  // its derivative
  __device__ A operator()(long long, A x, A dy) const {
    return F::slope(x) * dy;
  }
};
template <class F>
struct Gated {
  __device__ Gated ready() const { return *this; }
  template <class A>
  __device__ A operator()(long long, A gate, A up) const {
    return F::value(gate) * up;
  }
};
struct Added {
  __device__ Added ready() const { return *this; }
  template <class A>
  __device__ A operator()(long long, A a, A b) const {
    return a + b;
  }
};
template <class A>
struct Biased {
  const A* bias;
  int D;
  __device__ Biased ready() const { return *this; }
  __device__ A operator()(long long i, A y) const { return y + bias[i % D]; }
};
template <class A>
struct Constant {
  A value;
  __device__ Constant ready() const { return *this; }
  __device__ A operator()(long long) const { return value; }
};
/// Rounded to nearest, where To is narrower.
template <class To>
struct Converted {
  __device__ Converted ready() const { return *this; }
  template <class A>
  __device__ Accumulate<To> operator()(long long, A x) const {
    return static_cast<Accumulate<To>>(x);
  }
};
/// x + tanh(gate) branch, and tanh(gate) dy: one gate for the layer (gates == 1), or one a feature.
template <class A>
struct GatedBranch {
  const A* gate;
  int gates, D;
  A share = 0;  ///< tanh of the layer's gate
  __device__ GatedBranch ready() const { return {gate, gates, D, gates == 1 ? hyperbolic_tangent(gate[0]) : A(0)}; }
  __device__ A open(long long i) const { return gates == 1 ? share : hyperbolic_tangent(gate[i % D]); }
  __device__ A operator()(long long i, A x, A branch) const { return x + open(i) * branch; }
  __device__ A operator()(long long i, A dy) const { return open(i) * dy; }
};
/// max(-limit, min(x, limit)), and its derivative.
template <class A>
struct Clamped {
  A limit;
  __device__ Clamped ready() const { return *this; }
  __device__ A operator()(long long, A x) const { return x > limit ? limit : x < -limit ? -limit : x; }
  __device__ A operator()(long long, A x, A dx) const { return x < limit && x > -limit ? dx : A(0); }
};

template <int Count, class F, class R>
static __global__ void __launch_bounds__(pointwise_threads)
    gate_activate_backward_kernel(const R* gate, const R* up, const R* dy, R* dgate, R* dup, long long size) {
  const long long first = (static_cast<long long>(block_index_x()) * pointwise_threads + thread_index()) * Count;
  if (first >= size) return;  // size is a multiple of Count
  const auto zs = load_pack<Count>(gate + first), us = load_pack<Count>(up + first), gs = load_pack<Count>(dy + first);
  Pack<R, Count> dz, du;
  FLAMINGO_UNROLL
  for (int k = 0; k < Count; ++k) {
    const auto z = widen(zs.value[k]), u = widen(us.value[k]), g = widen(gs.value[k]);
    dz.value[k] = narrow<R>(F::slope(z) * g * u);
    du.value[k] = narrow<R>(F::value(z) * g);
  }
  store_pack(dgate + first, dz);
  store_pack(dup + first, du);
}

inline constexpr int gate_lanes = 32, gate_row_lanes = pointwise_threads / gate_lanes;

/// partial (chunks, D): the sums of dy branch over the rows of each chunk: each row lane's first to last, then theirs.
template <int Count, class R, class A>
static __global__ void __launch_bounds__(pointwise_threads)
    gate_backward_partial_kernel(const R* branch, const R* dy, A* partial, int N, int D, int chunk_rows) {
  using Sums = Array<Array<A, gate_lanes * Count>, gate_row_lanes>;
  Sums& sums = shared_memory<Sums>();
  const int lane = thread_index() % gate_lanes * Count, row_lane = thread_index() / gate_lanes;
  const int first_column = block_index_x() * gate_lanes * Count, chunk = block_index_y();
  const int end = chunk * chunk_rows + chunk_rows < N ? chunk * chunk_rows + chunk_rows : N;
  Array<A, Count> own = {};
  if (first_column + lane < D)
    for (int row = chunk * chunk_rows + row_lane; row < end; row += gate_row_lanes) {
      const long long at = static_cast<long long>(row) * D + first_column + lane;
      const auto gs = load_pack<Count>(dy + at), bs = load_pack<Count>(branch + at);
      FLAMINGO_UNROLL
      for (int k = 0; k < Count; ++k) own[k] += static_cast<A>(widen(gs.value[k])) * static_cast<A>(widen(bs.value[k]));
    }
  for (int k = 0; k < Count; ++k) sums[row_lane][lane + k] = own[k];
  __syncthreads();
  for (int i = thread_index(); i < gate_lanes * Count && first_column + i < D; i += pointwise_threads) {
    A sum = 0;
    for (int r = 0; r < gate_row_lanes; ++r) sum += sums[r][i];
    partial[static_cast<long long>(chunk) * D + first_column + i] = sum;
  }
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
  A own = 0;
  for (long long i = thread_index(); i < count; i += pointwise_threads) own += partial[i];
  own = block_sum<pointwise_threads>(own);
  if (thread_index() != 0) return;
  const A t = hyperbolic_tangent(gate[0]);
  dgate[0] += (A(1) - t * t) * own;
}

/// y = f(x)
template <class F, class R>
cudaError_t activate(const R* x, R* y, std::size_t size, cudaStream_t stream) {
  return map(Activated<F>{}, size, stream, y, x);
}
/// dx = f'(x) dy
template <class F, class R>
cudaError_t activate_backward(const R* x, const R* dy, R* dx, std::size_t size, cudaStream_t stream) {
  return map(Activated<F>{}, size, stream, dx, x, dy);
}
/// y = f(gate) up
template <class F, class R>
cudaError_t gate_activate(const R* gate, const R* up, R* y, std::size_t size, cudaStream_t stream) {
  return map(Gated<F>{}, size, stream, y, gate, up);
}
/// dgate = f'(gate) up dy,  dup = f(gate) dy
template <class F, class R>
cudaError_t gate_activate_backward(const R* gate, const R* up, const R* dy, R* dgate, R* dup, std::size_t size,
                                   cudaStream_t stream) {
  constexpr int count = pack_count<R>;
  const bool packed = size % count == 0 && packs_of<count>(gate, up, dy, dgate, dup);
  const std::size_t threads = packed ? size / count : size;
  return launch(dim3(static_cast<unsigned>((threads + pointwise_threads - 1) / pointwise_threads)), pointwise_threads,
                0, stream, packed ? gate_activate_backward_kernel<count, F, R> : gate_activate_backward_kernel<1, F, R>,
                gate, up, dy, dgate, dup, static_cast<long long>(size));
}

/// x = max(-limit, min(x, limit))
template <class R>
cudaError_t clamp(Accumulate<R> limit, R* x, std::size_t size, cudaStream_t stream) {
  return map(Clamped<Accumulate<R>>{limit}, size, stream, x, static_cast<const R*>(x));
}
/// dx = 0 where the clamped x lies at a limit.
template <class R>
cudaError_t clamp_backward(Accumulate<R> limit, const R* x, R* dx, std::size_t size, cudaStream_t stream) {
  return map(Clamped<Accumulate<R>>{limit}, size, stream, dx, x, static_cast<const R*>(dx));
}

/// y = a + b
template <class R>
cudaError_t add(const R* a, const R* b, R* y, std::size_t size, cudaStream_t stream) {
  return map(Added{}, size, stream, y, a, b);
}
/// Adds bias (D) to each row of y (N, D).
template <class R>
cudaError_t add_bias(const Accumulate<R>* bias, R* y, int N, int D, cudaStream_t stream) {
  return map(Biased<Accumulate<R>>{bias, D}, numbers_of_rows(N, D), stream, y, static_cast<const R*>(y));
}
template <class T>
cudaError_t fill(T* x, T value, std::size_t size, cudaStream_t stream) {
  return map(Constant<Accumulate<T>>{widen(value)}, size, stream, x);
}
template <class From, class To>
cudaError_t convert(const From* x, To* y, std::size_t size, cudaStream_t stream) {
  return map(Converted<To>{}, size, stream, y, x);
}

/// y (N, D) = x + tanh(gate) branch; `gates` is 1 or D.
template <class R>
cudaError_t gated_add(const R* x, const Accumulate<R>* gate, int gates, const R* branch, R* y, int N, int D,
                      cudaStream_t stream) {
  return map(GatedBranch<Accumulate<R>>{gate, gates, D}, numbers_of_rows(N, D), stream, y, x, branch);
}
/// dbranch = tanh(gate) dy
template <class R>
cudaError_t gated_add_backward(const Accumulate<R>* gate, int gates, const R* dy, R* dbranch, int N, int D,
                               cudaStream_t stream) {
  return map(GatedBranch<Accumulate<R>>{gate, gates, D}, numbers_of_rows(N, D), stream, dbranch, dy);
}

/// How many rows one block sums: a function of N alone, so the order of the sum is the same on every device.
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
  constexpr int count = pack_count<R>;
  const int chunk_rows = gate_chunk_rows(N), chunks = tiles_over(N, chunk_rows);
  const bool packed = packs(branch, D) && packs(dy, D);
  const int each = packed ? count : 1;
  const cudaError_t error =
      launch(grid_of(tiles_over(D, gate_lanes * each), chunks), pointwise_threads,
             sizeof(A) * static_cast<std::size_t>(pointwise_threads * each), stream,
             packed ? gate_backward_partial_kernel<count, R, A> : gate_backward_partial_kernel<1, R, A>, branch, dy,
             workspace, N, D, chunk_rows);
  if (error != cudaSuccess) return error;
  if (gates == 1)
    return launch(grid_of(1), pointwise_threads, pointwise_threads / 32 * sizeof(A), stream,
                  gate_backward_all_kernel<A>, gate, workspace, dgate, static_cast<long long>(chunks) * D);
  return launch(grid_of(tiles_over(D, pointwise_threads)), pointwise_threads, 0, stream,
                gate_backward_columns_kernel<A>, gate, workspace, dgate, D, chunks);
}

}  // namespace flamingo::raw
