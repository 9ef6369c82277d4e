/// Relative positions on CUDA: their part of the scores is a product of its own, which attention's kernels read from a
/// table.
///
///   scores[h][n][d] = scale (q_n + v)·r_d
///   through[n] = scale Σ_d ds[h][n][d] r_d     dr_d += scale Σ_n ds[h][n][d] (q_n + v)
///
/// So tensor cores do the work for any number type and the kernels stay what they are. Of as many heads at a time as a
/// bounded table holds (one head of keys at least); r is filled up to whole 16 bytes by rows of zeros.
#pragma once
#include <algorithm>
#include <cstddef>
#include <type_traits>

#include <flamingo/kernels/cuda/attention_sizes.hpp>
#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/linear.cuh>
#include <flamingo/kernels/cuda/raw/heads.cuh>
#include <flamingo/kernels/cuda/raw/pointwise.cuh>

namespace flamingo::kernels {

template <Real R>
class RelativeScores {
 public:
  using P = Cuda<R>;
  using A = AccumulateOf<P>;
  using Number = typename flamingo::detail::Bare<R>::Type;

  /// Of q's first shape.N rows, which are all that the spans cover; r (distances, H K), v (H K). `most` numbers in a
  /// table.
  RelativeScores(Context<P>& ctx, const raw::AttentionShape& shape, A scale, In<P> q, In<P> r, const A* v,
                 std::size_t most = RelativeTable::most_scores)
      : RelativeScores(ctx, shape, scale, q, r, v,
                       RelativeTable({shape.heads, shape.kv_heads, shape.head_dim}, shape.N, r.rows, most)) {}

  /// Calls attend(first head, heads, position term) until all heads are done.
  template <class F>
  void forward(const F& attend) {
    each_part([&](const Part& part) { attend(part.first, part.heads, term(part, nullptr)); });
  }

  /// The same with a term that keeps the gradients of scores. Then dq, which attend() wrote without what goes through
  /// r, gets that too, and the gradients of r, u and v are added to where they are wanted.
  template <class F, class G>
  void backward(const F& attend, Out<P> dq, const G& d) {
    const auto scope = ctx_.scope();
    const auto through = scratch(ctx_, rows_, int(q_.width));
    each_part([&](const Part& part) {
      const auto dscores = scratch(ctx_, part.heads * rows_, columns_), own = scratch(ctx_, part.heads * rows_, K());
      clear_numbers(ctx_, dscores.data, dscores.size(), op);
      attend(part.first, part.heads, term(part, bare(dscores.data)));
      for (int h = 0; h < part.heads; ++h)
        ctx_.products().template backward_input<Number>(bare(dscores.row(h * rows_)), bare(part.r.row(h * columns_)),
                                                        bare(own.row(h * rows_)), rows_, K(), columns_, ctx_.stream(),
                                                        op);
      check_cuda(raw::join_heads<false>(bare(own.data), scale_, rows_, part.heads, rows_, K(),
                                        heads_of(through, part.first), ctx_.stream()),
                 op);
      if constexpr (wanted<G>) {
        const auto dr = scratch<dynamic, A>(ctx_, part.heads * columns_, K());
        clear_numbers(ctx_, dr.data, dr.size(), op);
        for (int h = 0; h < part.heads; ++h)
          ctx_.products().template backward_weight<Number>(bare(dscores.row(h * rows_)),
                                                           bare(part.asked.row(h * rows_)), dr.row(h * columns_), rows_,
                                                           K(), columns_, ctx_.stream(), op);
        check_cuda(raw::join_heads<true>(dr.data, A(1), d.dr.rows, part.heads, columns_, K(),
                                         heads_of(d.dr, part.first), ctx_.stream()),
                   op);
      }
    });
    if constexpr (wanted<G>) {
      add_column_sums<R>(ctx_, dq.slice(0, rows_), d.du.data, op);
      add_column_sums<R>(ctx_, through, d.dv.data, op);
    }
    check_cuda(raw::add<Number>(bare(dq.data), bare(through.data), bare(dq.data), through.size(), ctx_.stream()), op);
  }

 private:
  static constexpr const char* op = "attention";

  RelativeScores(Context<P>& ctx, const raw::AttentionShape& shape, A scale, In<P> q, In<P> r, const A* v,
                 const RelativeTable& table)
      : ctx_(ctx),
        shape_(shape),
        scale_(scale),
        q_(q),
        r_(r),
        v_(v),
        rows_(table.rows),
        columns_(table.columns),
        most_heads_(table.heads) {}

  /// Some heads, and the operands of their products: scale (q + v) (heads, rows, K) and r (heads, columns, K).
  struct Part {
    int first, heads;
    Out<P> asked, r;
  };
  template <class F>
  void each_part(const F& f) {
    for (int first = 0; first < shape_.heads; first += most_heads_) {
      const auto scope = ctx_.scope();
      const int heads = std::min(most_heads_, shape_.heads - first);
      const Part part{first, heads, scratch(ctx_, heads * rows_, K()), scratch(ctx_, heads * columns_, K())};
      check_cuda(raw::split_heads<Number>(heads_of(q_, first), v_ + first * K(), scale_, rows_, heads, rows_, K(),
                                          bare(part.asked.data), ctx_.stream()),
                 op);
      check_cuda(raw::split_heads<Number>(heads_of(r_, first), static_cast<const A*>(nullptr), A(1), r_.rows, heads,
                                          columns_, K(), bare(part.r.data), ctx_.stream()),
                 op);
      f(part);
    }
  }
  raw::ByDistance<Number> term(const Part& part, Number* gradients) {
    const auto scores = scratch<dynamic, A>(ctx_, part.heads * rows_, columns_);
    for (int h = 0; h < part.heads; ++h)
      ctx_.products().template product<true, true, false, Number>(bare(part.asked.row(h * rows_)),
                                                                  bare(part.r.row(h * columns_)), scores.row(h * rows_),
                                                                  rows_, columns_, K(), ctx_.stream(), op);
    return {scores.data, gradients, rows_, columns_};
  }

  int K() const { return shape_.head_dim; }
  /// Rows from a head on.
  template <class X>
  auto heads_of(const X& x, int first) const {
    return raw::Strided{bare(x.data) + first * K(), static_cast<long long>(int(x.width))};
  }

  Context<P>& ctx_;
  raw::AttentionShape shape_;
  A scale_;
  In<P> q_, r_;
  const A* v_;
  int rows_, columns_;
  int most_heads_;
};

}  // namespace flamingo::kernels
