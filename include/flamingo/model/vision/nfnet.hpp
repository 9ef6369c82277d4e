/// NFNet (Brock et al. 2021): pictures in, feature rows on a grid of 1/32 of their size out, for training and frozen.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include <flamingo/core/random.hpp>
#include <flamingo/model/vision/nfnet_block.hpp>
#include <flamingo/ops/dropout.hpp>

namespace flamingo {

/// What training draws at one step: which pictures' branches it drops, and which of the classifier's inputs. Pictures
/// count from `first`, so that a batch computed in parts, or again, sees the same.
struct NfNetDraws {
  bool training = false;
  std::uint64_t seed = 0, step = 0, first = 0;

  /// Whether block k of `blocks` keeps its branch for picture m: it drops it with the probability rate k / blocks.
  bool keeps(const NfNet& c, int k, int m) const {
    const double drops = training ? double{c.stochastic_depth} * k / c.blocks() : 0;
    const Random key(seed, hash("nfnet/stochastic_depth") + static_cast<std::uint64_t>(k));
    return static_cast<double>(key.bits_at((step << 32) + first + static_cast<std::uint64_t>(m))) * 0x1p-32 >= drops;
  }
  Dropout dropout(const NfNet& c) const {
    return {training ? double{c.dropout} : 0, Random(seed, hash("nfnet/dropout") + step), first};
  }
};

/// The tables of one run over M pictures: their grids behind the stem's first and last convolution and behind each
/// stage, and what each picture's branch counts for in each block.
template <class A>
struct NfNetPlan {
  std::vector<Grid> half, quarter;
  std::array<std::vector<Grid>, NfNet::stages> stages;
  std::vector<A> amounts;  ///< (blocks, M)

  static NfNetPlan of(const NfNet& c, std::span<const Grid> pictures, const NfNetDraws& draws) {
    NfNetPlan plan;
    plan.half = windows_of(pictures, square(3, 2));
    plan.quarter = windows_of(plan.half, square(3, 2));
    for (std::size_t s = 0; s < plan.stages.size(); ++s)
      plan.stages[s] = windows_of(s ? plan.stages[s - 1] : plan.quarter, square(3, c.strides[s]));
    const int M = static_cast<int>(pictures.size());
    for (int k = 0; k < c.blocks(); ++k)
      for (int m = 0; m < M; ++m)
        plan.amounts.push_back(draws.keeps(c, k, m) ? static_cast<A>(double{c.alpha} * double{c.squeeze_gain}) : A(0));
    return plan;
  }
};

namespace model {

/// The blocks of stage s: the first may change width and size, the others do not.
template <NfNet C, int s, Platform P>
struct NfStage {
  static_assert(C.depths[std::size_t{s}] > 0, "NfNet: each stage has a block");

  using First = NfBlock<C, C.block(s, true), P>;
  using Other = NfBlock<C, C.block(s, false), P>;
  using Real = typename P::Real;
  using Plan = NfNetPlan<AccumulateOf<P>>;
  static constexpr int D = First::D, O = First::O;
  static constexpr auto others = static_cast<std::size_t>(C.depths[std::size_t{s}] - 1);
  /// Blocks of the stages before.
  static constexpr int before = [] {
    int n = 0;
    for (std::size_t i = 0; i != std::size_t{s}; ++i) n += C.depths[i];
    return n;
  }();

  template <class S>
  struct Parameters {
    typename First::template Parameters<S> first;
    std::array<typename Other::template Parameters<S>, others> other;
  };
  static constexpr void each(auto& visit, auto&... p) {
    auto first = within(visit, "", 0);
    First::each(first, p.first...);
    for (std::size_t i = 0; i != others; ++i) {
      auto other = within(visit, "", static_cast<int>(i + 1));
      Other::each(other, p.other[i]...);
    }
  }

  template <Need need>
  struct Saved {
    typename First::template Saved<need> first;
    std::array<typename Other::template Saved<need>, others> other;
  };

