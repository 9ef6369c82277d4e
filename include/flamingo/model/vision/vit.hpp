/// The vision transformer of CLIP (Dosovitskiy et al. 2020, Radford et al. 2021): patches, a class token, learned
/// positions, pre-norm blocks.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <flamingo/config/vision.hpp>
#include <flamingo/model/vision/positions.hpp>
#include <flamingo/nn/norm.hpp>
#include <flamingo/nn/transformer_block.hpp>
#include <flamingo/ops/arrange.hpp>
#include <flamingo/ops/convolution.hpp>

namespace flamingo {

/// The tables of one run over M pictures: which row is what, and who attends to whom.
struct VitPlan {
  SpanList spans;            ///< each picture's rows over themselves
  std::vector<int> places;   ///< of each row, among its picture's
  std::vector<int> patches;  ///< the row of each patch
  std::vector<int> classes;  ///< the row of each class token
  std::vector<int> first;    ///< M zeros: each picture begins with the one class token
  std::vector<Tap> taps;     ///< where each row reads the table of positions, if other sizes are read

  int rows() const { return static_cast<int>(places.size()); }

  static VitPlan of(const Vit& c, std::span<const Grid> pictures) {
    VitPlan plan;
    const int before = c.class_token ? 1 : 0;
    for (const Grid& picture : pictures) {
      const int S = (picture.height / c.patch) * (picture.width / c.patch), T = S + before, from = plan.rows();
      plan.spans.begin(from, T);
      plan.spans.add({0, from, T, 0, 0});
      for (int t = 0; t < T; ++t) plan.places.push_back(t);
      for (int t = before; t < T; ++t) plan.patches.push_back(from + t);
      plan.classes.push_back(from);
      plan.first.push_back(0);
    }
    if (c.other_sizes != OtherSizes::refused) plan.read_positions(c, pictures);
    return plan;
  }

 private:
  void read_positions(const Vit& c, std::span<const Grid> pictures) {
    const int before = c.class_token ? 1 : 0;
    // Idefics asks for a tenth of a cell more than there are, against rounding, and its scale keeps it.
    const double more = c.other_sizes == OtherSizes::bicubic ? 0.1 : 0;
    const auto axis = [&](int pixels) {
      const int cells = pixels / c.patch;
      return CubicAxis{c.grid(), cells, c.grid() / (cells + more), c.other_sizes == OtherSizes::antialias};
    };
    int room = 1;
    for (const Grid& p : pictures) room = std::max(room, axis(p.height).taps() * axis(p.width).taps());
    const auto alone = [&](int entry) {
      taps.push_back({entry, 1});
      taps.resize(taps.size() + static_cast<std::size_t>(room - 1));
    };
    for (const Grid& p : pictures) {
      if (c.class_token) alone(0);
      const bool same = p.height / c.patch == c.grid() && p.width / c.patch == c.grid() && p.height == p.width;
      if (same)
        for (int s = 0; s < c.grid() * c.grid(); ++s) alone(before + s);
      else
        append_cubic(axis(p.height), axis(p.width), before, room, taps);
    }
  }
};

namespace model {

/// A block of CLIP's towers. C is a Vit or a ClipText: they differ in their spans alone.
template <auto C>
inline constexpr TransformerBlockConfig vit_block{
    .attention = {.dim = C.dim,
                  .source_dim = C.dim,
                  .heads = C.heads,
                  .kv_heads = C.heads,
                  .head_dim = C.dim / C.heads,
                  .bias = true},
    .dense = {.dim = C.dim, .hidden = C.hidden_size(), .activation = C.activation, .bias = true},
    .epsilon = C.epsilon};

/// nn/transformer_block.hpp over the rows' own keys and values, without positions.
template <auto C, Platform P>
struct VitBlock : nn::TransformerBlock<vit_block<C>, P> {
  using Base = nn::TransformerBlock<vit_block<C>, P>;
  static constexpr int D = C.dim;

