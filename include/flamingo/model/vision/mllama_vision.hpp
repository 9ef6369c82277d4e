/// The vision transformer of Llama 3.2 (Grattafiori et al. 2024, §7.1; Hugging Face's "mllama"): pictures cut into
/// tiles, which see one another in every block.
///
/// M pictures, K tiles a picture, S patches and T = S + 1 feature rows a tile. A tile lies in the blocks as T' rows: T
/// is filled up to a multiple of 8. A picture of fewer than K tiles is filled up with empty tiles. The published model
/// attends to that padding: its mask hides padding from padding alone. So it is rows here, and spans say what sees it.
#pragma once
#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <flamingo/config/vision.hpp>
#include <flamingo/nn/transformer_block.hpp>
#include <flamingo/ops/arrange.hpp>
#include <flamingo/ops/convolution.hpp>
#include <flamingo/ops/embedding.hpp>

namespace flamingo {

/// A picture as its processor cuts it; the pixels of its tiles lie one after another.
struct TiledPicture {
  int tiles = 1;
  int aspect_ratio_id = 1;  ///< which of the shapes that the model knows, from 1; 0: no picture
};

/// The tables of one run over M pictures. Keep it until backward is done.
struct MllamaVisionPlan {
  std::vector<Grid> grids;            ///< the pixels of each tile that is there
  std::vector<int> ratios;            ///< of each picture
  std::vector<int> filled;            ///< the patches (of M K S) that the pixels give; the others are 0
  std::vector<int> tiles_of_patches;  ///< of each patch, among M K
  std::vector<int> patches;           ///< the cell of each patch; cells are the M K T rows without the filling of tiles
  std::vector<int> classes;           ///< the cell of each tile's class token
  std::vector<int> first;             ///< M K zeros: each tile begins with the one class token
  std::vector<int> places;            ///< of each cell, in its tile
  std::vector<int> cells;             ///< the row of each cell, among M K T'
  std::vector<int> tiles_of_rows;     ///< of each row, among M K
  SpanList spans;                     ///< over the rows

  /// Throws where a picture has no tiles, more than K, or a shape that the model does not know.
  static MllamaVisionPlan of(const MllamaVision& c, std::span<const TiledPicture> pictures) {
    MllamaVisionPlan plan;
    const int K = c.tiles, T = c.tile_rows(), padded = (T + 7) / 8 * 8, side = c.image;
    for (std::size_t m = 0; m < pictures.size(); ++m) {
      const auto [tiles, shape] = pictures[m];
      check(tiles > 0 && tiles <= K, "vision", "picture ", m, " has ", tiles, " tiles, expected 1 to ", K);
      check(shape >= 0 && shape <= c.ratios, "vision", "picture ", m, " has aspect_ratio_id ", shape,
            ", expected 0 to ", c.ratios);
      plan.ratios.push_back(shape);
      const int first_tile = static_cast<int>(m) * K, first_row = first_tile * padded;
      for (int t = 0; t < K; ++t) {
        const int tile = first_tile + t;
        plan.first.push_back(0);
        plan.classes.push_back(tile * T);
        for (int s = 0; s < T; ++s) {
          plan.places.push_back(s);
          plan.cells.push_back(tile * padded + s);
          if (s == 0) continue;
          if (t < tiles) plan.filled.push_back(static_cast<int>(plan.patches.size()));
          plan.tiles_of_patches.push_back(tile);
          plan.patches.push_back(tile * T + s);
        }
        plan.tiles_of_rows.insert(plan.tiles_of_rows.end(), static_cast<std::size_t>(padded), tile);
        if (t < tiles) plan.grids.push_back({static_cast<int>(plan.grids.size()) * side * side, side, side});
      }
      for (int t = 0; t < tiles; ++t) {
        const int row = first_row + t * padded, end = t + 1 < tiles ? row + padded : first_row + K * padded;
        plan.spans.begin(row, T);  // what is there sees everything
        plan.spans.add({0, first_row, K * padded, 0, 0});
        if (end == row + T) continue;
        plan.spans.begin(row + T, end - row - T);  // padding sees what is there
        for (int seen = 0; seen < tiles; ++seen) plan.spans.add({0, first_row + seen * padded, T, 0, 0});
      }
    }
    return plan;
  }
};

namespace model {

/// pixels (tiles image², 3) -> features (M K T, D (1 + taps)): the last block's rows, then those that entered the
/// `taps` intermediate layers, each in every taps-th column. The rows of tiles that a picture has not come too.
template <MllamaVision C, Platform P>
struct MllamaVisionTransformer {
  static_assert(C.dim > 0 && C.layers > 0 && C.heads > 0 && C.tiles > 0 && C.ratios > 0,
                "MllamaVision: dim, layers, heads, tiles and ratios must be positive");
  static_assert(C.dim % C.heads == 0, "MllamaVision: heads must divide dim");
  static_assert(C.image >= C.patch && C.patch > 0, "MllamaVision: a tile must hold a patch");
  static_assert(
      [] {
        for (int i = 0; i < C.intermediate.count; ++i)
          if (C.intermediate[i] < 0 || C.intermediate[i] > C.layers) return false;
        return true;
      }(),
      "MllamaVision: intermediate layers are 0 to layers");

