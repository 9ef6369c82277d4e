#include <flamingo/ops/embedding.hpp>

#include <flamingo/kernels/cpu/embedding.hpp>

#include "support/op.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

View<bench::P, 1, const int> some_ids(Context<bench::P>& ctx) {
  const auto ids = take_vector<int, true>(ctx, N);
  for (int n = 0; n < N; ++n) ids.data[n] = n * 241;
  return ids;
}

const bool registered = time_op("embed/forward", {.bytes = 2 * 4.0 * N * D},
                                [](Context<bench::P>& ctx) {
                                  const auto y = filled<D>(ctx, N);
                                  const auto table = filled_matrix<V, D>(ctx);
                                  const auto added = filled_matrix<3, D>(ctx);
                                  const auto ids = some_ids(ctx);
                                  return [=, &ctx] { ops::embed(ctx, ids, table, added, y); };
                                }) &&
                        time_op("embed/backward", {.bytes = 3 * 4.0 * N * D}, [](Context<bench::P>& ctx) {
                          const auto dy = filled<D>(ctx, N);
                          const auto dtable = filled_matrix<V, D>(ctx);
                          const auto dadded = filled_matrix<3, D>(ctx);
                          const auto ids = some_ids(ctx);
                          return [=, &ctx] { ops::embed_backward(ctx, ids, V, dy, dtable, dadded); };
                        });

}  // namespace
