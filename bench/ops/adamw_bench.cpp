#include <flamingo/ops/adamw.hpp>

#include <flamingo/kernels/cpu/adamw.hpp>

#include "support/op.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

constexpr int size = F * D;  // one matrix
View<bench::P, 1, float> numbers(Context<bench::P>& ctx) { return {filled(ctx, 1, size).data, {size}}; }

const bool registered = time_op("adamw", {.bytes = 7 * 4.0 * size},
                                [](Context<bench::P>& ctx) {
                                  const auto w = numbers(ctx), g = numbers(ctx), m = numbers(ctx), v = numbers(ctx);
                                  for (int i = 0; i < size; ++i) v.data[i] *= v.data[i];
                                  return [=, &ctx] { ops::adamw(ctx, {.step = 7}, w, g, m, v); };
                                }) &&
                        time_op("sum_of_squares", {.bytes = 4.0 * size}, [](Context<bench::P>& ctx) {
                          const auto x = numbers(ctx);
                          const auto sum = take_vector<double, true>(ctx, 1);
                          sum.data[0] = 0;
                          return [=, &ctx] { ops::sum_of_squares(ctx, x, sum); };
                        });

}  // namespace