  static constexpr int D = C.dim, taps = C.intermediate.count, K = C.tiles, T = C.tile_rows(),
                       pixels_of_patch = 3 * C.patch * C.patch;
  static constexpr auto layers = static_cast<std::size_t>(C.layers),
                        global_layers = static_cast<std::size_t>(C.global_layers);
  static constexpr Window patch = square(C.patch, C.patch, Padding::valid);
  static constexpr float outer_epsilon = 1e-5f;  // of the norms around the blocks
  static constexpr TransformerBlockConfig block_config(bool gated) {
    return {.attention = {.dim = D, .source_dim = D, .heads = C.heads, .kv_heads = C.heads, .head_dim = D / C.heads},
            .dense = {.dim = D, .hidden = C.hidden, .activation = C.activation, .bias = true},
            .epsilon = C.epsilon,
            .gated = gated};
  }
  using Block = nn::TransformerBlock<block_config(false), P>;
  using GlobalBlock = nn::TransformerBlock<block_config(true), P>;
  using NormLayer = nn::LayerNorm<D, P>;
  using Real = typename P::Real;

  template <class S>
  struct Parameters {
    Matrix<S, D, pixels_of_patch> patch;   ///< columns [line][column][colour]
    Table<S, C.ratios + 1, K * D> before;  ///< of each shape, for the patches of each tile
    Vector<S, 1> before_gate;
    Learned<S, 1, D> class_token;
    Learned<S, T, D> positions;                ///< in a tile
    Table<S, C.ratios + 1, K * T * D> places;  ///< in a picture of each shape
    Vector<S, 1> places_gate;                  ///< tanh: the share of `places`; the rest is `positions`
    typename NormLayer::template Parameters<S> pre_norm;
    std::array<typename Block::template Parameters<S>, layers> blocks;
    typename NormLayer::template Parameters<S> post_norm;
    Table<S, C.ratios + 1, K * D> after;  ///< of each shape, for all rows of each tile
    Vector<S, 1> after_gate;
    std::array<typename GlobalBlock::template Parameters<S>, global_layers> global_blocks;
  };
  static constexpr void each(auto& visit, auto&... p) {
    constexpr Init drawn = Init::normal(0.02f);
    visit(matrix_spec("patch", D, pixels_of_patch, drawn), p.patch...);
    visit(table_spec("before", C.ratios + 1, K * D, drawn), p.before...);
    visit(vector_spec("before_gate", 1, Init::zero()), p.before_gate...);
    visit(table_spec("class_token", 1, D, drawn), p.class_token...);
    visit(table_spec("positions", T, D, drawn), p.positions...);
    visit(table_spec("places", C.ratios + 1, K * T * D, drawn), p.places...);
    visit(vector_spec("places_gate", 1, Init::zero()), p.places_gate...);
    auto pre_norm = within(visit, "pre_norm"), post_norm = within(visit, "post_norm");
    NormLayer::each(pre_norm, p.pre_norm...);
    for (std::size_t i = 0; i < layers; ++i) {
      auto block = within(visit, "blocks", static_cast<int>(i));
      Block::each(block, p.blocks[i]...);
    }
    NormLayer::each(post_norm, p.post_norm...);
    visit(table_spec("after", C.ratios + 1, K * D, drawn), p.after...);
    visit(vector_spec("after_gate", 1, Init::zero()), p.after_gate...);
    for (std::size_t i = 0; i != global_layers; ++i) {
      auto block = within(visit, "global_blocks", static_cast<int>(i));
      GlobalBlock::each(block, p.global_blocks[i]...);
    }
  }

