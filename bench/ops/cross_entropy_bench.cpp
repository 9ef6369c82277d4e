#include <flamingo/ops/cross_entropy.hpp>

#include <flamingo/kernels/cpu/cross_entropy.hpp>
#include <flamingo/kernels/cpu/linear.hpp>
#include <flamingo/kernels/cpu/residual.hpp>

#include "support/op.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

constexpr int chunk = 4096, added_rows = 3;
constexpr double product = 2.0 * N * (V + added_rows) * D;

const bool registered =
    time_op("cross_entropy/forward", {.operations = product},
            [](Context<bench::P>& ctx) {
              const auto x = filled<D>(ctx, N);
              const auto table = filled_matrix<V, D>(ctx);
              const auto added = filled_matrix<added_rows, D>(ctx);
              const auto targets = take_vector<int, true>(ctx, N);
              for (int n = 0; n < N; ++n) targets.data[n] = n * 241;
              const auto nll = take_vector<float, true>(ctx, N), lse = take_vector<float, true>(ctx, N);
              return [=, &ctx] { ops::cross_entropy(ctx, x, table, added, targets, chunk, nll, lse); };
            }) &&
    time_op("cross_entropy/backward_input", {.operations = 2 * product}, [](Context<bench::P>& ctx) {
      const auto x = filled<D>(ctx, N), dx = filled<D>(ctx, N);
      const auto table = filled_matrix<V, D>(ctx);
      const auto added = filled_matrix<added_rows, D>(ctx);
      const auto targets = take_vector<int, true>(ctx, N);
      const auto lse = take_vector<float, true>(ctx, N), weights = take_vector<float, true>(ctx, N);
      for (int n = 0; n < N; ++n) {
        targets.data[n] = n * 241;
        lse.data[n] = 100;
        weights.data[n] = 1;
      }
      return [=, &ctx] {
        ops::cross_entropy_backward(ctx, x, table, added, targets, chunk, lse, weights, dx, NoGrad{}, NoGrad{});
      };
    });

}  // namespace
