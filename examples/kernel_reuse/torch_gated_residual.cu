/// The same kernel as an operator of PyTorch: torch.ops.flamingo.gated_residual(x, gate, branch), with its gradients.
///
///   torch.ops.load_library("libtorch_gated_residual.so")
///   y = torch.ops.flamingo.gated_residual(x, gate, branch)   # x, branch (N, D); gate (1) or (D), fp32; all on the GPU
#include <ATen/ATen.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <flamingo/kernels/cuda/raw/pointwise.cuh>

namespace {

namespace raw = flamingo::raw;
using at::Tensor;

void check(cudaError_t error) { TORCH_CHECK(error == cudaSuccess, "gated_residual: ", cudaGetErrorString(error)); }

/// Calls f(number of this type) for the types that have kernels.
template <class F>
void by_type(const Tensor& x, const F& f) {
  if (x.scalar_type() == at::kFloat)
    f(float{});
  else if (x.scalar_type() == at::kBFloat16)
    f(__nv_bfloat16{});
  else
    TORCH_CHECK(false, "gated_residual: x is ", x.scalar_type(), ", expected float32 or bfloat16");
}
template <class R>
R* data(const Tensor& x) {
  return static_cast<R*>(x.data_ptr());
}
/// Rows and features of x (..., D).
int features(const Tensor& x) { return static_cast<int>(x.size(-1)); }
int rows(const Tensor& x) { return x.numel() ? static_cast<int>(x.numel() / x.size(-1)) : 0; }

struct GatedResidual : torch::autograd::Function<GatedResidual> {
  static Tensor forward(torch::autograd::AutogradContext* ctx, Tensor x, Tensor gate, Tensor branch) {
    TORCH_CHECK(x.is_cuda() && x.sizes() == branch.sizes() && x.scalar_type() == branch.scalar_type() && x.dim() > 0,
                "gated_residual: x and branch differ, or are not on a GPU");
    TORCH_CHECK(gate.device() == x.device() && branch.device() == x.device(), "gated_residual: on several devices");
    TORCH_CHECK(gate.scalar_type() == at::kFloat && (gate.numel() == 1 || gate.numel() == x.size(-1)),
                "gated_residual: gate is not one or ", x.size(-1), " float32");
    const c10::cuda::CUDAGuard device(x.device());
    x = x.contiguous(), gate = gate.contiguous(), branch = branch.contiguous();
    ctx->save_for_backward({gate, branch});
    Tensor y = at::empty_like(x);
    by_type(x, [&](auto number) {
      using R = decltype(number);
      check(raw::gated_add(data<const R>(x), data<const float>(gate), static_cast<int>(gate.numel()),
                           data<const R>(branch), data<R>(y), rows(x), features(x), c10::cuda::getCurrentCUDAStream()));
    });
    return y;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list dys) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &gate = saved[0], &branch = saved[1], dy = dys[0].contiguous();
    const c10::cuda::CUDAGuard device(dy.device());
    Tensor dgate = at::zeros_like(gate), dbranch = at::empty_like(branch);
    const int N = rows(dy), D = features(dy), gates = static_cast<int>(gate.numel());
    const Tensor workspace = at::empty({static_cast<long>(raw::gate_workspace(N, D))}, gate.options());
    const cudaStream_t stream = c10::cuda::getCurrentCUDAStream();
    if (N > 0)
      by_type(dy, [&](auto number) {
        using R = decltype(number);
        check(
            raw::gated_add_backward(data<const float>(gate), gates, data<const R>(dy), data<R>(dbranch), N, D, stream));
        check(raw::gate_backward(data<const float>(gate), gates, data<const R>(branch), data<const R>(dy),
                                 data<float>(dgate), data<float>(workspace), N, D, stream));
      });
    return {dy, dgate, dbranch};
  }
};

}  // namespace

TORCH_LIBRARY(flamingo, library) { library.def("gated_residual(Tensor x, Tensor gate, Tensor branch) -> Tensor"); }
TORCH_LIBRARY_IMPL(flamingo, Autograd, library) {
  library.impl("gated_residual", [](const Tensor& x, const Tensor& gate, const Tensor& branch) {
    return GatedResidual::apply(x, gate, branch);
  });
}