  template <Need need>
  struct Saved {
    MllamaVisionPlan plan;
    If<need.weights, Rows<P, 3, const Real>> pixels;
    If<need.weights, Rows<P, D>> before, places, after;  ///< what the gates multiply
    typename NormLayer::template Saved<need> pre_norm, post_norm;
    std::array<typename Block::template Saved<need>, layers> blocks;
    std::array<typename GlobalBlock::template Saved<need>, global_layers> global_blocks;
  };

  /// y holds K T rows for each picture; the pixels are those of all pictures' tiles.
  template <Need need = no_gradients, class W>
  static Saved<need> forward(Context<P>& ctx, const W& w, const Rows<P, 3, const Real>& pixels,
                             std::span<const TiledPicture> pictures, const Rows<P, C.features()>& y) {
    const auto scope = ctx.scope();
    constexpr bool kept = need.any();
    Saved<need> s{};
    s.plan = MllamaVisionPlan::of(C, pictures);
    s.pixels = pixels;
    const auto spans = table(ctx, s.plan.spans);
    const auto cells = table(ctx, s.plan.cells);
    const int N = static_cast<int>(s.plan.tiles_of_rows.size()), cell_count = cells.shape[0];
    check(y.rows == cell_count, "vision", "y is ", y.shape(), ", expected (", cell_count, ", ", C.features(), ')');
    const auto chosen = scratch<D>(ctx, cell_count);

    auto x = take<kept, D>(ctx, N), next = scratch<D>(ctx, kept ? 0 : N);
    embed(ctx, w, s, pixels, x);
    const auto give_intermediate = [&](int layer) {
      for (int i = 0; i < taps; ++i)
        if (C.intermediate[i] == layer) {
          ops::gather(ctx, x, cells, chosen);
          ops::write_columns(ctx, chosen, D + i, taps, y);
        }
    };
    for (std::size_t i = 0; i < layers; ++i) {
      give_intermediate(static_cast<int>(i));
      if constexpr (kept) next = keep<D>(ctx, N);
      s.blocks[i] = run<Block, need>(ctx, w.blocks[i], x, spans, next);
      std::swap(x, next);
    }
    give_intermediate(C.layers);

    const auto normed = take<kept, D>(ctx, N), moved = take<kept, D>(ctx, N), after = take<need.weights, D>(ctx, N);
    s.post_norm = NormLayer::template forward<need>(ctx, w.post_norm, outer_epsilon, x, normed);
    of_tiles(ctx, w.after, s.plan.ratios, s.plan.tiles_of_rows, after);
    ops::gated_add(ctx, normed, w.after_gate, after, moved);
    s.after = after;
    x = moved;
    if constexpr (!kept) next = scratch<D>(ctx, N);
    for (std::size_t i = 0; i != global_layers; ++i) {
      if constexpr (kept) next = keep<D>(ctx, N);
      s.global_blocks[i] = run<GlobalBlock, need>(ctx, w.global_blocks[i], x, spans, next);
      std::swap(x, next);
    }
    ops::gather(ctx, x, cells, chosen);
    ops::write_columns(ctx, chosen, 0, 1, y);
    return s;
  }