  template <Need need, class W>
  static Saved<need> forward(Context<P>& ctx, const W& w, const Rows<P, D, const Real>& x, const Plan& plan,
                             const Rows<P, O>& y) {
    const auto scope = ctx.scope();
    constexpr bool kept = need.any();
    Saved<need> saved;
    const auto &in = grids(plan, s - 1), &out = grids(plan, s);
    // Two rows take turns where nothing is kept; the last block writes y.
    auto at = others == 0 ? y : take<kept, O>(ctx, y.rows), next = scratch<O>(ctx, kept || others < 2 ? 0 : y.rows);
    saved.first = First::template forward<need>(ctx, w.first, x, in, out, C.beta(s, 0), amounts(ctx, plan, 0), at);
    for (std::size_t i = 0; i != others; ++i) {
      const bool last = i + 1 == others;
      if constexpr (kept) next = last ? y : keep<O>(ctx, y.rows);
      const int block = static_cast<int>(i) + 1;
      saved.other[i] = Other::template forward<need>(ctx, w.other[i], at, out, out, C.beta(s, block),
                                                     amounts(ctx, plan, block), last ? y : next);
      std::swap(at, next);
    }
    return saved;
  }

  /// Writes dx and adds to g.
  template <Need need, class W, class G>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& saved, const Plan& plan, const Rows<P, O>& dy,
                       const Rows<P, D>& dx, const G& g) {
    const auto scope = ctx.scope();
    const auto &in = grids(plan, s - 1), &out = grids(plan, s);
    auto at = dy, next = scratch<O>(ctx, others ? dy.rows : 0);
    for (std::size_t i = others; i-- > 0;) {
      const int block = static_cast<int>(i) + 1;
      Other::template backward<need>(ctx, w.other[i], saved.other[i], out, out, C.beta(s, block),
                                     amounts(ctx, plan, block), at, next, g.other[i]);
      std::swap(at, next);
    }
    First::template backward<need>(ctx, w.first, saved.first, in, out, C.beta(s, 0), amounts(ctx, plan, 0), at, dx,
                                   g.first);
  }

 private:
  static const std::vector<Grid>& grids(const Plan& plan, int stage) {
    return stage < 0 ? plan.quarter : plan.stages[static_cast<std::size_t>(stage)];
  }
  static View<P, 1, const AccumulateOf<P>> amounts(Context<P>& ctx, const Plan& plan, int block) {
    const int M = static_cast<int>(plan.quarter.size());
    return {table(ctx, plan.amounts).data + (before + block) * M, {M}};
  }
};

/// pixels (ΣH W, 3) of mean 0 and variance 1 -> features (ΣS, D) with S = ceil(H / 32) ceil(W / 32).
template <NfNet C, Platform P>
struct NormFreeNet {
  static_assert(C.stem % 8 == 0, "NfNet: the stem's first convolution makes an 8th of its channels");
  static_assert(variance_gain(C.activation) > 0, "NfNet: the activation's gain is not known");

  static constexpr int D = C.dim();
  static constexpr auto stages = std::size_t{NfNet::stages}, stem_convolutions = std::size_t{4};
  static constexpr bool head_convolves = C.has_head() && C.head > 0;
  static constexpr Activation f = C.activation;
  using Real = typename P::Real;
  using Plan = NfNetPlan<AccumulateOf<P>>;
  using Draws = NfNetDraws;
  /// 3 -> stem / 8 -> stem / 4 -> stem / 2 -> stem channels; the first and the last halve the size.
  template <std::size_t i>
  using Stem = NfNetConvolution<C, i ? (C.stem >> (4 - i)) : 3, (C.stem >> (3 - i)), 3, i % 3 ? 1 : 2, 1, P>;
  template <std::size_t s>
  using Stage = NfStage<C, static_cast<int>(s), P>;
  using Head = NfNetConvolution<C, C.widths.back(), C.head ? C.head : 1, 1, 1, 1, P>;

