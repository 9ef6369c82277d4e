/// The symmetric contrastive loss of CLIP: of N pictures and N texts, picture n belongs to text n.
///
///   logits[m, n] = exp(s) <picture m, text n>
///   loss = 1/(2 N) Σ_n (nll of text n among all texts, given picture n  +  of picture n among all pictures, given text
///   n)
#pragma once
#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

#include <flamingo/core/context.hpp>
#include <flamingo/core/need.hpp>
#include <flamingo/ops/cross_entropy.hpp>
#include <flamingo/ops/residual.hpp>

namespace flamingo::model {

/// pictures, texts (N, J), rows of length 1; s one number. Each side is the other's vocabulary, taken in chunks: N × N
/// logits never exist.
template <int J, Platform P>
struct Contrastive {
  using A = AccumulateOf<P>;
  static constexpr int chunk = 1024;

  template <Need need>
  struct Saved {
    If<need.any(), Rows<P, J>> pictures, texts, scaled_pictures, scaled_texts;
    If<need.any(), View<P, 1, A>> lse_pictures, lse_texts;
    std::vector<int> targets;  ///< first .. first + n - 1
    int first = 0;
    float smoothing = 0;
  };
  /// Pairs first .. first + count - 1 of all: those that ask, while all are what they are told from.
  struct Asking {
    int first, count;
  };

  /// nll (2 N): of each picture's text, then of each text's picture; the loss is their mean. `smoothing` is the share
  /// of each target that is spread over all N.
  template <Need need, class S>
  static Saved<need> forward(Context<P>& ctx, const S& s, const Rows<P, J>& pictures, const Rows<P, J>& texts,
                             View<P, 1, A> nll, float smoothing = 0) {
    return forward<need>(ctx, s, pictures, texts, {0, pictures.rows}, nll, smoothing);
  }
  /// nll (2 n) of some pairs, which may lie among those of other processes.
  template <Need need, class S>
  static Saved<need> forward(Context<P>& ctx, const S& s, const Rows<P, J>& pictures, const Rows<P, J>& texts,
                             Asking asking, View<P, 1, A> nll, float smoothing) {
    const int N = asking.count;
    check(texts.rows == pictures.rows && nll.shape[0] == 2 * N, "contrastive", "there are ", pictures.rows,
          " pictures, ", texts.rows, " texts and ", nll.shape[0], " likelihoods of ", N,
          " pairs, expected as many texts and twice as many likelihoods");
    const auto scope = ctx.scope();
    const auto scaled_pictures = take<need.any(), J>(ctx, N), scaled_texts = take<need.any(), J>(ctx, N);
    const auto lse_pictures = take_vector<A, need.any()>(ctx, N), lse_texts = take_vector<A, need.any()>(ctx, N);
    std::vector<int> targets(static_cast<std::size_t>(N));
    std::iota(targets.begin(), targets.end(), asking.first);
    const auto own = table(ctx, targets);
    ops::exp_scale(ctx, pictures.slice(asking.first, N), s, scaled_pictures);
    ops::exp_scale(ctx, texts.slice(asking.first, N), s, scaled_texts);
    ops::cross_entropy(ctx, scaled_pictures, vocabulary(texts), none, own, chunk, half(nll, 0), lse_pictures,
                       smoothing);
    ops::cross_entropy(ctx, scaled_texts, vocabulary(pictures), none, own, chunk, half(nll, 1), lse_texts, smoothing);
    return {pictures,           texts,        scaled_pictures, scaled_texts, lse_pictures, lse_texts,
            std::move(targets), asking.first, smoothing};
  }

  /// For a loss of Σ weights · nll, weights (2 n): writes dpictures and dtexts, of all pairs, and adds to ds.
  template <Need need, class S, VectorSink DS>
  static void backward(Context<P>& ctx, const S& s, const Saved<need>& saved, View<P, 1, const A> weights,
                       const Rows<P, J>& dpictures, const Rows<P, J>& dtexts, const DS& ds) {
    const auto scope = ctx.scope();
    const int N = saved.scaled_pictures.rows;
    const auto own = table(ctx, saved.targets);
    const auto dscaled = scratch<J>(ctx, N);
    ops::clear(ctx, dpictures);
    ops::clear(ctx, dtexts);
    const auto direction = [&](const auto& scaled, const auto& others, auto lse, auto halves, const auto& dasking,
                               const auto& dothers) {
      ops::cross_entropy_backward(ctx, scaled, vocabulary(others), none, own, chunk, lse, halves, dscaled,
                                  vocabulary(dothers), NoGrad{}, saved.smoothing);
      ops::exp_scale_backward(ctx, s, scaled, dscaled, dasking.slice(saved.first, N), ds);
    };
    direction(saved.scaled_pictures, saved.texts, saved.lse_pictures, half(weights, 0), dpictures, dtexts);
    direction(saved.scaled_texts, saved.pictures, saved.lse_texts, half(weights, 1), dtexts, dpictures);
  }

 private:
  using Vocabulary = MatrixView<P, dynamic, J>;
  static constexpr MatrixView<P, 0, J> none{};

  static Vocabulary vocabulary(const Rows<P, J>& rows) { return {rows.data, Extent<dynamic>(rows.rows), {}}; }
  template <class T>
  static View<P, 1, T> half(View<P, 1, T> all, int which) {
    const int N = all.shape[0] / 2;
    return {all.data + which * N, {N}};
  }
};

}  // namespace flamingo::model
