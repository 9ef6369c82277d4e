/// The paper's contrastive pretraining: a vision encoder and a BERT, each pooled by the mean of its rows, as rows of
/// one space. The loss is CLIP's with label smoothing. Only the vision encoder is used afterwards.
///
/// M pictures, B texts, D and E the towers' widths, J that of the common space.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include <flamingo/model/clip/contrastive.hpp>
#include <flamingo/model/clip/joint_space.hpp>
#include <flamingo/model/contrastive/bert.hpp>
#include <flamingo/model/vision/encoder.hpp>

namespace flamingo::model {

/// embedding = unit(projection(mean of the rows)), the rows of a picture's grid or of a text's tokens. C is a
/// ContrastiveConfig of any vision config.
template <auto C, Platform P>
struct PooledDualEncoder {
  static_assert(C.projection > 0, "ContrastiveConfig: projection must be positive");

  using VisionTower = Encoder<C.vision, P>;
  using TextTower = Bert<C.text, P>;
  using TextPlan = BertPlan;
  static constexpr int D = VisionTower::D, E = TextTower::E, J = C.projection;
  static constexpr auto config = C;
  static constexpr float smoothing = C.smoothing;
  using PictureSpace = JointSpace<D, J, P>;
  using TextSpace = JointSpace<E, J, P>;
  using Loss = Contrastive<J, P>;
  using Real = typename P::Real;

  template <class S>
  struct Parameters {
    typename VisionTower::template Parameters<S> vision;
    Matrix<S, J, D> vision_projection;
    typename TextTower::template Parameters<S> text;
    Matrix<S, J, E> text_projection;
    Vector<S, 1> log_scale;  ///< of the logits: log β
  };
  static constexpr void each(auto& visit, auto&... p) {
    auto vision = within(visit, "vision"), text = within(visit, "text");
    VisionTower::each(vision, p.vision...);
    visit(matrix_spec("vision_projection", J, D, Init::normal(0.02f)), p.vision_projection...);
    TextTower::each(text, p.text...);
    visit(matrix_spec("text_projection", J, E, Init::normal(0.02f)), p.text_projection...);
    visit(vector_spec("log_scale", 1, Init::constant(C.first_log_scale)), p.log_scale...);
  }

  template <Need need>
  struct SavedPictures {
    typename VisionTower::template Saved<need> tower;
    typename PictureSpace::template Saved<need> space;
  };
  template <Need need>
  struct SavedTexts {
    typename TextTower::template Saved<need> tower;
    typename TextSpace::template Saved<need> space;
  };

  static TextPlan plan_of(std::span<const std::vector<int>> texts) { return TextPlan::of(C.text, texts); }

  /// What training draws at `step` for the pictures from `first` on, where the encoder draws anything (stochastic
  /// depth): the same whenever it is asked, so that pictures may be encoded again.
  static auto draws(std::uint64_t seed, std::uint64_t step, std::uint64_t first) {
    if constexpr (requires { typename VisionTower::Draws; })
      return typename VisionTower::Draws{true, seed, step, first};
    else
      return Nothing{};
  }

  /// embeddings (M, J). `grids` must outlive backward, which takes them again.
  template <Need need = no_gradients, class W, class Draws = Nothing>
  static SavedPictures<need> pictures(Context<P>& ctx, const W& w, const Rows<P, 3, const Real>& pixels,
                                      std::span<const Grid> grids, const Rows<P, J>& embeddings,
                                      const Draws& draws = {}) {
    const auto scope = ctx.scope();
    const std::vector<Grid> cells = features(grids);
    const auto rows = scratch<D>(ctx, cells_of(cells));
    const auto pooled = take<need.any(), D>(ctx, embeddings.rows);
    SavedPictures<need> saved{};
    if constexpr (wanted<Draws>)
      saved.tower = VisionTower::template forward<need>(ctx, w.vision, pixels, grids, rows, draws);  // (ΣS, D)
    else
      saved.tower = VisionTower::template forward<need>(ctx, w.vision, pixels, grids, rows);
    ops::picture_mean(ctx, rows, cells, pooled);  // (M, D)
    saved.space = PictureSpace::template forward<need>(ctx, w.vision_projection, pooled, embeddings);
    return saved;
  }
  /// embeddings (B, J)
  template <Need need = no_gradients, class W>
  static SavedTexts<need> texts(Context<P>& ctx, const W& w, const TextPlan& plan, const Rows<P, J>& embeddings) {
    const auto scope = ctx.scope();
    const auto pooled = take<need.any(), E>(ctx, plan.texts());
    SavedTexts<need> saved{};
    saved.tower = TextTower::template forward<need>(ctx, w.text, plan, pooled);  // (B, E)
    saved.space = TextSpace::template forward<need>(ctx, w.text_projection, pooled, embeddings);
    return saved;
  }

  /// Writes dpixels and adds to g.
  template <Need need, class W, class G, RowsSink<P> DX>
  static void pictures_backward(Context<P>& ctx, const W& w, const SavedPictures<need>& s, std::span<const Grid> grids,
                                const Rows<P, J>& dembeddings, const DX& dpixels, const G& g) {
    const auto scope = ctx.scope();
    const std::vector<Grid> cells = features(grids);
    const auto dpooled = scratch<D>(ctx, dembeddings.rows), drows = scratch<D>(ctx, cells_of(cells));
    PictureSpace::backward(ctx, w.vision_projection, s.space, dembeddings, dpooled, g.vision_projection);
    ops::picture_mean_backward(ctx, cells, dpooled, drows);
    VisionTower::backward(ctx, w.vision, s.tower, grids, drows, dpixels, g.vision);
  }
  /// Adds to g.
  template <Need need, class W, class G>
  static void texts_backward(Context<P>& ctx, const W& w, const SavedTexts<need>& s, const TextPlan& plan,
                             const Rows<P, J>& dembeddings, const G& g) {
    const auto scope = ctx.scope();
    const auto dpooled = scratch<E>(ctx, dembeddings.rows);
    TextSpace::backward(ctx, w.text_projection, s.space, dembeddings, dpooled, g.text_projection);
    TextTower::backward(ctx, w.text, s.tower, plan, dpooled, g.text);
  }

 private:
  /// The grids of the pictures' features, one after another.
  static std::vector<Grid> features(std::span<const Grid> pictures) {
    std::vector<Grid> all;
    for (int first = 0; const Grid& picture : pictures) {
      Grid grid = VisionTower::features(picture);
      grid.first = first;
      first += grid.rows();
      all.push_back(grid);
    }
    return all;
  }
};

}  // namespace flamingo::model