  template <Need need, class W>
  static typename Base::template Saved<need> forward(Context<P>& ctx, const W& w, const Rows<P, D>& x,
                                                     const Spans<P>& spans, const Rows<P, D>& z) {
    const auto scope = ctx.scope();
    const auto k = take<need.any(), D>(ctx, x.rows), v = take<need.any(), D>(ctx, x.rows);
    Pools<P> pools;
    pools.add({k, v});
    return Base::template forward<need>(ctx, w, x, {}, k, v, pools, spans, z);
  }
  /// Writes dx and adds to g.
  template <Need need, class W, class G>
  static void backward(Context<P>& ctx, const W& w, const typename Base::template Saved<need>& s, const Spans<P>& spans,
                       const Rows<P, D>& dz, const Rows<P, D>& dx, const G& g) {
    Base::template backward<need>(ctx, w, s, {}, spans, dz, dx, g);
  }
};

/// pixels (M image², 3) -> features (M S, D), or (M (S + 1), D) with the class token out, each picture by itself.
///
/// With other sizes allowed, pictures of any sizes give rows as their grids have cells.
template <Vit C, Platform P>
struct VisionTransformer {
  static_assert(C.dim > 0 && C.layers > 0 && C.heads > 0, "Vit: dim, layers and heads must be positive");
  static_assert(C.dim % C.heads == 0, "Vit: heads must divide dim");
  static_assert(C.patch > 0 && C.image >= C.patch, "Vit: image must hold a patch");
  static_assert(C.class_token || !C.class_out, "Vit: class_out needs a class_token");

  static constexpr int D = C.dim, S = C.grid() * C.grid(), T = S + (C.class_token ? 1 : 0),
                       pixels_of_patch = 3 * C.patch * C.patch;
  static constexpr bool drops_class = C.class_token && !C.class_out;
  static constexpr auto layers = static_cast<std::size_t>(C.layers);
  static constexpr Window patch = square(C.patch, C.patch, Padding::valid);
  using Block = VitBlock<C, P>;
  using NormLayer = nn::LayerNorm<D, P>;
  using Real = typename P::Real;

  template <class St>
  struct Parameters {
    Matrix<St, D, pixels_of_patch> patch;  ///< columns [line][column][colour]
    If<C.patch_bias, Vector<St, D>> patch_bias;
    If<C.class_token, Learned<St, 1, D>> class_token;
    Learned<St, T, D> positions;
    If<C.pre_norm, typename NormLayer::template Parameters<St>> pre_norm;
    std::array<typename Block::template Parameters<St>, layers> blocks;
    If<C.post_norm, typename NormLayer::template Parameters<St>> post_norm;
  };
  static constexpr void each(auto& visit, auto&... p) {
    visit(matrix_spec("patch", D, pixels_of_patch, Init::normal(0.02f)), p.patch...);
    if constexpr (C.patch_bias) visit(vector_spec("patch_bias", D, Init::zero()), p.patch_bias...);
    if constexpr (C.class_token) visit(table_spec("class_token", 1, D, Init::normal(0.02f)), p.class_token...);
    visit(table_spec("positions", T, D, Init::normal(0.02f)), p.positions...);
    if constexpr (C.pre_norm) {
      auto norm = within(visit, "pre_norm");
      NormLayer::each(norm, p.pre_norm...);
    }
    for (std::size_t i = 0; i < layers; ++i) {
      auto block = within(visit, "blocks", static_cast<int>(i));
      Block::each(block, p.blocks[i]...);
    }
    if constexpr (C.post_norm) {
      auto norm = within(visit, "post_norm");
      NormLayer::each(norm, p.post_norm...);
    }
  }

  /// The grid of a picture's features; a class token makes it one line.
  static constexpr Grid features(const Grid& picture) {
    const Grid grid = C.other_sizes == OtherSizes::refused ? Grid{0, C.grid(), C.grid()} : windows_of(picture, patch);
    return C.class_out ? Grid{0, 1, grid.rows() + 1} : grid;
  }

