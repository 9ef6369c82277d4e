#include <flamingo/ops/residual.hpp>

#include <flamingo/kernels/cpu/residual.hpp>

#include "support/op.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

constexpr double rows_bytes = 4.0 * N * D;

const bool registered = time_op("add", {.bytes = 3 * rows_bytes},
                                [](Context<bench::P>& ctx) {
                                  const auto a = filled<D>(ctx, N), b = filled<D>(ctx, N), y = filled<D>(ctx, N);
                                  return [=, &ctx] { ops::add(ctx, a, b, y); };
                                }) &&
                        time_op("gated_add/forward", {.bytes = 3 * rows_bytes},
                                [](Context<bench::P>& ctx) {
                                  const auto x = filled<D>(ctx, N), branch = filled<D>(ctx, N), y = filled<D>(ctx, N);
                                  const auto gate = filled_vector<1>(ctx);
                                  return [=, &ctx] { ops::gated_add(ctx, x, gate, branch, y); };
                                }) &&
                        time_op("gated_add/backward", {.bytes = 4 * rows_bytes}, [](Context<bench::P>& ctx) {
                          const auto branch = filled<D>(ctx, N), dy = filled<D>(ctx, N), dbranch = filled<D>(ctx, N);
                          const auto gate = filled_vector<1>(ctx), dgate = filled_vector<1>(ctx);
                          return [=, &ctx] { ops::gated_add_backward(ctx, gate, branch, dy, dbranch, dgate); };
                        });

}  // namespace
