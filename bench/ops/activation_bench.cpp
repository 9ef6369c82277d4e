#include <flamingo/ops/activation.hpp>

#include <flamingo/kernels/cpu/activation.hpp>

#include "support/op.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

constexpr double rows_bytes = 4.0 * N * F;

template <Activation A>
bool time_activation(const std::string& name) {
  return time_op("activate/forward/" + name, {.bytes = 2 * rows_bytes},
                 [](Context<bench::P>& ctx) {
                   const auto x = filled<F>(ctx, N), y = filled<F>(ctx, N);
                   return [=, &ctx] { ops::activate<A>(ctx, x, y); };
                 }) &&
         time_op("activate/backward/" + name, {.bytes = 3 * rows_bytes}, [](Context<bench::P>& ctx) {
           const auto x = filled<F>(ctx, N), dy = filled<F>(ctx, N), dx = filled<F>(ctx, N);
           return [=, &ctx] { ops::activate_backward<A>(ctx, x, dy, dx); };
         });
}

const bool registered =
    time_activation<Activation::gelu>("gelu") && time_activation<Activation::silu>("silu") &&
    time_activation<Activation::squared_relu>("squared_relu") &&
    time_op("gate_activate/forward/silu", {.bytes = 3 * rows_bytes},
            [](Context<bench::P>& ctx) {
              const auto gate = filled<F>(ctx, N), up = filled<F>(ctx, N), y = filled<F>(ctx, N);
              return [=, &ctx] { ops::gate_activate<Activation::silu>(ctx, gate, up, y); };
            }) &&
    time_op("gate_activate/backward/silu", {.bytes = 5 * rows_bytes}, [](Context<bench::P>& ctx) {
      const auto gate = filled<F>(ctx, N), up = filled<F>(ctx, N), dy = filled<F>(ctx, N), dgate = filled<F>(ctx, N),
                 dup = filled<F>(ctx, N);
      return [=, &ctx] { ops::gate_activate_backward<Activation::silu>(ctx, gate, up, dy, dgate, dup); };
    });

}  // namespace
