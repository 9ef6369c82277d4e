// Trains the paper's Flamingo-3B at its full size for a few steps, from new weights between random frozen parts, and
// compares what it takes with the plan: full_size_train_flamingo_3b [--plan] [--moments full|bf16|block8] [--keep]
// [--memory GiB] [--steps N] [--threads N] [PICTURE...]
//
// A step is one sequence of 256 tokens with five pictures of 320 x 320, all tokens asked for. The frozen parts are held
// in bfloat16, trained weights and gradients in float32. --plan tells what each choice takes and what of it fits, and
// ends; --keep keeps activations instead of computing blocks again.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "process.hpp"
#include "random_weights.hpp"

#include <flamingo/config/presets/by_name.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/io/image_file.hpp>
#include <flamingo/model/vision/processors.hpp>
#include <flamingo/training_plan.hpp>

namespace {

using namespace flamingo;
using full_size::Clock;
using full_size::RandomWeights;
using full_size::status;
using P = Cpu<float>;
constexpr auto config = presets::FLAMINGO_PRESET;
using Model = model::Flamingo<config, P>;
using Vision = Encoder<frozen_encoder(config.vision), P>;
using Lm = Model::Decoder::Parameters<Packed<P>>;

constexpr Workload work{.tokens = 256, .media = 5};
constexpr double gib = 1024.0 * 1024 * 1024;

struct Options {
  MomentFormat moments = MomentFormat::block8;
  TrainingOptions training{.recompute = true};
  bool plan_alone = false;
  double memory = 18.5;  ///< GiB
  int threads = 0, steps = 2;
  std::vector<std::string> pictures;
};

Options parse(int count, char** words) {
  Options o;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    if (!word.starts_with("--")) {
      o.pictures.emplace_back(word);
    } else if (word == "--plan") {
      o.plan_alone = true;
    } else if (word == "--keep") {
      o.training.recompute = false;
    } else {
      check(i + 1 < count, "full_size", word, " has no value");
      const std::string_view value = words[++i];
      if (word == "--threads") {
        o.threads = std::atoi(words[i]);
      } else if (word == "--steps") {
        o.steps = std::atoi(words[i]);
      } else if (word == "--memory") {
        o.memory = std::atof(words[i]);
      } else {
        check(word == "--moments" && (value == "full" || value == "bf16" || value == "block8"), "full_size", word, ' ',
              value,
              " is not expected; there are --plan, --keep, --moments full|bf16|block8, --memory GiB, --steps N "
              "and --threads N");
        o.moments = value == "full" ? MomentFormat::full : value == "bf16" ? MomentFormat::bf16 : MomentFormat::block8;
      }
    }
  }
  if (o.pictures.empty()) o.pictures = full_size::own_pictures();
  check(o.pictures.size() == std::size_t{work.media} && o.steps > 0, "full_size", o.pictures.size(), " pictures and ",
        o.steps, " steps, expected ", work.media, " pictures and at least one step");
  return o;
}

void tell_what_fits(double memory) {
  std::printf("what a step takes, of %s:\n", detail::bytes_text(memory).c_str());
  for (const bool recompute : {false, true})
    for (const MomentFormat moments : {MomentFormat::full, MomentFormat::bf16, MomentFormat::block8}) {
      const double all =
          training_plan<config, P>(work, {.moments = moments, .encoder = true}, {.recompute = recompute}).all();
      std::printf("  moments %-7s blocks %-15s %10s  %s\n", std::string(name_of(moments)).c_str(),
                  recompute ? "computed again" : "kept", detail::bytes_text(all).c_str(),
                  all <= memory ? "fits" : "does not fit");
    }
}

/// The pictures' features, encoded one by one.
std::vector<float> features_of(Context<P>& ctx, const Vision::Parameters<Packed<P>>& vision,
                               const std::vector<std::string>& pictures) {
  const MeanPaddedProcessor processor{.side = config.vision.image};
  const std::array grid{Grid{0, processor.side, processor.side}};
  std::vector<float> all;
  for (const std::string& path : pictures) {
    const auto pixels = pixel_rows(processor, io::read_raw(path));
    const auto scope = ctx.scope();
    const auto features = scratch<Vision::D>(ctx, Vision::features(grid[0]).rows());
    Vision::forward<no_gradients>(ctx, vision, Rows<P, 3, const float>{pixels.data(), grid[0].rows(), {}}, grid,
                                  features);
    all.insert(all.end(), features.data, features.data + features.size());
  }
  return all;
}

/// <BOS>, then five times the three pieces of "<image>" and a text of random pieces.
TrainingBatch<float> batch_of(std::vector<float> features) {
  TrainingBatch<float> batch = detail::batch_of<config, P, TrainedParts{}, std::vector<float>>(work);
  batch.features = std::move(features);
  Random random(7, 1);
  for (Sequence& s : batch.sequences) {
    for (int& id : s.ids) id = random.below(config.lm.vocabulary);
    for (std::size_t t = 0; t + 1 < s.ids.size(); ++t) s.targets[t] = s.ids[t + 1];
    s.targets.back() = config.lm.vocabulary;  // <EOC>
  }
  return batch;
}

int run(const Options& o) {
  const double before = status("VmRSS");
  tell_what_fits(o.memory * gib);
  if (o.plan_alone) return 0;

  Clock clock;
  const RandomWeights<Vision, P> vision(Format::bf16, Arrangement::rows, 1);
  const RandomWeights<Model::Decoder, P> lm(Format::bf16, Arrangement::rows, 3);
  Context<P> ctx(o.threads);
  Trainer<config, P, Lm> trainer(ctx, lm.views, 5, {.peak = 1e-4, .warmup = 10}, {.moments = o.moments}, o.training);
  const TrainingPlan plan = training_plan(trainer, work, weight_memory<Vision, P>(Format::bf16).bytes());
  std::printf("%zu numbers are trained, moments %s; the plan of this run:\n%s", trainer.weights.flat.size(),
              std::string(name_of(o.moments)).c_str(), plan.text().c_str());
  std::printf("  the program's own before it                %s\n", detail::bytes_text(before).c_str());
  std::printf("weights drawn in %.0f s\n", clock.seconds());

  clock = {};
  const TrainingBatch<float> batch = batch_of(features_of(ctx, vision.views, o.pictures));
  std::printf("%zu pictures encoded in %.1f s\n", o.pictures.size(), clock.seconds());
  std::fflush(stdout);
  for (int step = 1; step <= o.steps; ++step) {
    clock = {};
    const UpdateReport report = trainer.update({{"pages", 1, [&](long) { return batch; }}});
    std::printf("step %d: loss %.4f, gradient's norm %.3e, %.1f s; memory at most %s\n", step, report.datasets[0].loss,
                report.gradient_norm, clock.seconds(), detail::bytes_text(status("VmHWM")).c_str());
    std::fflush(stdout);
  }
  const double measured = status("VmHWM"), predicted = before + plan.all();
  std::printf("measured: %s at most; predicted %s, %+.1f %%\n", detail::bytes_text(measured).c_str(),
              detail::bytes_text(predicted).c_str(), 100 * (predicted / measured - 1));
  return 0;
}

}  // namespace

int main(int count, char** words) try { return run(parse(count, words)); } catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
