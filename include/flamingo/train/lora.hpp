/// LoRA (Hu et al. 2021): a frozen decoder whose matrices each learn an addition of low rank, w + b a.
///
/// b is 0 at first, so the decoder begins as it is. The paper's factor α / r is 1: with Adam it is a rate. The frozen
/// matrices may be packed in any format (then this is the use that QLoRA makes of them).
#pragma once
#include <array>
#include <type_traits>

#include <flamingo/core/context.hpp>
#include <flamingo/core/parameters.hpp>
#include <flamingo/ops/linear.hpp>

namespace flamingo {

namespace detail {

/// The storage of a layer's low-rank factors, and of its added rows where `rows`; nothing of what is frozen.
template <class S, int rank, bool rows>
struct LowRankParts {
  template <int O, int D>
  using Matrix = LowRankFactors<typename S::template Matrix<rank, D>, typename S::template Matrix<O, rank>>;
  template <int V, int D>
  using Table = NoGrad;
  template <int N, int D>
  using Learned = NoGrad;
  template <int V, int D>
  using Added = std::conditional_t<rows, typename S::template Added<V, D>, NoGrad>;
  template <int D>
  using Vector = NoGrad;
};
/// A layer's weights: those of the frozen policy, and matrices with factors that lie in S.
template <class Frozen, class S, int rank>
struct LowRankWeights : Frozen {
  template <int O, int D>
  using Matrix = LowRankMatrix<typename Frozen::template Matrix<O, D>, typename S::template Matrix<rank, D>,
                               typename S::template Matrix<O, rank>>;
};

template <class Parameters>
struct PolicyOf;
template <template <class> class Parameters, class S>
struct PolicyOf<Parameters<S>> {
  using type = S;
};

}  // namespace detail

/// What is trained of the decoder: the factors, "blocks.0.attention.query.lora_a" (rank, D) and "...lora_b" (O, rank),
/// and its added rows where `rows`.
template <class Decoder, int rank, bool rows = false>
struct Lora {
  static_assert(rank > 0, "Lora: the rank must be positive");

  template <class S>
  struct Parameters : Decoder::template Parameters<detail::LowRankParts<S, rank, rows>> {
    using Policy = S;
  };
  static constexpr void each(auto& visit, auto&... p) {
    auto factors = [&visit](const Spec& spec, auto&... leaf) {
      if constexpr ((requires { leaf.lora_a; } && ...)) {
        if (spec.role == Role::matrix) {
          visit(matrix_spec(spec.name.dot("lora_a"), rank, spec.columns, Init::normal(0.02f)), leaf.lora_a...);
          visit(matrix_spec(spec.name.dot("lora_b"), spec.rows, rank, Init::zero()), leaf.lora_b...);
        }
      }
      if constexpr (rows && ((wanted<decltype(leaf)> && !requires { leaf.lora_a; }) && ...))
        if (spec.role == Role::added) visit(spec, leaf...);
    };
    Decoder::each(factors, p...);
  }

  /// The frozen decoder's weights with these factors: what any layer takes as weights. Both must live on.
  template <class Frozen, class Factors>
  static auto in(const Frozen& frozen, const Factors& learned) {
    using Policy = detail::LowRankWeights<typename detail::PolicyOf<Frozen>::type, typename Factors::Policy, rank>;
    typename Decoder::template Parameters<Policy> whole;
    const auto join = [](const Spec&, auto& leaf, const auto& old, const auto& more) {
      if constexpr (requires { more.lora_a; })
        leaf = {old, more.lora_a, more.lora_b};
      else if constexpr (wanted<decltype(more)>)
        leaf = more;
      else
        leaf = old;
    };
    Decoder::each(join, whole, frozen, learned);
    return whole;
  }

  /// Adds b a to each matrix of the decoder's weights, and puts the added rows in place: weights for inference and for
  /// export that need no factors any more. `weights` holds the frozen decoder's numbers.
  template <Platform P, class Weights, class Factors>
  static void merge(Context<P>& ctx, const Weights& weights, const Factors& learned) {
    using R = typename P::Real;
    const auto add = [&ctx](const Spec&, const auto& w, const auto& more) {
      const auto scope = ctx.scope();
      if constexpr (requires { more.lora_a; }) {
        constexpr int O = std::remove_cvref_t<decltype(w)>::out, D = std::remove_cvref_t<decltype(w)>::in;
        const auto product = scratch<D>(ctx, O);
        const Rows<P, rank, const R> b{more.lora_b.data, O, {}};
        ops::linear_backward(ctx, NoGrad{}, more.lora_a, b, product, NoGrad{});  // (O, D)
        ops::accumulate(ctx, product, Rows<P, D>{w.data, O, {}});
      } else if constexpr (wanted<decltype(more)>) {
        constexpr int D = std::remove_cvref_t<decltype(w)>::in;
        ops::copy(ctx, Rows<P, D, const R>{more.data, int(more.rows), {}}, Rows<P, D>{w.data, int(w.rows), {}});
      }
    };
    Decoder::each(add, weights, learned);
  }
};

}  // namespace flamingo