  template <class S, class = std::make_index_sequence<stages>>
  struct Parts;
  template <class S, std::size_t... i>
  struct Parts<S, std::index_sequence<i...>> {
    using Stem = std::tuple<typename NormFreeNet::template Stem<i>::template Parameters<S>...>;
    using Stages = std::tuple<typename Stage<i>::template Parameters<S>...>;
  };
  template <class S>
  struct Parameters {
    typename Parts<S>::Stem stem;
    typename Parts<S>::Stages stages;
    If<head_convolves, typename Head::template Parameters<S>> head;
    If<(C.classes > 0), Matrix<S, C.classes, D>> classifier;
    If<(C.classes > 0), Vector<S, C.classes>> classifier_bias;
  };
  static constexpr void each(auto& visit, auto&... p) {
    [&]<std::size_t... i>(std::index_sequence<i...>) {
      (each_stem<i>(visit, p...), ...);
      (each_stage<i>(visit, p...), ...);
    }(std::make_index_sequence<stages>{});
    if constexpr (head_convolves) {
      auto head = within(visit, "head");
      Head::each(head, p.head...);
    }
    if constexpr (C.classes > 0) {
      visit(matrix_spec("classifier", C.classes, D, Init::normal(0.01f)), p.classifier...);
      visit(vector_spec("classifier_bias", C.classes, Init::zero()), p.classifier_bias...);
    }
  }

  /// The grid of a picture's features.
  static constexpr Grid features(const Grid& picture) {
    Grid grid = windows_of(windows_of(picture, square(3, 2)), square(3, 2));
    for (const int stride : C.strides) grid = windows_of(grid, square(3, stride));
    return grid;
  }

  template <Need need, class = std::make_index_sequence<stages>>
  struct SavedStages;
  template <Need need, std::size_t... i>
  struct SavedStages<need, std::index_sequence<i...>> {
    using Tuple = std::tuple<typename Stage<i>::template Saved<need>...>;
    using Stem = std::tuple<If<need.any(), Rows<P, NormFreeNet::template Stem<i>::O>>...>;
  };
  template <Need need>
  struct Saved {
    Plan plan;
    If<need.weights, Rows<P, 3, const Real>> pixels;
    typename SavedStages<need>::Stem stem;  ///< before each non-linearity
    typename SavedStages<need>::Tuple stages;
    If<need.any(), Rows<P, C.widths.back()>> last;  ///< what leaves the last stage
    If<need.any(), Rows<P, D>> head;                ///< before the non-linearity
  };

  /// y holds features(picture) for each picture. A picture's features depend on that picture alone, bit for bit.
  /// `grids` must outlive backward, which takes them again.
  template <Need need = no_gradients, class W>
  static Saved<need> forward(Context<P>& ctx, const W& w, const Rows<P, 3, const Real>& pixels,
                             std::span<const Grid> grids, const Rows<P, D>& y, const NfNetDraws& draws = {}) {
    check_grids("nfnet", grids, pixels.rows);
    int cells = 0;
    for (const Grid& grid : grids) cells += features(grid).rows();
    check(y.rows == cells, "nfnet", "y is ", y.shape(), ", expected (", cells, ", ", D, ')');
    if constexpr (need.any()) {
      return forward_some<need>(ctx, w, pixels, grids, y, draws);
    } else {
      NfNetDraws some_draws = draws;
      for (int done = 0; !grids.empty();) {
        const auto some = grids.first(pictures_at_a_time(grids));
        std::vector<Grid> local(some.begin(), some.end());
        int rows = 0;
        for (Grid& grid : local) {
          grid.first -= some.front().first;
          rows += features(grid).rows();
        }
        forward_some<need>(ctx, w, pixels.slice(some.front().first, cells_of(local)), local, y.slice(done, rows),
                           some_draws);
        done += rows;
        some_draws.first += some.size();
        grids = grids.subspan(some.size());
      }
      return {};
    }
  }

  /// Writes dpixels and adds to g.
  template <Need need, class W, class G, RowsSink<P> DX>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, std::span<const Grid> grids,
                       const Rows<P, D, const Real>& dy, const DX& dpixels, const G& g) {
    const auto scope = ctx.scope();
    constexpr int width = C.widths.back();
    const auto dlast = scratch<width>(ctx, dy.rows);
    if constexpr (!C.has_head()) {
      ops::copy(ctx, dy, dlast);
    } else if constexpr (C.head == 0) {
      ops::scaled_activate_backward<f>(ctx, activation_scale<C>, s.last, dy, dlast);
    } else {
      const auto dhead = scratch<D>(ctx, dy.rows);
      ops::scaled_activate_backward<f>(ctx, activation_scale<C>, s.head, dy, dhead);
      Head::backward(ctx, w.head, s.last, s.plan.stages.back(), dhead, dlast, g.head);
    }
    stages_backward<stages>(ctx, w, s, grids, dlast, dpixels, g);
  }

