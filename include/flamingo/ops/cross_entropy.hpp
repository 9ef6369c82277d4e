/// cross_entropy: nll[n] = log Σ_v exp(x[n] · w[v]) - Σ_v q[v] x[n] · w[v], over a vocabulary taken in chunks
///
/// x (N, D)   w (V, D), and A added rows after it   targets, nll, lse (N). q is 1 at the target, or with label
/// smoothing ε (Szegedy et al. 2016): 1 - ε at the target, and ε / (V + A) everywhere besides. At most N * chunk logits
/// exist at a time; backward computes them again.
#pragma once
#include <algorithm>
#include <cstddef>
#include <limits>
#include <type_traits>
#include <vector>

#include <flamingo/core/context.hpp>
#include <flamingo/ops/arrange.hpp>
#include <flamingo/ops/linear.hpp>
#include <flamingo/ops/residual.hpp>

namespace flamingo {

/// What a row asks for: q = own at its target, and `each` at every entry besides.
template <class A>
struct TargetShares {
  A own = 1, each = 0;
};

namespace kernels {
/// Running log-sum-exp over chunks of logits, and its gradient; defined once per platform.
template <Platform P>
struct CrossEntropy;
}  // namespace kernels

namespace ops {

namespace detail {
template <class X, class W, class A>
void check_cross_entropy(const char* op, const X& x, const W& table, const A& added, int targets, int chunk) {
  static_assert(agree(width_of<X>, W::in), "cross_entropy: the width of x differs from the width of the vocabulary");
  static_assert(agree(A::in, W::in), "cross_entropy: the widths of table and added rows differ");
  check(chunk > 0, op, "chunk is ", chunk, ", expected a positive number of vocabulary entries");
  check(targets == x.rows, op, "x is ", x.shape(), " with ", targets, " targets");
  check(int(x.width) == int(table.columns) && int(x.width) == int(added.columns), op, "x is ", x.shape(),
        ", table is (", int(table.rows), ", ", int(table.columns), "), added is (", int(added.rows), ", ",
        int(added.columns), "): their last axes differ");
}

/// Calls f(part of the vocabulary, its first id, where its gradient goes) over the table, then over the added rows.
template <class W, class A, class DW, class DA, class F>
void each_chunk(const W& table, const A& added, const DW& dtable, const DA& dadded, int chunk, const F& f) {
  const auto walk = [&](const auto& w, int offset, const auto& dw) {
    for (int first = 0; first < int(w.rows); first += chunk) {
      const int count = std::min(chunk, int(w.rows) - first);
      if constexpr (wanted<decltype(dw)>)
        f(slice(w, first, count), offset + first, slice(dw, first, count));
      else
        f(slice(w, first, count), offset + first, NoGrad{});
    }
  };
  walk(table, 0, dtable);
  walk(added, int(table.rows), dadded);
}

template <class A, class W, class Added>
TargetShares<A> shares(const char* op, const W& table, const Added& added, float smoothing) {
  check(smoothing >= 0 && smoothing <= 1, op, "smoothing is ", smoothing, ", expected a share: 0 to 1");
  return {1 - A(smoothing), A(smoothing) / A(int(table.rows) + int(added.rows))};
}
}  // namespace detail

/// The likelihoods are those of the softmax over all V + A entries. Targets are 0 .. V + A - 1; anything else is
/// refused on the CPU.
template <Platform P, RowsOn<P> X, WeightOn<P> W, WeightOn<P> A>
void cross_entropy(Context<P>& ctx, const X& x, const W& table, const A& added,
                   std::type_identity_t<View<P, 1, const int>> targets, int chunk,
                   std::type_identity_t<View<P, 1, AccumulateOf<P>>> nll,
                   std::type_identity_t<View<P, 1, AccumulateOf<P>>> lse, float smoothing = 0) {
  detail::check_cross_entropy("cross_entropy", x, table, added, targets.shape[0], chunk);
  const auto shares = detail::shares<AccumulateOf<P>>("cross_entropy", table, added, smoothing);
  check(nll.shape == targets.shape && lse.shape == targets.shape, "cross_entropy", "targets are ", targets.shape,
        ", nll is ", nll.shape, " and lse is ", lse.shape, ": their lengths differ");
  const auto scope = ctx.scope();
  const auto sum = take_vector<AccumulateOf<P>>(ctx, x.rows), target = take_vector<AccumulateOf<P>>(ctx, x.rows);
  kernels::CrossEntropy<P>::begin(ctx, targets, int(table.rows) + int(added.rows), lse, sum, target);
  detail::each_chunk(table, added, NoGrad{}, NoGrad{}, chunk, [&](const auto& w, int first, NoGrad) {
    const auto inner = ctx.scope();
    const auto logits = scratch(ctx, x.rows, int(w.rows));  // (N, chunk)
    linear(ctx, x, w, logits);
    kernels::CrossEntropy<P>::update(ctx, logits, first, targets, shares, lse, sum, target);
  });
  kernels::CrossEntropy<P>::finish(ctx, lse, sum, target, nll);
}

/// An entry of the vocabulary that is asked for after a row.
struct Target {
  int row = 0, id = 0;
};

/// The same likelihoods of any number of targets a row: log p of target t is at[t] - lse[its row], and has the bits of
/// -nll where the row is asked for it alone. The logits of a row are computed once however many ask. `at` (T, 1) are
/// logits, lse (N).
template <Platform P, RowsOn<P> X, WeightOn<P> W, WeightOn<P> A>
void log_likelihoods(Context<P>& ctx, const X& x, const W& table, const A& added, const std::vector<Target>& targets,
                     int chunk, const Rows<P, 1>& at, std::type_identity_t<View<P, 1, AccumulateOf<P>>> lse) {
  const std::vector<int> any_id(static_cast<std::size_t>(x.rows), 0);  // the running sums read a target too
  const auto none = flamingo::table(ctx, any_id);
  detail::check_cross_entropy("log_likelihoods", x, table, added, none.shape[0], chunk);
  check(at.rows == static_cast<int>(targets.size()) && lse.shape == none.shape, "log_likelihoods", "x is ", x.shape(),
        " with ", targets.size(), " targets, at is ", at.shape(), " and lse is ", lse.shape);
  const int vocabulary = int(table.rows) + int(added.rows);
  for (const Target& t : targets)
    check(t.row >= 0 && t.row < x.rows && t.id >= 0 && t.id < vocabulary, "log_likelihoods", "target ", t.id,
          " of row ", t.row, ": there are ", x.rows, " rows, and the vocabulary has ", vocabulary, " entries");
  const auto scope = ctx.scope();
  const auto sum = take_vector<AccumulateOf<P>>(ctx, x.rows), unused = take_vector<AccumulateOf<P>>(ctx, x.rows);
  const auto found = scratch<1>(ctx, at.rows);  // in the order of the vocabulary's chunks
  const auto shares = detail::shares<AccumulateOf<P>>("log_likelihoods", table, added, 0);
  std::vector<int> places;
  kernels::CrossEntropy<P>::begin(ctx, none, vocabulary, lse, sum, unused);
  detail::each_chunk(table, added, NoGrad{}, NoGrad{}, chunk, [&](const auto& w, int first, NoGrad) {
    const auto inner = ctx.scope();
    const int n = int(w.rows), done = static_cast<int>(places.size());
    check(x.rows <= std::numeric_limits<int>::max() / n, "log_likelihoods", x.rows, " rows of ", n,
          " logits at a time: more than numbers count");
    const auto logits = scratch(ctx, x.rows, n);  // (N, chunk)
    linear(ctx, x, w, logits);
    kernels::CrossEntropy<P>::update(ctx, logits, first, none, shares, lse, sum, unused);
    std::vector<int> here;
    for (std::size_t t = 0; t < targets.size(); ++t)
      if (const int id = targets[t].id - first; id >= 0 && id < n) {
        here.push_back(targets[t].row * n + id);
        places.push_back(static_cast<int>(t));
      }
    if (here.empty()) return;
    gather(ctx, Rows<P, 1>{logits.data, x.rows * n, {}}, flamingo::table(ctx, here),
           found.slice(done, static_cast<int>(here.size())));
  });
  kernels::CrossEntropy<P>::finish(ctx, lse, sum, unused, unused);
  place(ctx, found, flamingo::table(ctx, places), at);
}

/// Writes dx and adds to dtable and dadded, for a loss of Σ_n weights[n] (nll[n] + z_loss lse[n]²).
template <Platform P, RowsOn<P> X, WeightOn<P> W, WeightOn<P> A, RowsSink<P> DX, WeightSink<P> DW, WeightSink<P> DA>
void cross_entropy_backward(Context<P>& ctx, const X& x, const W& table, const A& added,
                            std::type_identity_t<View<P, 1, const int>> targets, int chunk,
                            std::type_identity_t<View<P, 1, const AccumulateOf<P>>> lse,
                            std::type_identity_t<View<P, 1, const AccumulateOf<P>>> weights, const DX& dx,
                            const DW& dtable, const DA& dadded, float smoothing = 0, float z_loss = 0) {
  detail::check_cross_entropy("cross_entropy_backward", x, table, added, targets.shape[0], chunk);
  check(lse.shape == targets.shape && weights.shape == targets.shape, "cross_entropy_backward", "targets are ",
        targets.shape, ", lse is ", lse.shape, " and weights are ", weights.shape, ": their lengths differ");
  const auto shares = detail::shares<AccumulateOf<P>>("cross_entropy_backward", table, added, smoothing);
  const auto scope = ctx.scope();
  bool begun = false;
  detail::each_chunk(table, added, dtable, dadded, chunk, [&](const auto& w, int first, const auto& dw) {
    const auto inner = ctx.scope();
    const auto logits = scratch(ctx, x.rows, int(w.rows));  // (N, chunk), then its gradient
    linear(ctx, x, w, logits);
    kernels::CrossEntropy<P>::gradient(ctx, logits, first, targets, shares, lse, weights, 2 * AccumulateOf<P>(z_loss));
    if constexpr (wanted<DX>) {
      if (!begun) {
        linear_backward(ctx, x, w, logits, dx, dw);
      } else {
        const auto part = scratch(ctx, x.rows, int(x.width));
        linear_backward(ctx, x, w, logits, part, dw);
        accumulate(ctx, part, dx);
      }
    } else {
      linear_backward(ctx, x, w, logits, NoGrad{}, dw);
    }
    begun = true;
  });
}

}  // namespace ops
}  // namespace flamingo