  /// Writes dpixels and adds to g.
  template <Need need, class W, class G, RowsSink<P> DX>
  static void backward(Context<P>& ctx, const W& w, const Saved<need>& s, const Rows<P, C.features(), const Real>& dy,
                       const DX& dpixels, const G& g) {
    const auto scope = ctx.scope();
    const auto spans = table(ctx, s.plan.spans);
    const auto cells = table(ctx, s.plan.cells);
    const int N = static_cast<int>(s.plan.tiles_of_rows.size());
    auto dx = scratch<D>(ctx, N), dnext = scratch<D>(ctx, N);
    const auto chosen = scratch<D>(ctx, cells.shape[0]);
    ops::read_columns(ctx, dy, 0, 1, chosen);
    ops::clear(ctx, dx);
    ops::scatter_add(ctx, chosen, cells, dx);
    for (std::size_t i = global_layers; i-- > 0;) {
      GlobalBlock::backward(ctx, w.global_blocks[i], s.global_blocks[i], {}, spans, dx, dnext, g.global_blocks[i]);
      std::swap(dx, dnext);
    }
    ops::gated_add_backward(ctx, w.after_gate, s.after, dx, dnext, g.after_gate);
    of_tiles_backward(ctx, s.plan.ratios, s.plan.tiles_of_rows, dnext, g.after);
    NormLayer::backward(ctx, w.post_norm, s.post_norm, dx, dnext, g.post_norm);
    std::swap(dx, dnext);
    const auto take_intermediate = [&](int layer) {
      for (int i = 0; i < taps; ++i)
        if (C.intermediate[i] == layer) {
          ops::read_columns(ctx, dy, D + i, taps, chosen);
          ops::scatter_add(ctx, chosen, cells, dx);
        }
    };
    take_intermediate(C.layers);
    for (std::size_t i = layers; i-- > 0;) {
      Block::backward(ctx, w.blocks[i], s.blocks[i], {}, spans, dx, dnext, g.blocks[i]);
      std::swap(dx, dnext);
      take_intermediate(static_cast<int>(i));
    }
    embed_backward(ctx, w, s, dx, dpixels, g);
  }

 private:
  template <class B, Need need, class W>
  static auto run(Context<P>& ctx, const W& w, const Rows<P, D>& x, const Spans<P>& spans, const Rows<P, D>& y) {
    const auto scope = ctx.scope();
    const auto k = take<need.any(), B::KV>(ctx, x.rows), v = take<need.any(), B::KV>(ctx, x.rows);
    Pools<P> own;
    own.add({k, v});
    return B::template forward<need>(ctx, w, x, {}, k, v, own, spans, y);
  }

  static constexpr MatrixView<P, 0, dynamic> no_rows(int width) { return {nullptr, {}, Extent<dynamic>(width)}; }
  /// table[ids], each row of it as `pieces` rows of D.
  template <class W>
  static Rows<P, D> pieces_of(Context<P>& ctx, const W& w, const std::vector<int>& ids, int pieces) {
    const auto rows = scratch(ctx, static_cast<int>(ids.size()), pieces * D);
    ops::embed(ctx, table(ctx, ids), w, no_rows(pieces * D), rows);
    return {rows.data, rows.rows * pieces, {}};
  }
  template <class G>
  static void pieces_backward(Context<P>& ctx, const std::vector<int>& ids, int pieces, const Rows<P, D>& dy,
                              const G& g) {
    if constexpr (wanted<G>)
      ops::embed_backward(ctx, table(ctx, ids), int(g.rows),
                          Rows<P>{dy.data, dy.rows / pieces, Extent<dynamic>(pieces * D)}, g, NoGrad{});
  }
  /// y[n] = the row that the table has for the shape and tile of n.
  template <class W>
  static void of_tiles(Context<P>& ctx, const W& w, const std::vector<int>& ratios, const std::vector<int>& tiles,
                       const Rows<P, D>& y) {
    const auto scope = ctx.scope();
    ops::gather(ctx, pieces_of(ctx, w, ratios, K), table(ctx, tiles), y);
  }
  template <class G>
  static void of_tiles_backward(Context<P>& ctx, const std::vector<int>& ratios, const std::vector<int>& tiles,
                                const Rows<P, D>& dy, const G& g) {
    if constexpr (wanted<G>) {
      const auto scope = ctx.scope();
      const auto dtiles = scratch<D>(ctx, static_cast<int>(ratios.size()) * K);
      ops::clear(ctx, dtiles);
      ops::scatter_add(ctx, dy, table(ctx, tiles), dtiles);
      pieces_backward(ctx, ratios, K, dtiles, g);
    }
  }

