/// A vision transformer and an NFNet on Cuda, forward and backward, compiled by nvcc: nothing runs.
#include <flamingo/cuda.cuh>
#include <flamingo/model/vision/nfnet.hpp>
#include <flamingo/model/vision/vit.hpp>

namespace flamingo {

using P = Cuda<bfloat16>;
using Transformer = model::VisionTransformer<Vit{.layers = 2}, P>;
using Net = model::NormFreeNet<NfNet{.depths = {1, 1, 1, 1}, .widths = {256, 256, 256, 256}, .stem = 256}, P>;
template <class Layer>
using Weights = typename Layer::template Parameters<Stored<P>>;
template <class Layer>
using Gradients = typename Layer::template Parameters<Stored<P, AccumulateOf<P>>>;

template <class Layer>
void train(Context<P>& ctx, const Weights<Layer>& w, const Gradients<Layer>& g, const Rows<P, 3, const P::Real>& pixels,
           std::span<const Grid> grids, const Rows<P, Layer::D>& y, const Rows<P, Layer::D>& dy) {
  const auto saved = Layer::template forward<all_gradients>(ctx, w, pixels, grids, y);
  Layer::template backward<all_gradients>(ctx, w, saved, grids, dy, NoGrad{}, g);
}
template void train<Transformer>(Context<P>&, const Weights<Transformer>&, const Gradients<Transformer>&,
                                 const Rows<P, 3, const P::Real>&, std::span<const Grid>,
                                 const Rows<P, Transformer::D>&, const Rows<P, Transformer::D>&);
template void train<Net>(Context<P>&, const Weights<Net>&, const Gradients<Net>&, const Rows<P, 3, const P::Real>&,
                         std::span<const Grid>, const Rows<P, Net::D>&, const Rows<P, Net::D>&);

}  // namespace flamingo
