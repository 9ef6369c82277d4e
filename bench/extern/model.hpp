/// README's model as a program of several files has it: named here, instantiated in model.cpp alone.
#pragma once
#include <flamingo/config/vision.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/infer/generate.hpp>
#include <flamingo/kernels/cpu/context.hpp>  // no kernel: what calls one stands in model.cpp

using P = flamingo::Cpu<float>;
constexpr flamingo::FlamingoConfig<flamingo::Vit, flamingo::Llama> mine{
    .vision = {.image = 32, .patch = 8, .dim = 24, .layers = 2, .heads = 2},
    .resampler = {.vision_dim = 24, .dim = 16, .latents = 5, .layers = 2, .heads = 2, .head_dim = 8},
    .xattn = {.every = 2, .heads = 2, .head_dim = 8},
    .lm = {.dim = 32, .layers = 4, .heads = 4, .kv_heads = 2, .hidden = 64, .vocabulary = 100}};
using Model = flamingo::model::Flamingo<mine, P>;
using Connector = flamingo::Store<Model::Connect, P>;
using Lm = flamingo::Store<Model::Decoder, P>;
using MyEngine = flamingo::Engine<Model, Connector::Views, Lm::Views>;
using Features = flamingo::Rows<P, 24>;

extern template struct flamingo::Store<Model::Connect, P>;
extern template struct flamingo::Store<Model::Decoder, P>;
extern template class flamingo::Engine<Model, Connector::Views, Lm::Views>;
extern template flamingo::CachedMedium MyEngine::add_medium(const Features&, int, int, int);
extern template flamingo::Generated flamingo::generate(MyEngine&, flamingo::TextState&,
                                                       const flamingo::GenerateOptions&);
