#include <flamingo/ops/arrange.hpp>

#include <flamingo/kernels/cpu/arrange.hpp>

#include "support/op.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

View<bench::P, 1, const int> latents(Context<bench::P>& ctx) {
  const auto index = take_vector<int, true>(ctx, N);
  for (int n = 0; n < N; ++n) index.data[n] = n % 64;
  return index;
}

const bool registered = time_op("gather", {.bytes = 2 * 4.0 * N * D},
                                [](Context<bench::P>& ctx) {
                                  const auto x = filled<D>(ctx, 64), y = filled<D>(ctx, N);
                                  const auto index = latents(ctx);
                                  return [=, &ctx] { ops::gather(ctx, x, index, y); };
                                }) &&
                        time_op("scatter_add", {.bytes = 3 * 4.0 * N * D}, [](Context<bench::P>& ctx) {
                          const auto x = filled<D>(ctx, N), y = filled<D>(ctx, 64);
                          const auto index = latents(ctx);
                          return [=, &ctx] { ops::scatter_add(ctx, x, index, y); };
                        });

}  // namespace
