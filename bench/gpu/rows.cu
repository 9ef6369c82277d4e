/// What moves rows and multiplies no matrices, bf16: bound by memory.
///
///   layer_norm N D       forward with moments; backward with dscale and dbias
///   gated N D            y = x + tanh(gate) branch; backward with dgate
///   gelu N D, squared_relu N D
///   adamw N              an update of N million parameters, fp32
#include <flamingo/kernels/cuda/raw/adamw.cuh>
#include <flamingo/kernels/cuda/raw/layer_norm.cuh>
#include <flamingo/kernels/cuda/raw/pointwise.cuh>

#include "timing.cuh"

namespace {

using namespace flamingo;
using namespace flamingo::bench;
using T = __nv_bfloat16;

struct Set {
  Numbers<T> x, branch, y, dy, dx;
};

class RowCase {
 public:
  RowCase(cudaStream_t stream, const Case& c)
      : stream_(stream), case_(c), N(c[0]), D(c[1]), size(static_cast<std::size_t>(N) * static_cast<std::size_t>(D)) {
    for (int i = 0; i < sets_of(4.0 * static_cast<double>(size)); ++i)
      sets_.push_back({Numbers<T>(size), Numbers<T>(size), Numbers<T>(size), Numbers<T>(size), Numbers<T>(size)});
  }

  void layer_norm() {
    const auto wide = static_cast<std::size_t>(D), tall = static_cast<std::size_t>(N);
    const Numbers<float> scale(wide), bias(wide), mean(tall), rstd(tall), dscale(wide), dbias(wide),
        workspace(raw::norm_workspace(N, D));
    timed("forward", [&](const Set& s) {
      return raw::layer_norm_forward(s.x.data(), scale.data(), bias.data(), s.y.data(), mean.data(), rstd.data(), N, D,
                                     1e-5f, stream_);
    });
    timed("backward", [&](const Set& s) {
      return raw::layer_norm_backward(s.dy.data(), s.x.data(), scale.data(), mean.data(), rstd.data(), s.dx.data(),
                                      dscale.data(), dbias.data(), workspace.data(), N, D, stream_);
    });
  }
  void gated() {
    const Numbers<float> gate(1), dgate(1), workspace(raw::gate_workspace(N, D));
    timed("forward", [&](const Set& s) {
      return raw::gated_add(s.x.data(), gate.data(), 1, s.branch.data(), s.y.data(), N, D, stream_);
    });
    timed("backward", [&](const Set& s) {
      const cudaError_t error = raw::gated_add_backward(gate.data(), 1, s.dy.data(), s.dx.data(), N, D, stream_);
      return error != cudaSuccess ? error
                                  : raw::gate_backward(gate.data(), 1, s.branch.data(), s.dy.data(), dgate.data(),
                                                       workspace.data(), N, D, stream_);
    });
  }
  template <class F>
  void activation() {
    timed("forward", [&](const Set& s) { return raw::activate<F>(s.x.data(), s.y.data(), size, stream_); });
    timed("backward",
          [&](const Set& s) { return raw::activate_backward<F>(s.x.data(), s.dy.data(), s.dx.data(), size, stream_); });
  }

 private:
  template <class Call>
  void timed(const char* what, const Call& call) {
    case_.report(what, "ours", seconds_of(stream_, static_cast<int>(sets_.size()), [&](int i) {
                   check_cuda(call(sets_[static_cast<std::size_t>(i)]), what);
                 }));
  }

  cudaStream_t stream_;
  const Case& case_;
  int N, D;
  std::size_t size;
  std::vector<Set> sets_;
};

void adamw(cudaStream_t stream, const Case& c) {
  const std::size_t size = static_cast<std::size_t>(c[0]) * 1000000;
  const Numbers<float> w(size), g(size), m(size);
  DeviceNumbers<float> v(size);  // second moments are not negative
  const raw::AdamWNumbers<float> step{0.9f, 0.1f, 0.999f, 0.001f, 1, 1 - 1e-5f, 1e-4f, 1, 1e-8f};
  c.report("adamw", "ours", seconds_of(stream, 1, [&](int) {
             check_cuda(raw::adamw(step, w.data(), g.data(), m.data(), v.data(), size, stream), "adamw");
           }));
}

}  // namespace

int main() {
  const Stream stream;
  return measure_cases([&](const Case& c) {
    if (c.kind == "adamw") return adamw(stream.get(), c);
    RowCase rows(stream.get(), c);
    if (c.kind == "layer_norm") rows.layer_norm();
    if (c.kind == "gated") rows.gated();
    if (c.kind == "gelu") rows.activation<raw::Gelu>();
    if (c.kind == "squared_relu") rows.activation<raw::SquaredRelu>();
  });
}
