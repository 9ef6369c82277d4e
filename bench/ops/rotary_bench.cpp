#include <flamingo/ops/rotary.hpp>

#include <flamingo/kernels/cpu/rotary.hpp>

#include "support/op.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

bool time_rotary(const std::string& name, bool backward) {
  return time_op("rotary/" + name, {.bytes = 2 * 4.0 * N * H * K}, [backward](Context<bench::P>& ctx) {
    const auto x = filled<H * K>(ctx, N);
    const auto positions = take_vector<int, true>(ctx, N);
    for (int n = 0; n < N; ++n) positions.data[n] = n;
    return [=, &ctx] {
      const RotaryShape shape{.head_dim = K, .turned = K, .base = 1e5};
      if (backward)
        ops::rotary_backward(ctx, shape, positions, x);
      else
        ops::rotary(ctx, shape, positions, x);
    };
  });
}

const bool registered = time_rotary("forward", false) && time_rotary("backward", true);

}  // namespace
