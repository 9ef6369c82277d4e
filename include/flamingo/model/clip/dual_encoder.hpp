/// CLIP and OpenCLIP (Radford et al. 2021): pictures and texts as rows of one space, and the loss that brings pairs
/// together there.
///
/// M pictures, B texts, D and E the towers' widths, J that of the common space.
#pragma once
#include <cstdint>
#include <span>

#include <flamingo/model/clip/contrastive.hpp>
#include <flamingo/model/clip/joint_space.hpp>
#include <flamingo/model/clip/text_tower.hpp>

namespace flamingo::model {

/// embedding = unit(projection(pooled)), pooled being the class token's row after a LayerNorm, or a text's pooled row.
template <ClipConfig C, Platform P>
struct DualEncoder {
  static_assert(C.vision.class_token, "ClipConfig: the vision tower needs a class token, it is pooled");
  static_assert(C.projection > 0, "ClipConfig: projection must be positive");

  /// Every row leaves the vision tower as the last block made it, the class token first.
  static constexpr Vit vision = [] {
    Vit v = C.vision;
    v.class_out = true;
    v.post_norm = false;
    return v;
  }();
  static constexpr int D = vision.dim, E = C.text.dim, J = C.projection;
  using VisionTower = VisionTransformer<vision, P>;
  using TextTower = ClipTextTower<C.text, P>;
  using TextPlan = ClipTextPlan;
  static constexpr ClipConfig config = C;
  static constexpr float smoothing = 0;
  using NormLayer = nn::LayerNorm<D, P>;
  using PictureSpace = JointSpace<D, J, P>;
  using TextSpace = JointSpace<E, J, P>;
  using Loss = Contrastive<J, P>;
  using Real = typename P::Real;

  template <class S>
  struct Parameters {
    typename VisionTower::template Parameters<S> vision;
    typename NormLayer::template Parameters<S> vision_norm;
    Matrix<S, J, D> vision_projection;
    typename TextTower::template Parameters<S> text;
    Matrix<S, J, E> text_projection;
    Vector<S, 1> log_scale;  ///< of the logits
  };
  static constexpr void each(auto& visit, auto&... p) {
    auto vision_tower = within(visit, "vision"), norm = within(visit, "vision_norm"), text = within(visit, "text");
    VisionTower::each(vision_tower, p.vision...);
    NormLayer::each(norm, p.vision_norm...);
    visit(matrix_spec("vision_projection", J, D, Init::normal(0.02f)), p.vision_projection...);
    TextTower::each(text, p.text...);
    visit(matrix_spec("text_projection", J, E, Init::normal(0.02f)), p.text_projection...);
    visit(vector_spec("log_scale", 1, Init::constant(C.first_log_scale)), p.log_scale...);
  }

  template <Need need>
  struct SavedPictures {
    typename VisionTower::template Saved<need> tower;
    If<need.any(), Rows<P, D>> hidden;  ///< (rows of all pictures, D) after the last block, class tokens among them
    typename NormLayer::template Saved<need> norm;
    typename PictureSpace::template Saved<need> space;
  };
  template <Need need>
  struct SavedTexts {
    typename TextTower::template Saved<need> tower;
    typename TextSpace::template Saved<need> space;
  };

  static TextPlan plan_of(std::span<const std::vector<int>> texts) { return TextPlan::of(C.text, texts); }

  /// Training draws nothing: CLIP has neither dropout nor stochastic depth.
  static Nothing draws(std::uint64_t, std::uint64_t, std::uint64_t) { return {}; }

  /// embeddings (M, J). `grids` must outlive backward, which takes them again.
  template <Need need = no_gradients, class W>
  static SavedPictures<need> pictures(Context<P>& ctx, const W& w, const Rows<P, 3, const Real>& pixels,
                                      std::span<const Grid> grids, const Rows<P, J>& embeddings, Nothing = {}) {
    const auto scope = ctx.scope();
    constexpr bool kept = need.any();
    const int M = static_cast<int>(grids.size());
    int rows = 0;
    for (const Grid& grid : grids) rows += VisionTower::features(grid).rows();
    const auto hidden = take<kept, D>(ctx, rows), classes = take<kept, D>(ctx, M), pooled = take<kept, D>(ctx, M);
    SavedPictures<need> saved{};
    saved.tower = VisionTower::template forward<need>(ctx, w.vision, pixels, grids, hidden);
    ops::gather(ctx, hidden, table(ctx, saved.tower.plan.classes), classes);  // (M, D)
    saved.norm = NormLayer::template forward<need>(ctx, w.vision_norm, C.vision.epsilon, classes, pooled);
    saved.space = PictureSpace::template forward<need>(ctx, w.vision_projection, pooled, embeddings);
    saved.hidden = hidden;
    return saved;
  }
  /// embeddings (B, J)
  template <Need need = no_gradients, class W>
  static SavedTexts<need> texts(Context<P>& ctx, const W& w, const ClipTextPlan& plan, const Rows<P, J>& embeddings) {
    const auto scope = ctx.scope();
    const auto pooled = take<need.any(), E>(ctx, plan.texts());  // (B, E)
    SavedTexts<need> saved{};
    saved.tower = TextTower::template forward<need>(ctx, w.text, plan, pooled);
    saved.space = TextSpace::template forward<need>(ctx, w.text_projection, pooled, embeddings);
    return saved;
  }

  /// Writes dpixels and adds to g.
  template <Need need, class W, class G, RowsSink<P> DX>
  static void pictures_backward(Context<P>& ctx, const W& w, const SavedPictures<need>& s, std::span<const Grid> grids,
                                const Rows<P, J>& dembeddings, const DX& dpixels, const G& g) {
    const auto scope = ctx.scope();
    const int M = dembeddings.rows;
    const auto dpooled = scratch<D>(ctx, M), dclasses = scratch<D>(ctx, M), dhidden = scratch<D>(ctx, s.hidden.rows);
    PictureSpace::backward(ctx, w.vision_projection, s.space, dembeddings, dpooled, g.vision_projection);
    NormLayer::backward(ctx, w.vision_norm, s.norm, dpooled, dclasses, g.vision_norm);
    ops::clear(ctx, dhidden);
    ops::scatter_add(ctx, dclasses, table(ctx, s.tower.plan.classes), dhidden);
    VisionTower::backward(ctx, w.vision, s.tower, grids, dhidden, dpixels, g.vision);
  }
  /// Adds to g.
  template <Need need, class W, class G>
  static void texts_backward(Context<P>& ctx, const W& w, const SavedTexts<need>& s, const ClipTextPlan& plan,
                             const Rows<P, J>& dembeddings, const G& g) {
    const auto scope = ctx.scope();
    const auto dpooled = scratch<E>(ctx, dembeddings.rows);
    TextSpace::backward(ctx, w.text_projection, s.space, dembeddings, dpooled, g.text_projection);
    TextTower::backward(ctx, w.text, s.tower, plan, dpooled, g.text);
  }
};

}  // namespace flamingo::model
