#include <flamingo/ops/norm.hpp>

#include <flamingo/kernels/cpu/norm.hpp>

#include "support/op.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

constexpr double rows_bytes = 4.0 * N * D;

const bool registered =
    time_op("layer_norm/forward", {.bytes = 2 * rows_bytes},
            [](Context<bench::P>& ctx) {
              const auto x = filled<D>(ctx, N), y = filled<D>(ctx, N);
              const auto scale = filled_vector<D>(ctx), bias = filled_vector<D>(ctx);
              const auto moments = filled<2>(ctx, N);
              return [=, &ctx] { ops::layer_norm(ctx, x, scale, bias, 1e-5f, y, moments); };
            }) &&
    time_op("layer_norm/backward", {.bytes = 5 * rows_bytes},
            [](Context<bench::P>& ctx) {
              const auto x = filled<D>(ctx, N), dy = filled<D>(ctx, N), dx = filled<D>(ctx, N);
              const auto scale = filled_vector<D>(ctx), dscale = filled_vector<D>(ctx), dbias = filled_vector<D>(ctx);
              const auto moments = filled<2>(ctx, N);
              return [=, &ctx] { ops::layer_norm_backward(ctx, x, moments, scale, dy, dx, dscale, dbias); };
            }) &&
    time_op("rms_norm/forward", {.bytes = 2 * rows_bytes},
            [](Context<bench::P>& ctx) {
              const auto x = filled<D>(ctx, N), y = filled<D>(ctx, N);
              const auto scale = filled_vector<D>(ctx);
              const auto moments = filled<2>(ctx, N);
              return [=, &ctx] { ops::rms_norm(ctx, x, scale, 1e-5f, y, moments); };
            }) &&
    time_op("rms_norm/backward", {.bytes = 5 * rows_bytes}, [](Context<bench::P>& ctx) {
      const auto x = filled<D>(ctx, N), dy = filled<D>(ctx, N), dx = filled<D>(ctx, N);
      const auto scale = filled_vector<D>(ctx), dscale = filled_vector<D>(ctx);
      const auto moments = filled<2>(ctx, N);
      return [=, &ctx] { ops::rms_norm_backward(ctx, x, moments, scale, dy, dx, dscale); };
    });

}  // namespace