  template <Need need>
  struct Saved {
    VitPlan plan;
    If<need.weights, Rows<P, 3, const Real>> pixels;
    typename NormLayer::template Saved<need> pre_norm, post_norm;
    std::array<typename Block::template Saved<need>, layers> blocks;
  };

  /// y holds features(picture) for each picture. `grids` must outlive backward, which takes them again.
  template <Need need = no_gradients, class W>
  static Saved<need> forward(Context<P>& ctx, const W& w, const Rows<P, 3, const Real>& pixels,
                             std::span<const Grid> grids, const Rows<P, D>& y) {
    const auto scope = ctx.scope();
    constexpr bool kept = need.any();
    check_pictures(pixels.rows, grids);
    int out = 0;
    for (const Grid& picture : grids) out += features(picture).rows();
    check(y.rows == out, "vit", "y is ", y.shape(), ", expected (", out, ", ", D, ')');
    Saved<need> saved{};
    saved.plan = VitPlan::of(C, grids);
    const int N = saved.plan.rows();
    saved.pixels = pixels;
    const auto spans = table(ctx, saved.plan.spans);

    auto x = take<kept, D>(ctx, N);
    embed(ctx, w, saved.plan, pixels, grids, x);
    auto next = scratch<D>(ctx, kept ? 0 : N);
    if constexpr (C.pre_norm) {
      if constexpr (kept) next = keep<D>(ctx, N);
      saved.pre_norm = NormLayer::template forward<need>(ctx, w.pre_norm, C.epsilon, x, next);
      std::swap(x, next);
    }
    for (std::size_t i = 0; i < layers; ++i) {
      if constexpr (kept) next = keep<D>(ctx, N);
      saved.blocks[i] = Block::template forward<need>(ctx, w.blocks[i], x, spans, next);
      std::swap(x, next);
    }
    const auto selected = C.post_norm ? take<kept, D>(ctx, y.rows) : y;
    if constexpr (drops_class)
      ops::gather(ctx, x, table(ctx, saved.plan.patches), selected);  // (M S, D)
    else
      ops::copy(ctx, x, selected);
    if constexpr (C.post_norm)
      saved.post_norm = NormLayer::template forward<need>(ctx, w.post_norm, C.epsilon, selected, y);
    return saved;
  }

  /// Writes dpixels and adds to g.
  template <Need need, class W, class G, RowsSink<P> DX>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, std::span<const Grid> grids,
                       const Rows<P, D, const Real>& dy, const DX& dpixels, const G& g) {
    const auto scope = ctx.scope();
    const int N = s.plan.rows();
    const auto spans = table(ctx, s.plan.spans);
    auto dx = scratch<D>(ctx, N), dnext = scratch<D>(ctx, N);
    if constexpr (C.post_norm) {
      const auto dselected = scratch<D>(ctx, dy.rows);
      NormLayer::backward(ctx, w.post_norm, s.post_norm, dy, dselected, g.post_norm);
      select_backward(ctx, s.plan, dselected, dx);
    } else {
      select_backward(ctx, s.plan, dy, dx);
    }
    for (std::size_t i = layers; i-- > 0;) {
      Block::template backward<need>(ctx, w.blocks[i], s.blocks[i], spans, dx, dnext, g.blocks[i]);
      std::swap(dx, dnext);
    }
    if constexpr (C.pre_norm) {
      NormLayer::backward(ctx, w.pre_norm, s.pre_norm, dx, dnext, g.pre_norm);
      std::swap(dx, dnext);
    }
    embed_backward(ctx, w, s, grids, dx, dpixels, g);
  }

