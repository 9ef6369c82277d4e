/// Who computes Cuda's dense products: the one place that decides it.
///
///   one to eight rows of x wᵀ     raw/few_rows.cuh
///   up to 32 with w packed        raw/packed_rows.cuh; for more, and for dy w, w is unpacked into scratch
///   everything else on a GPU      cuBLASLt; raw/linear.cuh where it has no algorithm
///   everything else, emulated     raw/linear.cuh
#pragma once
#include <cstddef>
#include <type_traits>

#include <flamingo/kernels/cuda/error.cuh>
#include <flamingo/kernels/cuda/linear_sizes.hpp>
#include <flamingo/kernels/cuda/raw/few_rows.cuh>
#include <flamingo/kernels/cuda/raw/linear.cuh>
#if defined(__CUDACC__)
#include <flamingo/kernels/cuda/cublas.cuh>
#endif

namespace flamingo {

#if !defined(__CUDACC__)
/// A library without algorithms.
struct NoLibraryProducts {
  template <bool AContiguous, bool BContiguous, bool Add, class R, class C>
  bool product(const R*, const R*, const C*, C*, int, int, int, bool, cudaStream_t, std::string_view) {
    return false;
  }
  std::size_t planned() const { return 0; }
};
using LibraryProducts = NoLibraryProducts;
#else
using LibraryProducts = CublasProducts;
#endif

/// A context's dense products, all on its stream. A row's bits do not depend on the other rows, but they may depend on
/// how many there are: eight or fewer have one order of sums, and cuBLASLt chooses an algorithm by the number of rows.
class CudaProducts {
 public:
  static constexpr int packed_rows = kernels::most_packed_rows;

  bool tf32 = false;  ///< whether float is multiplied in TF32 (10 bits of mantissa): faster, and not for parity

  /// y (N, O) = x (N, D) wᵀ.
  template <class R>
  void forward(const R* x, const R* w, R* y, int N, int D, int O, cudaStream_t stream, std::string_view op) {
    if (N <= raw::few_rows)
      check_cuda(raw::few_rows_forward(x, w, nullptr, y, N, D, O, stream), op);
    else
      product<true, true, false>(x, w, y, N, O, D, stream, op);
  }
  /// y (N, O) = base + x (N, D) wᵀ, rounded once; y may be base. Few rows have raw::few_rows_onto.
  template <class R>
  void forward_onto(const R* x, const R* w, const R* base, R* y, int N, int D, int O, cudaStream_t stream,
                    std::string_view op) {
    product<true, true, true>(x, w, y, N, O, D, stream, op, base);
  }
  /// dx (N, D) = dy (N, O) w.
  template <class R>
  void backward_input(const R* dy, const R* w, R* dx, int N, int D, int O, cudaStream_t stream, std::string_view op) {
    product<true, false, false>(dy, w, dx, N, D, O, stream, op);
  }
  /// dw (O, D) += dyᵀ x.
  template <class R>
  void backward_weight(const R* dy, const R* x, raw::Accumulate<R>* dw, int N, int D, int O, cudaStream_t stream,
                       std::string_view op) {
    product<false, false, true>(dy, x, dw, O, D, N, stream, op);
  }

  /// c (rows, columns) = Σ_k a(m, k) b(n, k), and where Add + base, or + c where base is null: raw/linear.cuh tells the
  /// layouts.
  template <bool AContiguous, bool BContiguous, bool Add, class R, class C>
  void product(const R* a, const R* b, C* c, int rows, int columns, int depth, cudaStream_t stream, std::string_view op,
               std::type_identity_t<const C*> base = nullptr) {
    if (rows <= 0 || columns <= 0) return;
    if (!base) base = c;
    if (depth > 0 &&
        library_.product<AContiguous, BContiguous, Add>(a, b, base, c, rows, columns, depth, tf32, stream, op))
      return;
    check_cuda(raw::product<AContiguous, BContiguous, Add>(a, b, static_cast<const R*>(nullptr), base, c, rows, columns,
                                                           depth, stream),
               op);
  }

  /// How many distinct products the library has been asked to plan: it is asked once for each.
  std::size_t planned() const { return library_.planned(); }

 private:
  LibraryProducts library_;
};

}  // namespace flamingo
