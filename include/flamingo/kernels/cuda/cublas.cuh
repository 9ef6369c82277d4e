/// Dense products by cuBLASLt: how it computes one is asked once for each distinct product, and kept.
#pragma once
#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>

#include <flamingo/kernels/cuda/memory.cuh>

namespace flamingo {

/// fail(op, cuBLAS's name and text) unless the call succeeded.
inline void check_cublas(cublasStatus_t status, std::string_view op) {
  check(status == CUBLAS_STATUS_SUCCESS, op, cublasLtGetStatusName(status), ": ", cublasLtGetStatusString(status));
}

namespace detail {
template <class R>
constexpr cudaDataType_t cublas_type = std::is_same_v<R, double>  ? CUDA_R_64F
                                       : std::is_same_v<R, float> ? CUDA_R_32F
                                                                  : CUDA_R_16BF;
}  // namespace detail

/// A handle, its workspace, and the plans of products asked for so far.
class CublasProducts {
 public:
  static constexpr std::size_t workspace_bytes = std::size_t{32} << 20;  ///< what NVIDIA advises for Hopper
  static constexpr std::size_t most_plans = 4096;                        ///< rows vary; at this many all are forgotten

  CublasProducts() : workspace_(workspace_bytes) { check_cublas(cublasLtCreate(&handle_), "cublasLtCreate"); }
  CublasProducts(CublasProducts&& other) noexcept
      : workspace_(std::move(other.workspace_)),
        handle_(std::exchange(other.handle_, nullptr)),
        plans_(std::move(other.plans_)) {}
  CublasProducts& operator=(CublasProducts&& other) noexcept {
    std::swap(workspace_, other.workspace_);
    std::swap(handle_, other.handle_);
    std::swap(plans_, other.plans_);
    return *this;
  }
  ~CublasProducts() {
    if (handle_) static_cast<void>(cublasLtDestroy(handle_));
  }

  /// c (rows, columns) = Σ_k a(m, k) b(n, k), and where Add + base, as in raw/linear.cuh, on the stream that owns the
  /// workspace.
  /// Nothing is done, and false returned, where cuBLASLt has no algorithm. rows, columns and depth are at least 1.
  template <bool AContiguous, bool BContiguous, bool Add, class R, class C>
  bool product(const R* a, const R* b, const C* base, C* c, int rows, int columns, int depth, bool tf32,
               cudaStream_t stream, std::string_view op) {
    if constexpr (!Add) base = c;  // it is not read
    const Key key{rows,
                  columns,
                  depth,
                  (AContiguous ? 1 : 0) | (BContiguous ? 2 : 0) | (Add ? 4 : 0) | (tf32 ? 8 : 0),
                  static_cast<int>(detail::cublas_type<R>),
                  static_cast<int>(detail::cublas_type<C>),
                  alignment(a, b, base, c)};
    auto found = plans_.find(key);
    if (found == plans_.end()) {
      if (plans_.size() >= most_plans) plans_.clear();
      found = plans_.emplace(key, plan(key, op)).first;
    }
    Plan& p = found->second;
    if (!p.known) return false;
    using Scale = std::conditional_t<std::is_same_v<R, double>, double, float>;
    const Scale one = 1, beta = Add ? 1 : 0;
    check_cublas(cublasLtMatmul(handle_, &p.operation, &one, b, &p.first, a, &p.second, &beta, base, &p.result, c,
                                &p.result, &p.algorithm, workspace_.data(), workspace_.size(), stream),
                 op);
    return true;
  }

  /// How many distinct products have been planned.
  std::size_t planned() const { return plans_.size(); }

 private:
  using Key = std::array<int, 7>;
  struct Hash {
    std::size_t operator()(const Key& key) const {
      std::uint64_t h = 14695981039346656037u;
      for (const int part : key) h = (h ^ static_cast<std::uint64_t>(part)) * 1099511628211u;
      return static_cast<std::size_t>(h ^ (h >> 32));
    }
  };
  struct Plan {
    cublasLtMatmulDescOpaque_t operation;
    cublasLtMatrixLayoutOpaque_t first, second, result;
    cublasLtMatmulAlgo_t algorithm;
    bool known = false;
  };

  /// What all addresses are multiples of, up to the 16 bytes of one load.
  static int alignment(const auto*... at) {
    const auto bits = (reinterpret_cast<std::uintptr_t>(at) | ... | std::uintptr_t{16});
    return static_cast<int>(bits & (~bits + 1));
  }

  /// cuBLASLt's matrices are stored by columns, so it is asked for cᵀ = b aᵀ.
  Plan plan(const Key& key, std::string_view op) const {
    const auto [rows, columns, depth, flags, type, result_type, aligned] = key;
    const bool a_contiguous = flags & 1, b_contiguous = flags & 2, tf32 = flags & 8;
    const auto input = static_cast<cudaDataType_t>(type), output = static_cast<cudaDataType_t>(result_type);
    const bool in_double = input == CUDA_R_64F;
    const auto extent = [](int n) { return static_cast<std::uint64_t>(n); };
    const auto layout = [&](cublasLtMatrixLayoutOpaque_t& at, cudaDataType_t of, int down, int across) {
      check_cublas(cublasLtMatrixLayoutInit(&at, of, extent(down), extent(across), down), op);
    };
    Plan p{};
    check_cublas(cublasLtMatmulDescInit(&p.operation,
                                        in_double ? CUBLAS_COMPUTE_64F
                                        : tf32    ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                  : CUBLAS_COMPUTE_32F,
                                        in_double ? CUDA_R_64F : CUDA_R_32F),
                 op);
    const auto transposed = [&](cublasLtMatmulDescAttributes_t which, bool is) {
      const cublasOperation_t value = is ? CUBLAS_OP_T : CUBLAS_OP_N;
      check_cublas(cublasLtMatmulDescSetAttribute(&p.operation, which, &value, sizeof value), op);
    };
    transposed(CUBLASLT_MATMUL_DESC_TRANSA, b_contiguous);
    transposed(CUBLASLT_MATMUL_DESC_TRANSB, !a_contiguous);
    layout(p.first, input, b_contiguous ? depth : columns, b_contiguous ? columns : depth);
    layout(p.second, input, a_contiguous ? depth : rows, a_contiguous ? rows : depth);
    layout(p.result, output, columns, rows);

    cublasLtMatmulPreferenceOpaque_t preference;
    check_cublas(cublasLtMatmulPreferenceInit(&preference), op);
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t which, auto value) {
      check_cublas(cublasLtMatmulPreferenceSetAttribute(&preference, which, &value, sizeof value), op);
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_.size());
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,  // parts of a sum meet in fp32, not in bf16
           static_cast<std::uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
    for (const auto which : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                             CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      prefer(which, static_cast<std::uint32_t>(aligned));
    cublasLtMatmulHeuristicResult_t best{};
    int results = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle_, &p.operation, &p.first, &p.second, &p.result,
                                                                 &p.result, &preference, 1, &best, &results);
    if (status != CUBLAS_STATUS_NOT_SUPPORTED) check_cublas(status, op);
    p.known = status == CUBLAS_STATUS_SUCCESS && results > 0 && best.state == CUBLAS_STATUS_SUCCESS;
    p.algorithm = best.algo;
    return p;
  }

  DeviceRange workspace_;
  cublasLtHandle_t handle_ = nullptr;
  std::unordered_map<Key, Plan, Hash> plans_;
};

}  // namespace flamingo
