/// What the CUDA runtime says about a call, as one of our errors.
#pragma once
#include <flamingo/core/check.hpp>
#include <flamingo/kernels/cuda/raw/tile.cuh>

namespace flamingo {

/// fail(op, CUDA's name and text) unless the call succeeded. An error of an earlier launch can show at any later call.
/// What is thrown here is told: the runtime forgets it, so that the next launch does not answer with it.
inline void check_cuda(cudaError_t error, std::string_view op) {
  if (error != cudaSuccess) static_cast<void>(cudaGetLastError());
  check(error == cudaSuccess, op, cudaGetErrorName(error), ": ", cudaGetErrorString(error));
}

}  // namespace flamingo