  /// logits (M, classes) of head features: the mean over each picture's rows, dropout, a product. `mean` (M, D) is
  /// written, for backward to read.
  template <class W>
  static void classify(Context<P>& ctx, const W& w, const Rows<P, D, const Real>& y, std::span<const Grid> grids,
                       const NfNetDraws& draws, const Rows<P, D>& mean, const Rows<P, C.classes>& logits) {
    static_assert(C.classes > 0, "NfNet: this one has no classifier");
    ops::picture_mean(ctx, y, grids, mean);
    ops::dropout(ctx, draws.dropout(C), mean, mean);
    ops::linear(ctx, mean, w.classifier, w.classifier_bias, logits);
  }
  /// Writes dy and adds to g. `grids` are those of the features, as above.
  template <class W, class G>
  static void classify_backward(Context<P>& ctx, const W& w, const Rows<P, D, const Real>& mean,
                                std::span<const Grid> grids, const NfNetDraws& draws,
                                const Rows<P, C.classes, const Real>& dlogits, const Rows<P, D>& dy, const G& g) {
    const auto scope = ctx.scope();
    const auto dmean = scratch<D>(ctx, mean.rows);
    ops::linear_backward(ctx, mean, w.classifier, dlogits, dmean, g.classifier, g.classifier_bias);
    ops::dropout(ctx, draws.dropout(C), dmean, dmean);
    ops::picture_mean_backward(ctx, grids, dmean, dy);
  }

 private:
  template <std::size_t i, class Visit, class... Leaves>
  static constexpr void each_stem(Visit& visit, Leaves&... p) {
    auto part = within(visit, "stem", static_cast<int>(i));
    Stem<i>::each(part, std::get<i>(p.stem)...);
  }
  template <std::size_t i, class Visit, class... Leaves>
  static constexpr void each_stage(Visit& visit, Leaves&... p) {
    auto part = within(visit, "stages", static_cast<int>(i));
    Stage<i>::each(part, std::get<i>(p.stages)...);
  }

  /// So many that rows of the stem, the widest, take tens of megabytes at most; weights are standardised, or read from
  /// their format, once for all of them.
  static std::size_t pictures_at_a_time(std::span<const Grid> grids) {
    constexpr int most_pixels = 8 * 320 * 320;
    std::size_t n = 0;
    for (int pixels = 0; n < grids.size() && (n == 0 || pixels + grids[n].rows() <= most_pixels); ++n)
      pixels += grids[n].rows();
    return n;
  }

  template <Need need, class W>
  static Saved<need> forward_some(Context<P>& ctx, const W& w, const Rows<P, 3, const Real>& pixels,
                                  std::span<const Grid> grids, const Rows<P, D>& y, const NfNetDraws& draws) {
    const auto scope = ctx.scope();
    Saved<need> saved{};
    saved.plan = Plan::of(C, grids, draws);
    saved.pixels = pixels;
    const auto x = take<need.any(), C.stem>(ctx, cells_of(saved.plan.quarter));
    {
      const auto inner = ctx.scope();
      stem<0, need>(ctx, w, saved, pixels, grids, x);
    }
    run_stages<0, need>(ctx, w, saved, x, y);
    return saved;
  }
  /// Each convolution but the last is followed by the non-linearity; the first block begins with it.
  template <std::size_t i, Need need, class W, int Width>
  static void stem(Context<P>& ctx, const W& w, Saved<need>& saved, const Rows<P, Width, const Real>& x,
                   std::span<const Grid> grids, const Rows<P, C.stem>& y) {
    const std::vector<Grid>& out = i + 1 == stem_convolutions ? saved.plan.quarter : saved.plan.half;
    if constexpr (i + 1 == stem_convolutions) {
      Stem<i>::forward(ctx, std::get<i>(w.stem), x, grids, y);
    } else {
      const auto z = take<need.any(), Stem<i>::O>(ctx, cells_of(out));
      Stem<i>::forward(ctx, std::get<i>(w.stem), x, grids, z);
      std::get<i>(saved.stem) = z;
      const auto active = need.any() ? scratch<Stem<i>::O>(ctx, z.rows) : z;
      ops::scaled_activate<f>(ctx, activation_scale<C>, z, active);
      stem<i + 1, need, W, Stem<i>::O>(ctx, w, saved, active, out, y);
    }
  }
  template <std::size_t s, Need need, class W, int Width>
  static void run_stages(Context<P>& ctx, const W& w, Saved<need>& saved, const Rows<P, Width>& x,
                         const Rows<P, D>& y) {
    const auto scope = ctx.scope();
    if constexpr (s < stages) {
      constexpr bool writes_y = s + 1 == stages && !C.has_head();
      Rows<P, Stage<s>::O> next;
      if constexpr (writes_y)
        next = y;
      else
        next = take<need.any(), Stage<s>::O>(ctx, cells_of(saved.plan.stages[s]));
      std::get<s>(saved.stages) = Stage<s>::template forward<need>(ctx, std::get<s>(w.stages), x, saved.plan, next);
      run_stages<s + 1, need>(ctx, w, saved, next, y);
    } else {
      saved.last = x;
      if constexpr (C.has_head() && C.head == 0) {
        ops::scaled_activate<f>(ctx, activation_scale<C>, x, y);
      } else if constexpr (C.has_head()) {
        const auto z = need.any() ? keep<D>(ctx, y.rows) : y;
        Head::forward(ctx, w.head, x, saved.plan.stages.back(), z);
        saved.head = z;
        ops::scaled_activate<f>(ctx, activation_scale<C>, z, y);
      }
    }
  }

