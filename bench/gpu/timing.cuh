/// Times what is started on a stream: graphs of calls over tensors that take turns, and a line of JSON for each median.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <flamingo/kernels/cuda/context.cuh>

namespace flamingo::bench {

/// Normal numbers: what a kernel or a matrix unit does with zeros is no measure.
template <class T>
static __global__ void draw_kernel(T* x, std::size_t count, std::uint64_t seed, float deviation) {
  const std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  std::uint64_t h = (i + seed * 0x9E3779B97F4A7C15u) * 0xBF58476D1CE4E5B9u;
  h = (h ^ (h >> 31)) * 0x94D049BB133111EBu;
  h ^= h >> 30;
  const float u = static_cast<float>((h >> 40) + 1) * 0x1p-24f, v = static_cast<float>(h & 0xffffff) * 0x1p-24f;
  x[i] = raw::narrow<T>(static_cast<raw::Accumulate<T>>(deviation * sqrtf(-2 * logf(u)) * cospif(2 * v)));
}

/// `count` numbers on the device, drawn.
template <class T>
class Numbers {
 public:
  explicit Numbers(std::size_t count) : range_(count * sizeof(T)) {
    static std::uint64_t seed = 0;
    draw_kernel<T><<<static_cast<unsigned>((count + 255) / 256), 256>>>(data(), count, ++seed, 1.f);
    check_cuda(cudaDeviceSynchronize(), "draw");
  }
  T* data() const { return reinterpret_cast<T*>(range_.data()); }

 private:
  DeviceRange range_;
};

/// How many sets of tensors of `bytes` take turns, so that none is found in the cache where real use would not find it.
inline int sets_of(double bytes) { return static_cast<int>(std::clamp(std::ceil(256e6 / bytes), 2.0, 64.0)); }

/// Median seconds of one call; call(set) starts one with the tensors of that set. Calls are captured, so that what is
/// timed is the device and not how fast a host starts kernels.
template <class Call>
double seconds_of(cudaStream_t stream, int sets, const Call& call) {
  cudaEvent_t begin, end;
  check_cuda(cudaEventCreate(&begin), "cudaEventCreate");
  check_cuda(cudaEventCreate(&end), "cudaEventCreate");
  const auto timed = [&](auto&& start) {
    check_cuda(cudaEventRecord(begin, stream), "cudaEventRecord");
    start();
    check_cuda(cudaEventRecord(end, stream), "cudaEventRecord");
    check_cuda(cudaEventSynchronize(end), "a measured call");
    float milliseconds = 0;
    check_cuda(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
    return 1e-3 * static_cast<double>(milliseconds);
  };
  const auto each_set = [&] {
    for (int set = 0; set < sets; ++set) call(set);
  };
  each_set();  // loads kernels and plans products
  const double first = timed(each_set);
  const int repeats = static_cast<int>(std::clamp(1e-3 / first, 1.0, 32.0));

  cudaGraph_t graph;
  cudaGraphExec_t captured;
  check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
  for (int i = 0; i < repeats; ++i) each_set();
  check_cuda(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  check_cuda(cudaGraphInstantiate(&captured, graph, 0), "cudaGraphInstantiate");
  const auto launched = [&] { check_cuda(cudaGraphLaunch(captured, stream), "cudaGraphLaunch"); };
  timed(launched);
  std::vector<double> times;
  for (double spent = 0; times.size() < 5 || (spent < 0.15 && times.size() < 100); spent += times.back())
    times.push_back(timed(launched));
  check_cuda(cudaGraphExecDestroy(captured), "cudaGraphExecDestroy");
  check_cuda(cudaGraphDestroy(graph), "cudaGraphDestroy");
  check_cuda(cudaEventDestroy(begin), "cudaEventDestroy");
  check_cuda(cudaEventDestroy(end), "cudaEventDestroy");
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2] / (repeats * sets);
}

/// A line of bench/gpu/run: what is measured, and its sizes.
struct Case {
  std::string line, kind;
  std::vector<int> sizes;

  explicit Case(std::string given) : line(std::move(given)) {
    std::istringstream words(line);
    words >> kind;
    for (int size; words >> size;) sizes.push_back(size);
  }
  int operator[](std::size_t i) const {
    check(i < sizes.size(), "bench", "the case \"", line, "\" has ", sizes.size(), " sizes, expected more");
    return sizes[i];
  }
  void report(const char* what, const char* by, double seconds) const {
    std::printf("{\"case\": \"%s\", \"what\": \"%s\", \"by\": \"%s\", \"seconds\": %.9g}\n", line.c_str(), what, by,
                seconds);
    std::fflush(stdout);
  }
};

/// Measures each case that standard input names.
template <class Measure>
int measure_cases(const Measure& measure) {
  try {
    for (std::string line; std::getline(std::cin, line);)
      if (!line.empty()) measure(Case(line));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}

}  // namespace flamingo::bench
