// Fine-tunes a small model that was trained to name coloured shapes to tell the stripes on them, by the paper's grid:
// with its vision encoder frozen, and unfrozen at one and a half times the resolution. examples/fine_tune/run runs it.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "comparison.hpp"
#include "shapes.hpp"

#include <flamingo/cpu.hpp>
#include <flamingo/data/media/augment.hpp>
#include <flamingo/model/vision/encoder.hpp>
#include <flamingo/train/controls.hpp>
#include <flamingo/train/fine_tuning.hpp>
#include <flamingo/train/progress.hpp>
#include <flamingo/train/report.hpp>

namespace {

using namespace flamingo;
using shapes::Arm, shapes::rounded;
using P = Cpu<float>;
using Batch = TrainingBatch<float>;

constexpr int side = 24, large = 36, answers = 4, validated = 300, tested_on = 1000;
constexpr FlamingoConfig<Vit, Llama> config{
    .vision = {.image = side,
               .patch = 6,
               .dim = 32,
               .layers = 2,
               .heads = 4,
               .hidden = 64,
               .class_token = false,
               .other_sizes = OtherSizes::antialias},
    .resampler = {.vision_dim = 32, .dim = 32, .latents = 6, .layers = 1, .heads = 4, .head_dim = 8, .widening = 2},
    .xattn = {.every = 1, .heads = 4, .head_dim = 8, .widening = 2},
    .lm = {
        .dim = 48, .layers = 2, .heads = 4, .kv_heads = 2, .hidden = 96, .vocabulary = 14, .context = 8, .tied = true}};
enum Word { begin_text, image_tag, end_of_chunk, first_colour, first_shape = 7, first_pattern = 10 };
using Lm = DecoderOf<config.lm, P>;
using Vision = Encoder<config.vision, P>;
using Connect = model::Connector<config, P>;
constexpr TrainedParts all_parts{.lm = true, .vision = true}, with_vision{.vision = true}, connector_only{};

struct Options {
  std::filesystem::path out;
  long pretraining = 6000, steps = 2000, pictures = 4000, seed = 1, seeds = 1;
  double scale = 50, rate = 5e-4, vision_rate = 1;
  bool quick = false, check = false;
};
constexpr const char* usage =
    "usage: fine_tune OUT [--pretraining STEPS] [--rate X] [--steps STEPS] [--pictures N] [--scale X] [--vision X]\n"
    "                     [--seed N] [--seeds N] [--quick] [--check]\n"
    "  OUT             folder for checkpoints, logs and report.html; run again, it goes on where it was stopped\n"
    "  --pretraining   updates of the model that is fine-tuned (default 6000)\n"
    "  --rate          its peak learning rate (default 5e-4)\n"
    "  --steps         updates of each fine-tuning (default 2000)\n"
    "  --pictures      that it is trained on (default 4000)\n"
    "  --scale         of the paper's learning rates, 1e-5 to 3e-8, which are those of 80 B parameters (default 50)\n"
    "  --vision        the unfrozen encoder's share of them (default 1)\n"
    "  --seed          of weights, and of what both trainings are shown (default 1)\n"
    "  --seeds         that many, one after another from --seed on, each from a model of its own (default 1)\n"
    "  --quick         the largest rate and the smaller batch alone, with and without augmentation\n"
    "  --check         fail unless the unfrozen encoder is better by more than chance, by loss and by accuracy\n";

Options parse(int argc, char** argv) {
  Options o;
  check(argc > 1 && argv[1][0] != '-', "fine_tune", usage);
  o.out = argv[1];
  for (int i = 2; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--quick")
      o.quick = true;
    else if (name == "--check")
      o.check = true;
    else {
      check(i + 1 < argc, "fine_tune", usage);
      const double value = std::strtod(argv[++i], nullptr);
      if (name == "--scale")
        o.scale = value;
      else if (name == "--rate")
        o.rate = value;
      else if (name == "--pretraining")
        o.pretraining = static_cast<long>(value);
      else if (name == "--steps")
        o.steps = static_cast<long>(value);
      else if (name == "--pictures")
        o.pictures = static_cast<long>(value);
      else if (name == "--vision")
        o.vision_rate = value;
      else if (name == "--seed")
        o.seed = static_cast<long>(value);
      else if (name == "--seeds")
        o.seeds = static_cast<long>(value);
      else
        fail("fine_tune", usage);
    }
  }
  check(o.pretraining > 0 && o.steps > 0 && o.pictures > 0 && o.seed > 0 && o.seeds > 0, "fine_tune", usage);
  return o;
}

/// The weights that every fine-tuning begins with, and the decoder that stays as it is.
struct Pretrained {
  Store<Connect, P> connector;
  Store<Lm, P> lm;
  Store<Vision, P> vision;
};
template <class Layer>
void copy_weights(const auto& from, auto& to) {
  const auto copy = [](const Spec&, auto& t, const auto& f) { std::copy_n(f.data, t.size(), t.data); };
  Layer::each(copy, to, from);
}

/// Pictures to documents "<begin> <image> colour shape pattern", of which a task asks for the pattern alone.
struct Pictures {
  int pixels = side;       ///< of each side
  bool augmented = false;  ///< flipped and recoloured, by what each sample's key says
  bool whole = false;      ///< every word is asked for
  Context<P>* ctx = nullptr;
  const Store<Vision, P>* frozen = nullptr;  ///< features are made here, where the encoder is not trained

