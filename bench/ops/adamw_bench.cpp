#include <flamingo/ops/adamw.hpp>

#include <algorithm>
#include <cstdint>

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
                        time_op("adamw, moments in bf16", {.bytes = (3 * 4.0 + 4 * 2) * size},
                                [](Context<bench::P>& ctx) {
                                  const auto w = numbers(ctx), g = numbers(ctx);
                                  const View<bench::P, 1, bfloat16> m = take_vector<bfloat16, true>(ctx, size),
                                                                    v = take_vector<bfloat16, true>(ctx, size);
                                  std::fill_n(m.data, size, bfloat16(0));
                                  std::fill_n(v.data, size, bfloat16(0));
                                  return [=, &ctx] { ops::adamw(ctx, {.step = 7}, w, g, m, v); };
                                }) &&
                        time_op("adamw, moments in bytes", {.bytes = (3 * 4.0 + 4 * 17 / 16.0) * size},
                                [](Context<bench::P>& ctx) {
                                  const auto w = numbers(ctx), g = numbers(ctx);
                                  const auto bytes = [&](int count) {
                                    const auto taken = take_vector<std::uint8_t, true>(ctx, count);
                                    std::fill_n(taken.data, count, std::uint8_t{0});
                                    return taken.data;
                                  };
                                  const BlockMoments<bench::P, true> m{bytes(size), bytes(size / 16), {size}};
                                  const BlockMoments<bench::P, false> v{bytes(size), bytes(size / 16), {size}};
                                  return [=, &ctx] { ops::adamw(ctx, {.step = 7}, w, g, m, v); };
                                }) &&
                        time_op("sum_of_squares", {.bytes = 4.0 * size}, [](Context<bench::P>& ctx) {
                          const auto x = numbers(ctx);
                          const auto sum = take_vector<double, true>(ctx, 1);
                          sum.data[0] = 0;
                          return [=, &ctx] { ops::sum_of_squares(ctx, x, sum); };
                        });

}  // namespace
