/// Sizes that no preset has: width 52, three heads of 18, five latents, videos of seven frames. Connector and decoder
/// are trained for 20 steps to tell three made-up kinds of videos apart, and writes. The same source is a program for
/// the GPU:
///
///   g++ -std=c++20 -O2 -Iinclude -I/usr/include/eigen3 examples/any_size/any_size.cpp -pthread
///   nvcc -std=c++20 -O2 -Iinclude -x cu examples/any_size/any_size.cpp -lcublas -lcublasLt
#ifdef __CUDACC__
#include <flamingo/cuda.cuh>
using P = flamingo::Cuda<float>;
#else
#include <flamingo/cpu.hpp>
using P = flamingo::Cpu<float>;
#endif
#include <flamingo/config/vision.hpp>
#include <flamingo/infer/generate.hpp>
#include <flamingo/train/trainer.hpp>

#include <array>
#include <iostream>

constexpr int frames = 7, cells = 9, width = 39;
constexpr flamingo::FlamingoConfig<flamingo::Vit, flamingo::Llama> mine{
    .vision = {.image = 21, .patch = 7, .dim = width, .layers = 1, .heads = 3},
    .resampler =
        {.vision_dim = width, .dim = 52, .latents = 5, .layers = 2, .heads = 3, .head_dim = 18, .frames = frames},
    .xattn = {.every = 2, .heads = 3, .head_dim = 18},
    .lm = {.dim = 52, .layers = 3, .heads = 3, .kv_heads = 3, .head_dim = 18, .hidden = 101, .vocabulary = 97}};
using Model = flamingo::model::Flamingo<mine, P>;
constexpr flamingo::TrainedParts trained{.lm = true};

/// Features of a video of one of three kinds, as a frozen encoder would give them.
std::vector<float> video(int kind, flamingo::Random& random) {
  std::vector<float> rows;
  for (int i = 0; i < frames * cells * width; ++i)
    rows.push_back(random.normal() + (i % width % 3 == kind ? 1.5f : 0.0f));
  return rows;
}

/// Documents "begin, tag, name of the kind, end"; a function of the step.
flamingo::TrainingBatch<float> documents(long step) {
  flamingo::TrainingBatch<float> batch;
  flamingo::Random random(/*seed=*/3, static_cast<std::uint64_t>(step));
  for (int n = 0; n < 7; ++n) {
    const int kind = random.below(3);
    batch.media.push_back({n * frames * cells, frames * cells, frames});
    const auto rows = video(kind, random);
    batch.features.insert(batch.features.end(), rows.begin(), rows.end());
    batch.sequences.push_back({.ids = {1, 2, 10 + kind, 3},
                               .phi = {0, 1, 1, 1},
                               .targets = {-1, 10 + kind, 3, -1},
                               .first_medium = n,
                               .media = 1});
  }
  return batch;
}

int main() {
#ifdef __CUDACC__
  flamingo::Context<P> ctx(std::size_t(256) << 20);
#else
  flamingo::Context<P> ctx;
#endif
  flamingo::Trainer<mine, P, flamingo::Nothing, trained> trainer(ctx, /*seed=*/1, {.peak = 0.01, .warmup = 4});
  const double before = trainer.pass(documents(1000), 0).loss;
  for (int step = 0; step < 20; ++step) trainer.update({{"videos", 1, documents}});
  const double after = trainer.pass(documents(1000), 0).loss;
  std::cout << "nats a token: " << before << ", after 20 steps " << after << '\n';

  auto engine = flamingo::make_engine<Model>(ctx, trainer.weights.views, trainer.weights.views.lm);
  flamingo::Random random(/*seed=*/5);
  const auto scope = ctx.scope();
  const auto features = flamingo::scratch<width>(ctx, frames * cells);
  const auto rows = video(/*kind=*/1, random);
  flamingo::upload(ctx, rows.data(), rows.size(), features.data);
  auto state = engine.begin({.ids = {1, 2}, .phi = {0, 1}}, std::array{engine.add_medium(features, frames)});
  std::cout << "of a video of kind 1 it writes";
  for (const int id : flamingo::generate(engine, state, {.max_new_tokens = 2}).ids) std::cout << ' ' << id;
  std::cout << '\n';
  return after < before / 2 ? 0 : 1;
}