 private:
  static void check_pictures(int rows, std::span<const Grid> grids) {
    check_grids("vit", grids, rows);
    for (const Grid& grid : grids)
      if constexpr (C.other_sizes == OtherSizes::refused)
        check(grid.height == C.image && grid.width == C.image, "vit", "a picture has ", grid.height, " x ", grid.width,
              " pixels, expected ", C.image, " x ", C.image);
      else
        check(grid.height >= C.patch && grid.width >= C.patch, "vit", "a picture has ", grid.height, " x ", grid.width,
              " pixels, expected at least ", C.patch, " x ", C.patch);
  }

  /// Rows that are no features have no gradient of their own.
  static void select_backward(Context<P>& ctx, const VitPlan& plan, const Rows<P, D, const Real>& dselected,
                              const Rows<P, D>& dx) {
    if constexpr (drops_class) {
      ops::clear(ctx, dx);
      ops::scatter_add(ctx, dselected, table(ctx, plan.patches), dx);
    } else {
      ops::copy(ctx, dselected, dx);
    }
  }
  /// x = positions + [class token, patches]
  template <class W>
  static void embed(Context<P>& ctx, const W& w, const VitPlan& plan, const Rows<P, 3, const Real>& pixels,
                    std::span<const Grid> grids, const Rows<P, D>& x) {
    const auto scope = ctx.scope();
    const int M = static_cast<int>(plan.first.size());
    const auto patches = scratch<D>(ctx, static_cast<int>(plan.patches.size()));
    ops::convolution(ctx, pixels, grids, w.patch, w.patch_bias, patch, 1, patches);  // (M S, D)
    if constexpr (C.other_sizes == OtherSizes::refused)
      ops::gather(ctx, ops::rows_of(w.positions), table(ctx, plan.places), x);  // (M T, D)
    else
      ops::combine(ctx, ops::rows_of(w.positions), table(ctx, plan.taps), x);  // (N, D)
    ops::scatter_add(ctx, patches, table(ctx, plan.patches), x);
    if constexpr (C.class_token) {
      const auto classes = scratch<D>(ctx, M);
      ops::gather(ctx, ops::rows_of(w.class_token), table(ctx, plan.first), classes);  // (M, D)
      ops::scatter_add(ctx, classes, table(ctx, plan.classes), x);
    }
  }
  template <Need need, class W, class G, RowsSink<P> DX>
  static void embed_backward(Context<P>& ctx, const W& w, const Saved<need>& s, std::span<const Grid> grids,
                             const Rows<P, D>& dx, const DX& dpixels, const G& g) {
    const auto scope = ctx.scope();
    const int M = static_cast<int>(s.plan.first.size());
    if constexpr (wanted<decltype(g.positions)>) {
      if constexpr (C.other_sizes == OtherSizes::refused)
        ops::scatter_add(ctx, dx, table(ctx, s.plan.places), ops::rows_of(g.positions));
      else
        ops::combine_backward(ctx, dx, table(ctx, s.plan.taps), ops::rows_of(g.positions));
      if constexpr (C.class_token) {
        const auto dclasses = scratch<D>(ctx, M);
        ops::gather(ctx, dx, table(ctx, s.plan.classes), dclasses);
        ops::scatter_add(ctx, dclasses, table(ctx, s.plan.first), ops::rows_of(g.class_token));
      }
    }
    if constexpr (wanted<DX> || wanted<decltype(g.patch)>) {
      const auto dpatches = scratch<D>(ctx, static_cast<int>(s.plan.patches.size()));
      ops::gather(ctx, dx, table(ctx, s.plan.patches), dpatches);
      // Without a gradient of the weights pixels are not saved, and only their shape is asked for.
      Rows<P, 3, const Real> pixels{nullptr, cells_of(grids), {}};
      if constexpr (need.weights) pixels = s.pixels;
      ops::convolution_backward(ctx, pixels, grids, w.patch, patch, 1, dpatches, dpixels, g.patch, g.patch_bias);
    }
  }
};

}  // namespace model
}  // namespace flamingo
