#include <flamingo/ops/linear.hpp>

#include <cstring>
#include <string>

#include <flamingo/kernels/cpu/linear.hpp>

#include "support/op.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

template <int O, int I>
bool time_product(const std::string& name, int rows) {
  const double product = 2.0 * rows * O * I;
  time_op("linear/forward/" + name, {.operations = product}, [rows](Context<bench::P>& ctx) {
    const auto x = filled<I>(ctx, rows);
    const auto y = filled<O>(ctx, rows);
    const auto w = filled_matrix<O, I>(ctx);
    return [=, &ctx] { ops::linear(ctx, x, w, y); };
  });
  time_op("linear/backward_input/" + name, {.operations = product}, [rows](Context<bench::P>& ctx) {
    const auto dx = filled<I>(ctx, rows);
    const auto dy = filled<O>(ctx, rows);
    const auto w = filled_matrix<O, I>(ctx);
    return [=, &ctx] { ops::linear_backward(ctx, NoGrad{}, w, dy, dx, NoGrad{}); };
  });
  return time_op("linear/backward_weight/" + name, {.operations = product}, [rows](Context<bench::P>& ctx) {
    const auto x = filled<I>(ctx, rows);
    const auto dy = filled<O>(ctx, rows);
    const auto w = filled_matrix<O, I>(ctx), dw = filled_matrix<O, I>(ctx);
    return [=, &ctx] { ops::linear_backward(ctx, x, w, dy, NoGrad{}, dw); };
  });
}
bool time_packed() {
  // q8_0 blocks of zeros: reading them costs what any numbers cost.
  return time_op("linear/forward/prompt_to_hidden/q8_0", {.operations = 2.0 * N * F * D}, [](Context<bench::P>& ctx) {
    const auto x = filled<D>(ctx, N);
    const auto y = filled<F>(ctx, N);
    const std::size_t bytes = std::size_t{F} * D / 32 * 34;
    std::byte* data = ctx.arena().keep(bytes);
    std::memset(data, 0, bytes);
    const PackedMatrix<bench::P, F, D> w{data, nullptr, Format::q8_0, {}, {}};
    return [=, &ctx] { ops::linear(ctx, x, w, y); };
  });
}

const bool registered = time_product<D, D>("prompt_to_heads", N) && time_product<F, D>("prompt_to_hidden", N) &&
                        time_product<D, F>("prompt_from_hidden", N) && time_product<F, D>("token_to_hidden", 1) &&
                        time_packed();

}  // namespace
