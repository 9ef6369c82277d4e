/// README's program on a GPU: the platform's type and one include differ.
#include <flamingo/cuda.cuh>
#include <flamingo/flamingo.hpp>

#include <array>
#include <iostream>

using P = flamingo::Cuda<float>;
constexpr flamingo::FlamingoConfig<flamingo::Vit, flamingo::Llama> mine{
    .vision = {.image = 32, .patch = 8, .dim = 24, .layers = 2, .heads = 2},
    .resampler = {.vision_dim = 24, .dim = 16, .latents = 5, .layers = 2, .heads = 2, .head_dim = 8},
    .xattn = {.every = 2, .heads = 2, .head_dim = 8},
    .lm = {.dim = 32, .layers = 4, .heads = 4, .kv_heads = 2, .hidden = 64, .vocabulary = 100}};
using Model = flamingo::model::Flamingo<mine, P>;

int main() {
  flamingo::Context<P> ctx(std::size_t(64) << 20);  // an arena of 64 MB on the GPU
  const auto picture = flamingo::keep<24>(ctx, 16);
  flamingo::ops::clear(ctx, picture);
  const flamingo::Store<Model::Connect, P> connector(/*seed=*/1);
  const flamingo::Store<Model::Decoder, P> lm(/*seed=*/2);
  auto engine = flamingo::make_engine<Model>(ctx, connector.views, lm.views);
  auto state = engine.begin({.ids = {1, 7, 42}, .phi = {0, 1, 1}}, std::array{engine.add_medium(picture)});
  for (const int id : flamingo::generate(engine, state, {.max_new_tokens = 8}).ids) std::cout << id << ' ';
}
