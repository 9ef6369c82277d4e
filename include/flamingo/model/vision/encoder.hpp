/// Which layer computes a vision config. A host specialises EncoderOf for a config type of its own.
#pragma once
#include <concepts>
#include <span>

#include <flamingo/core/kinds.hpp>
#include <flamingo/model/vision/efficientnet.hpp>
#include <flamingo/model/vision/mllama_vision.hpp>
#include <flamingo/model/vision/nfnet.hpp>
#include <flamingo/model/vision/vit.hpp>

namespace flamingo {

/// Names, as `type`, the layer of a vision config; picked by the config's type.
template <auto C, Platform P>
struct EncoderOf;

template <auto C, Platform P>
  requires detail::same_config<C, Vit>
struct EncoderOf<C, P> {
  using type = model::VisionTransformer<value_of(C), P>;
};
template <auto C, Platform P>
  requires detail::same_config<C, EfficientNetLite>
struct EncoderOf<C, P> {
  using type = model::EfficientNet<value_of(C), P>;
};
template <auto C, Platform P>
  requires detail::same_config<C, NfNet>
struct EncoderOf<C, P> {
  using type = model::NormFreeNet<value_of(C), P>;
};
/// It asks for the tiles of pictures (TiledPicture) instead of grids: no VisionEncoder, whose pictures are of one
/// piece.
template <auto C, Platform P>
  requires detail::same_config<C, MllamaVision>
struct EncoderOf<C, P> {
  using type = model::MllamaVisionTransformer<value_of(C), P>;
};

template <auto C, Platform P>
using Encoder = typename EncoderOf<C, P>::type;

/// What the rest of the house asks of an encoder: pixels (ΣH W, 3) on grids in, features (ΣS, D) out, pictures one
/// after another, none seeing another; features(picture) says how many rows a picture gives.
template <class E, class P>
concept VisionEncoder =
    requires(Context<P>& ctx, const typename E::template Parameters<Stored<P>>& w,
             const Rows<P, 3, const typename P::Real>& pixels, std::span<const Grid> grids, const Rows<P, E::D>& y) {
      { E::features(Grid{}) } -> std::same_as<Grid>;
      { E::template forward<no_gradients>(ctx, w, pixels, grids, y) };
    };

}  // namespace flamingo