  void add(Batch& batch, const shapes::Scene& scene, std::uint64_t sample, int answer) const {
    const ImageTransform transform{.side = pixels,
                                   .fit = Fit::stretch,
                                   .flip = augmented ? 0.5f : 0.0f,
                                   .brightness = augmented ? 0.2f : 0.0f,
                                   .contrast = augmented ? 0.2f : 0.0f,
                                   .saturation = augmented ? 0.2f : 0.0f};
    Random draw(71, sample);
    const io::Image image = transform(shapes::render(scene, pixels), transform.draw(draw));
    const Grid grid{static_cast<int>(batch.pixels.size()) / 3, pixels, pixels};
    for (const std::uint8_t c : image.rgb) batch.pixels.push_back((static_cast<float>(c) / 255 - 0.5f) * 4);
    const int rows = Vision::features(grid).rows(), medium = static_cast<int>(batch.media.size());
    batch.pictures.push_back(grid);
    batch.media.push_back({medium * rows, rows, 1, 0});
    const int colour = first_colour + scene.colour, shape = first_shape + scene.shape;
    Sequence s{.ids = {begin_text, image_tag, colour, shape, first_pattern + scene.pattern, end_of_chunk},
               .phi = {0, 1, 1, 1, 1, 1},
               .targets = {-1, -1, -1, first_pattern + answer, -1, -1},
               .first_medium = medium,
               .media = 1};
    if (whole) s.targets = {-1, colour, shape, first_pattern + answer, end_of_chunk, -1};
    batch.sequences.push_back(std::move(s));
  }
  /// Pixels become features where the encoder is frozen.
  Batch finished(Batch batch) const {
    if (!frozen) return batch;
    const auto scope = ctx->scope();
    const auto rows = scratch<Vision::D>(*ctx, batch.media.back().first + batch.media.back().rows);
    const Rows<P, 3, const float> colours{batch.pixels.data(), static_cast<int>(batch.pixels.size() / 3), {}};
    Vision::forward<no_gradients>(*ctx, frozen->views, colours, batch.pictures, rows);
    batch.features.assign(rows.data, rows.data + rows.size());
    batch.pixels.clear();
    batch.pictures.clear();
    return batch;
  }
  Batch of(std::span<const shapes::Scene> scenes) const {
    Batch batch;
    for (const shapes::Scene& scene : scenes) add(batch, scene, 0, scene.pattern);
    return finished(std::move(batch));
  }
};

std::vector<shapes::Scene> scenes(std::uint64_t seed, int count) {
  std::vector<shapes::Scene> all;
  for (int i = 0; i < count; ++i) all.push_back(shapes::scene_of(seed, static_cast<std::uint64_t>(i), true));
  return all;
}
/// Trains everything from scratch to name colours and shapes; of patterns it hears nothing but that they are said.
void pretrain(Context<P>& ctx, const Options& o, Pretrained& to) {
  const Schedule schedule{.peak = o.rate, .warmup = 50, .shape = Schedule::Shape::cosine, .steps = o.pretraining};
  const auto seed = static_cast<std::uint64_t>(o.seed);
  Trainer<config, P, Nothing, all_parts> trainer(ctx, seed, schedule, {.group = groups_of(1)});
  Checkpoints checkpoints(o.out / "pretrained");
  checkpoints.resume([&](const std::filesystem::path& path) { load_checkpoint(path, trainer); });
  const Pictures pictures{.whole = true};
  const DatasetStream<float> data{"shapes", 1, [&](long step) {
                                    Batch batch;
                                    for (std::uint64_t d = 0; d < 16; ++d) {
                                      const std::uint64_t sample = 16 * static_cast<std::uint64_t>(step) + d;
                                      const shapes::Scene scene = shapes::scene_of(10 * (seed - 1) + 2, sample, false);
                                      pictures.add(batch, scene, sample, scene.pattern);
                                    }
                                    return batch;
                                  }};
  const long begun = trainer.optimizer.steps();
  Progress progress(std::cerr, "pretraining", o.pretraining, rewrites_lines(STDERR_FILENO));
  while (trainer.optimizer.steps() < o.pretraining) {
    const UpdateReport report = trainer.update({data});
    const long step = trainer.optimizer.steps();
    progress.report(step, "loss " + rounded(report.datasets[0].loss), begun);
    if (step % 100 == 0 || step == o.pretraining)
      checkpoints.save(step, [&](const std::filesystem::path& path) { save_checkpoint(path, trainer); });
  }
  copy_weights<Connect>(trainer.weights.views, to.connector.views);
  copy_weights<Lm>(trainer.weights.views.lm, to.lm.views);
  copy_weights<Vision>(trainer.weights.views.vision, to.vision.views);
}

template <TrainedParts parts>
Arm fine_tune_by_grid(Context<P>& ctx, const Options& o, const Pretrained& from, const std::string& name, int pixels) {
  const auto seed = static_cast<std::uint64_t>(o.seed);
  const std::vector<shapes::Scene> train = scenes(10 * (seed - 1) + 3, static_cast<int>(o.pictures)),
                                   validation = scenes(4, validated), test = scenes(8, tested_on);
  Pictures pictures{.pixels = pixels, .ctx = &ctx, .frozen = parts.vision ? nullptr : &from.vision};
  const Batch held_out = pictures.of(validation);
  const auto begin = [&](double rate) {
    const Schedule schedule{.peak = rate, .warmup = o.steps / 20, .shape = Schedule::Shape::cosine, .steps = o.steps};
    auto trainer = std::make_unique<Trainer<config, P, Store<Lm, P>::Views, parts>>(
        ctx, from.lm.views, seed, schedule, OptimizerOptions{.group = groups_of(1, o.vision_rate)});
    copy_weights<Connect>(from.connector.views, trainer->weights.views);
    if constexpr (parts.vision) copy_weights<Vision>(from.vision.views, trainer->weights.views.vision);
    return trainer;
  };
  std::vector<FineTuningChoice> grid = fine_tuning_grid(o.scale);
  if (o.quick) grid.resize(2);
  Progress progress(std::cerr, name, static_cast<long>(grid.size()), rewrites_lines(STDERR_FILENO), 0);
  long ended = 0;
  const auto all = run_grid(o.out / name, grid, [&](const FineTuningChoice& choice, const std::filesystem::path& run) {
    const auto trainer = begin(choice.rate);
    Pictures shown = pictures;
    shown.augmented = choice.augmented;
    const DatasetStream<float> data{
        "stripes", 1, [&](long step) {
          Batch batch;
          Random draw(10 * (seed - 1) + 6, static_cast<std::uint64_t>(step));
          for (int d = 0; d < choice.batch; ++d) {
            const auto i = static_cast<std::size_t>(draw.below(static_cast<int>(train.size())));
            const std::uint64_t sample = (static_cast<std::uint64_t>(step) << 8) + static_cast<std::uint64_t>(d);
            shown.add(batch, train[i], sample, train[i].pattern);
          }
          return shown.finished(std::move(batch));
        }};
    const FineTuningResult result = fine_tune(run, *trainer, data, o.steps, std::max(1L, o.steps / 12),
                                              [&] { return trainer->pass(held_out, 0).loss; });
    progress.report(++ended, choice.name() + ": " + rounded(result.loss));
    return result;
  });

  // The test pictures are seen once, by the best of all.
  const auto trainer = begin(0);
  load_checkpoint(selected_checkpoint(all[0].run), *trainer);
  Arm arm{name, all[0], {}, {}, {}};
  const Batch tested = pictures.of(test);
  std::vector<float> blank{0, 0, 0};
  if constexpr (!parts.vision) {
    Batch empty;
    Pictures plain = pictures;
    plain.frozen = nullptr;
    plain.add(empty, test[0], 0, 0);
    std::fill(empty.pixels.begin(), empty.pixels.end(), 0.0f);
    blank = pictures.finished(empty).features;
  }
  arm.losses = control_losses(*trainer, tested, std::span<const float>(blank));
  for (const shapes::Scene& scene : test) {
    Batch one = pictures.of({&scene, 1});
    std::array<double, answers> nats{};
    for (int answer = 0; answer < answers; ++answer) {
      one.sequences[0].targets[3] = first_pattern + answer;
      nats[static_cast<std::size_t>(answer)] = trainer->pass(one, 0).loss;
    }
    const double own = nats[static_cast<std::size_t>(scene.pattern)];
    arm.nats.push_back(own);
    arm.right.push_back(own == std::ranges::min(nats) && std::ranges::count(nats, own) == 1);
  }
  return arm;
}

/// All of one seed, as a part of the report. Returns whether the unfrozen encoder is better by more than chance.
bool run_seed(Context<P>& ctx, const Options& o, Report& report) {
  std::filesystem::create_directories(o.out);
  Pretrained from;
  pretrain(ctx, o, from);
  const std::vector<Arm> arms{fine_tune_by_grid<connector_only>(ctx, o, from, "frozen", side),
                              fine_tune_by_grid<connector_only>(ctx, o, from, "frozen, 1.5 x", large),
                              fine_tune_by_grid<with_vision>(ctx, o, from, "unfrozen, 1.5 x", large)};
  return shapes::show("Seed " + std::to_string(o.seed), arms, report);
}

int run(const Options& o) {
  Context<P> ctx(1);
  Report report("Telling stripes: the vision encoder frozen and unfrozen");
  report.text(
      "Nats an answer of 1,000 held-out pictures, with blank ones and with one another's in their place, and how often "
      "the right answer is the likeliest. Chance: 1.386, 25 %. In brackets: 95 % intervals over the pictures; a "
      "difference pairs them.");
  bool better = true;
  for (long i = 0; i < o.seeds; ++i) {
    Options own = o;
    own.seed = o.seed + i;
    own.out = o.out / ("seed-" + std::to_string(own.seed));
    better = run_seed(ctx, own, report) && better;
    report.write(o.out / "report.html");
  }
  check(better || !o.check, "fine_tune", "the unfrozen encoder is not better than a frozen one by more than chance");
  return 0;
}

}  // namespace

int main(int argc, char** argv) try { return run(parse(argc, argv)); } catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