  /// Through stages s - 1 .. 0 and the stem.
  template <std::size_t s, Need need, class W, int Width, class DX, class G>
  static void stages_backward(Context<P>& ctx, const W& w, const Saved<need>& saved, std::span<const Grid> grids,
                              const Rows<P, Width>& dy, const DX& dpixels, const G& g) {
    const auto scope = ctx.scope();
    if constexpr (s > 0) {
      using Last = Stage<s - 1>;
      const std::vector<Grid>& in = s > 1 ? saved.plan.stages[s > 1 ? s - 2 : 0] : saved.plan.quarter;
      const auto dx = scratch<Last::D>(ctx, cells_of(in));
      Last::template backward<need>(ctx, std::get<s - 1>(w.stages), std::get<s - 1>(saved.stages), saved.plan, dy, dx,
                                    std::get<s - 1>(g.stages));
      stages_backward<s - 1, need>(ctx, w, saved, grids, dx, dpixels, g);
    } else {
      stem_backward<stem_convolutions - 1, need>(ctx, w, saved, grids, dy, dpixels, g);
    }
  }
  template <std::size_t i, Need need, class W, int Width, class DX, class G>
  static void stem_backward(Context<P>& ctx, const W& w, const Saved<need>& saved, std::span<const Grid> grids,
                            const Rows<P, Width>& dy, const DX& dpixels, const G& g) {
    const auto scope = ctx.scope();
    constexpr bool trained = wanted<decltype(std::get<i>(g.stem).weight)>;
    if constexpr (i > 0) {
      constexpr int width = Stem<i>::D;
      const auto& z = std::get<i - 1>(saved.stem);
      const auto active = scratch<width>(ctx, z.rows), dz = scratch<width>(ctx, z.rows);
      if constexpr (trained) ops::scaled_activate<f>(ctx, activation_scale<C>, z, active);
      Stem<i>::backward(ctx, std::get<i>(w.stem), active, saved.plan.half, dy, dz, std::get<i>(g.stem));
      ops::scaled_activate_backward<f>(ctx, activation_scale<C>, z, dz, dz);
      stem_backward<i - 1, need>(ctx, w, saved, grids, dz, dpixels, g);
    } else if constexpr (trained || wanted<DX>) {
      // Without a gradient of the weights pixels are not saved, and only their shape is asked for.
      Rows<P, 3, const Real> pixels{nullptr, cells_of(grids), {}};
      if constexpr (need.weights) pixels = saved.pixels;
      Stem<0>::backward(ctx, std::get<0>(w.stem), pixels, grids, dy, dpixels, std::get<0>(g.stem));
    }
  }
};

}  // namespace model
}  // namespace flamingo