  /// cells = [class token, patches + tanh(α) before] + (1 - tanh(β)) positions + tanh(β) places; x = norm(cells), and 0
  /// where tiles are filled up.
  template <Need need, class W>
  static void embed(Context<P>& ctx, const W& w, Saved<need>& s, const Rows<P, 3, const Real>& pixels,
                    const Rows<P, D>& x) {
    const auto scope = ctx.scope();
    const MllamaVisionPlan& plan = s.plan;
    const int cell_count = static_cast<int>(plan.cells.size()), patch_count = static_cast<int>(plan.patches.size());
    const auto before = take<need.weights, D>(ctx, patch_count), places = take<need.weights, D>(ctx, cell_count);
    const auto cells = take<need.any(), D>(ctx, cell_count);
    const auto given = scratch<D>(ctx, static_cast<int>(plan.filled.size())), patches = scratch<D>(ctx, patch_count);
    ops::convolution(ctx, pixels, plan.grids, w.patch, patch, 1, given);
    ops::clear(ctx, patches);
    ops::scatter_add(ctx, given, table(ctx, plan.filled), patches);  // (M K S, D)
    of_tiles(ctx, w.before, plan.ratios, plan.tiles_of_patches, before);
    ops::gated_add(ctx, patches, w.before_gate, before, patches);

    const auto positions = pieces_of(ctx, w.positions, plan.places, 1);
    ops::copy(ctx, positions, cells);  // (M K T, D)
    ops::scatter_add(ctx, patches, table(ctx, plan.patches), cells);
    ops::scatter_add(ctx, pieces_of(ctx, w.class_token, plan.first, 1), table(ctx, plan.classes), cells);
    ops::subtract(ctx, pieces_of(ctx, w.places, plan.ratios, K * T), positions, places);
    ops::gated_add(ctx, cells, w.places_gate, places, cells);
    s.before = before;
    s.places = places;

    const auto normed = scratch<D>(ctx, cell_count);
    s.pre_norm = NormLayer::template forward<need>(ctx, w.pre_norm, outer_epsilon, cells, normed);
    ops::clear(ctx, x);
    ops::scatter_add(ctx, normed, table(ctx, plan.cells), x);
  }
  template <Need need, class W, class G, RowsSink<P> DX>
  static void embed_backward(Context<P>& ctx, const W& w, const Saved<need>& s, const Rows<P, D>& dx, const DX& dpixels,
                             const G& g) {
    const auto scope = ctx.scope();
    const MllamaVisionPlan& plan = s.plan;
    const int cell_count = static_cast<int>(plan.cells.size());
    const auto dnormed = scratch<D>(ctx, cell_count), dcells = scratch<D>(ctx, cell_count),
               dplaces = scratch<D>(ctx, cell_count);
    ops::gather(ctx, dx, table(ctx, plan.cells), dnormed);
    NormLayer::backward(ctx, w.pre_norm, s.pre_norm, dnormed, dcells, g.pre_norm);
    ops::gated_add_backward(ctx, w.places_gate, s.places, dcells, dplaces, g.places_gate);
    pieces_backward(ctx, plan.ratios, K * T, dplaces, g.places);
    ops::subtract(ctx, dcells, dplaces, dplaces);
    pieces_backward(ctx, plan.places, 1, dplaces, g.positions);
    const auto dclasses = scratch<D>(ctx, static_cast<int>(plan.classes.size()));
    ops::gather(ctx, dcells, table(ctx, plan.classes), dclasses);
    pieces_backward(ctx, plan.first, 1, dclasses, g.class_token);

    const int patch_count = static_cast<int>(plan.patches.size());
    const auto dpatches = scratch<D>(ctx, patch_count), dbefore = scratch<D>(ctx, patch_count);
    ops::gather(ctx, dcells, table(ctx, plan.patches), dpatches);
    ops::gated_add_backward(ctx, w.before_gate, s.before, dpatches, dbefore, g.before_gate);
    of_tiles_backward(ctx, plan.ratios, plan.tiles_of_patches, dbefore, g.before);
    if constexpr (wanted<DX> || wanted<decltype(g.patch)>) {
      const auto dgiven = scratch<D>(ctx, static_cast<int>(plan.filled.size()));
      ops::gather(ctx, dpatches, table(ctx, plan.filled), dgiven);
      // Without a gradient of the weights pixels are not saved, and only their shape is asked for.
      Rows<P, 3, const Real> pixels{nullptr, cells_of(plan.grids), {}};
      if constexpr (need.weights) pixels = s.pixels;
      ops::convolution_backward(ctx, pixels, plan.grids, w.patch, patch, 1, dgiven, dpixels, g.patch);
    }
  }
};

}  // namespace model
}  // namespace flamingo
