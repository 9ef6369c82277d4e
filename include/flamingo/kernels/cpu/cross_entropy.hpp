/// Running log-sum-exp over chunks of a vocabulary on the CPU.
#pragma once
#include <cmath>
#include <limits>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/ops/cross_entropy.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct CrossEntropy<Cpu<R, Set>> {
  using P = Cpu<R, Set>;
  using A = AccumulateOf<P>;

  /// `lse` holds the running maximum until finish.
  static void begin(Context<P>&, View<P, 1, const int> targets, int vocabulary, View<P, 1, A> maximum,
                    View<P, 1, A> sum, View<P, 1, A> target) {
    for (int n = 0; n < targets.shape[0]; ++n)
      check(targets.data[n] >= 0 && targets.data[n] < vocabulary, "cross_entropy", "target ", targets.data[n],
            " at row ", n, ": the vocabulary has ", vocabulary, " entries");
    line(maximum.data, maximum.size()).setConstant(-std::numeric_limits<A>::infinity());
    line(sum.data, sum.size()).setZero();
    line(target.data, target.size()).setZero();
  }
  static void update(Context<P>& ctx, In<P> logits, int first, View<P, 1, const int> targets, TargetShares<A> shares,
                     View<P, 1, A> maximum, View<P, 1, A> sum, View<P, 1, A> target) {
    each_row(ctx, logits, [&](int n) {
      const A before = maximum.data[n], now = std::max(before, line(logits, n).maxCoeff());
      sum.data[n] = sum.data[n] * std::exp(before - now) + (line(logits, n) - now).exp().sum();
      maximum.data[n] = now;
      const int t = targets.data[n] - first;
      if (t >= 0 && t < int(logits.width)) target.data[n] += shares.own * logits.row(n)[t];
      if (shares.each > 0) target.data[n] += shares.each * kernels::sum(line(logits, n));
    });
  }
  static void finish(Context<P>&, View<P, 1, A> lse, View<P, 1, A> sum, View<P, 1, A> target, View<P, 1, A> nll) {
    for (int n = 0; n < lse.shape[0]; ++n) {  // one by one: a row's bits do not depend on its place
      lse.data[n] += std::log(sum.data[n]);
      nll.data[n] = lse.data[n] - target.data[n];
    }
  }
  /// A logit's probability counts 1 + of_lse · lse.
  static void gradient(Context<P>& ctx, Out<P> logits, int first, View<P, 1, const int> targets, TargetShares<A> shares,
                       View<P, 1, const A> lse, View<P, 1, const A> weights, A of_lse) {
    each_row(ctx, logits, [&](int n) {
      R* row = logits.row(n);
      const A counts = 1 + of_lse * lse.data[n];
      each_chunk(static_cast<std::size_t>(int(logits.width)), [&](std::size_t at, std::size_t count) {
        Chunk<R> z(row + at, count);
        z.numbers = weights.data[n] * (counts * (z.numbers - lse.data[n]).exp() - shares.each);
        z.write(row + at, count);
      });
      const int t = targets.data[n] - first;
      if (t >= 0 && t < int(logits.width)) row[t] -= shares.own * weights.data[n];
    });
  }

 private:
  template <class F>
  static void each_row(Context<P>& ctx, In<P> x, const F& f) {
    ctx.threads().run(x.rows, f);
  }
};

}  // namespace flamingo::kernels
