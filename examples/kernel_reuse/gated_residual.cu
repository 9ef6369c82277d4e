/// A kernel of flamingo in a plain CUDA program: y = x + tanh(alpha) branch, forward and backward.
///
///   nvcc -std=c++20 -Iinclude examples/kernel_reuse/gated_residual.cu -o gated_residual && ./gated_residual
///
/// Headers of kernels/cuda/raw take raw pointers, sizes and a stream, answer with a cudaError_t, allocate nothing and
/// include nothing of the library but each other.
#include <flamingo/kernels/cuda/raw/pointwise.cuh>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace raw = flamingo::raw;

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

float* device_copy(const std::vector<float>& host) {
  float* device = nullptr;
  check(cudaMalloc(&device, host.size() * sizeof(float)), "cudaMalloc");
  check(cudaMemcpy(device, host.data(), host.size() * sizeof(float), cudaMemcpyHostToDevice), "cudaMemcpy");
  return device;
}
std::vector<float> host_copy(const float* device, std::size_t size) {
  std::vector<float> host(size);
  check(cudaMemcpy(host.data(), device, size * sizeof(float), cudaMemcpyDeviceToHost), "cudaMemcpy");
  return host;
}

int main() {
  constexpr int N = 300, D = 96;  // rows and features
  constexpr float alpha = 0.5f;
  std::vector<float> x(N * D), branch(N * D), dy(N * D, 0.25f);
  for (int i = 0; i < N * D; ++i) {
    x[static_cast<std::size_t>(i)] = std::sin(0.1f * static_cast<float>(i));
    branch[static_cast<std::size_t>(i)] = std::cos(0.2f * static_cast<float>(i));
  }
  float *const x_ = device_copy(x), *const branch_ = device_copy(branch), *const dy_ = device_copy(dy);
  float *const y = device_copy(x), *const dbranch = device_copy(x);
  float *const gate = device_copy({alpha}), *const dgate = device_copy({0});  // gradients of weights are added to
  float* const workspace = device_copy(std::vector<float>(raw::gate_workspace(N, D)));

  cudaStream_t stream;
  check(cudaStreamCreate(&stream), "cudaStreamCreate");
  check(raw::gated_add(x_, gate, 1, branch_, y, N, D, stream), "gated_add");
  check(raw::gated_add_backward(gate, 1, dy_, dbranch, N, D, stream), "gated_add_backward");
  check(raw::gate_backward(gate, 1, branch_, dy_, dgate, workspace, N, D, stream), "gate_backward");
  check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");

  const double open = std::tanh(static_cast<double>(alpha));
  const std::vector<float> got = host_copy(y, x.size()), dbranch_got = host_copy(dbranch, x.size());
  double worst = 0, slope = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    worst = std::max(worst, std::abs(x[i] + open * branch[i] - got[i]));
    worst = std::max(worst, std::abs(open * dy[i] - dbranch_got[i]));
    slope += (1 - open * open) * dy[i] * branch[i];
  }
  worst = std::max(worst, std::abs(slope - host_copy(dgate, 1)[0]) / 100);
  std::printf("largest error: %.1e\n", worst);
  return worst < 1e-6 ? 0 : 1;
}
