#include <flamingo/model/vision/efficientnet.hpp>
#include <flamingo/model/vision/vit.hpp>

#include <flamingo/cpu.hpp>

#include "support/models.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

constexpr int pictures = 4;

template <template <Platform> class Layer, Need need, Platform Q, class W, class G>
void pass(Context<Q>& ctx, const W& w, const G& g, const std::vector<Grid>& grids,
          const Rows<Q, 3, const float>& pixels, int rows) {
  const auto scope = ctx.scope();
  const auto kept = ctx.kept_scope();
  const auto y = scratch<Layer<Q>::D>(ctx, rows);
  const auto saved = Layer<Q>::template forward<need>(ctx, w, pixels, grids, y);
  if constexpr (need.any()) Layer<Q>::backward(ctx, w, saved, grids, y, NoGrad{}, g);
}

/// Four square pictures of `side` pixels through an encoder.
template <template <Platform> class Layer, Need need>
bool time_encoder(const char* name, int side) {
  std::vector<Grid> grids;
  int rows = 0;
  for (int i = 0; i < pictures; ++i) {
    grids.push_back({i * side * side, side, side});
    rows += Layer<bench::P>::features(grids.back()).rows();
  }
  const int pixels = pictures * side * side;
  const double operations = operations_of([&](Context<Dry<bench::P>>& dry) {
    typename Layer<Dry<bench::P>>::template Parameters<Stored<Dry<bench::P>>> w{}, g{};
    pass<Layer, need>(dry, w, g, grids, Rows<Dry<bench::P>, 3, const float>{nullptr, pixels, {}}, rows);
  });
  return time_op(name, {.operations = operations}, [=](Context<bench::P>& ctx) {
    auto w = std::make_shared<Store<Layer<bench::P>, bench::P>>(),
         g = std::make_shared<Store<Layer<bench::P>, bench::P>>();
    const Rows<bench::P, 3, const float> x = filled<3>(ctx, pixels);
    return [=, &ctx] { pass<Layer, need>(ctx, w->views, g->views, grids, x, rows); };
  });
}

template <Platform Q>
using Lite = model::EfficientNet<EfficientNetLite{}, Q>;
/// CLIP's ViT-B/32.
template <Platform Q>
using VitB = model::VisionTransformer<Vit{.patch = 32, .dim = 768, .layers = 12, .heads = 12}, Q>;

const bool registered = time_encoder<Lite, no_gradients>("efficientnet_lite0/forward/4_pictures_160", 160) &&
                        time_encoder<VitB, no_gradients>("vit_b_32/forward/4_pictures_224", 224) &&
                        time_encoder<VitB, weight_gradients>("vit_b_32/forward_backward/4_pictures_224", 224);

}  // namespace
