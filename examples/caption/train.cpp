// Trains the connector. examples/train runs it; --help tells the options.
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>

#include "batches.hpp"
#include "naming.hpp"
#include "warmup.hpp"

#include <flamingo/cpu.hpp>
#include <flamingo/train/checkpoint.hpp>

namespace {

using namespace caption;

struct Options {
  std::filesystem::path backbones, pictures, manifest, out;
  double minutes = 80;
  long steps = 120, warmup = 250;
  int threads = 0, carried = default_carried;
  double rate = 7e-4, resampler = 0.1, contrast = 0.5, loudness = 160;
};

constexpr const char* usage =
    "usage: train BACKBONES PICTURES MANIFEST OUT [OPTION VALUE]...\n"
    "  BACKBONES, PICTURES  folders filled by examples/data/fetch\n"
    "  MANIFEST             made by examples/data/manifest.py\n"
    "  OUT                  folder for the feature cache, checkpoints, the log and the trained connector\n"
    "  --minutes N          stop after N minutes, wherever it is; run again to go on (default 80)\n"
    "  --steps N            length of the schedule (default 120)\n"
    "  --warmup N           steps of the contrastive warm-up before it (default 250)\n"
    "  --threads N          (default: all cores)\n"
    "  --carried N          hold out one in N of the concepts that several sources show, in one of them (default 16)\n"
    "  --rate X             peak learning rate (default 7e-4), times\n"
    "  --resampler X        for the Resampler (default 0.1)\n"
    "  --contrast X         weight of the contrastive loss, which goes on (default 0.5)\n"
    "  --loudness X         of what the last block says after the warm-up, against a new block's (default 160)\n";

Options parse(int argc, char** argv) {
  Options o;
  flamingo::check(argc >= 5, "train", usage);
  o.backbones = argv[1];
  o.pictures = argv[2];
  o.manifest = argv[3];
  o.out = argv[4];
  for (int i = 5; i < argc; i += 2) {
    const std::string_view name = argv[i];
    flamingo::check(i + 1 < argc, "train", name, " has no value\n", usage);
    const double value = std::strtod(argv[i + 1], nullptr);
    const auto is = [&](const char* option, auto& field) {
      if (name != option) return false;
      field = static_cast<std::remove_reference_t<decltype(field)>>(value);
      return true;
    };
    if (!(is("--minutes", o.minutes) || is("--steps", o.steps) || is("--warmup", o.warmup) ||
          is("--threads", o.threads) || is("--carried", o.carried) || is("--rate", o.rate) ||
          is("--resampler", o.resampler) || is("--contrast", o.contrast) || is("--loudness", o.loudness)))
      flamingo::fail("train", "unknown option ", name, '\n', usage);
  }
  return o;
}

std::string rounded(double x, int digits) {
  std::ostringstream text;
  text.precision(digits);
  text << std::fixed << x;
  return text.str();
}

/// Nats a token of pictures' captions, each alone after its picture.
template <class T>
double evaluate(T& trainer, const std::vector<Picture>& pictures, const Features& features, const Backbones& backbones,
                std::span<const std::size_t> members, Sight sight, std::span<const flamingo::half> blank) {
  double sum = 0, tokens = 0;
  for (std::size_t at = 0; at < members.size(); at += 32) {
    const auto some = members.subspan(at, std::min<std::size_t>(32, members.size() - at));
    const auto report = trainer.pass(single_pairs(pictures, features, backbones, some, sight, blank), 0);
    sum += report.loss * report.tokens;
    tokens += report.tokens;
  }
  return sum / tokens;
}

/// The share of pictures whose caption is the likeliest among those of all of `members`.
template <class T>
double named(T& trainer, flamingo::Context<P>& ctx, const std::vector<Picture>& pictures, const Features& features,
             const Backbones& backbones, std::span<const std::size_t> members) {
  Captioner captioner(ctx, backbones, trainer.weights.views);
  const std::vector<std::string> names = names_of(pictures, members);
  double right = 0;
  for (const std::size_t i : members) {
    auto prompt = captioner.prompt({}, seen(pictures, features, i));
    right += rank_of(captioner, prompt, names, pictures[i].caption) == 0;
    captioner.drop_unused_media();
  }
  return right / static_cast<double>(members.size());
}

int run(const Options& o) {
  std::filesystem::create_directories(o.out);
  flamingo::Context<P> ctx(o.threads);
  const Backbones backbones = Backbones::load(o.backbones, flamingo::Held::as_floats);
  const std::vector<Picture> pictures = read_manifest(o.manifest);
  const Features features(ctx, backbones, o.pictures, pictures, variations, o.out / "features.bin");
  const std::vector<char> dropped = near_duplicates(pictures, features, 0.95f);

  constexpr Disturb disturb{.cells = 0.5f, .channels = 0.2f};
  PairStream emoji{&pictures, &features, &backbones, {}, 16, 1, disturb, 11}, clipart = emoji;
  WindowStream windows{&pictures, &features, &backbones, {}, 3, disturb, 13};
  std::map<std::string, std::vector<std::size_t>> by_concept;
  clipart.seed = 12;
  const std::vector<char> is_carried = carried(pictures, o.carried);
  std::vector<std::size_t> all, validation, transfer;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const Picture& p = pictures[i];
    if (p.split == "validation") validation.push_back(i);
    if (p.split != "train" || dropped[i]) continue;
    if (is_carried[i]) {
      transfer.push_back(i);
    } else {
      (p.source == "openclipart" ? clipart : emoji).members.push_back(i);
      by_concept[p.concept_key].push_back(i);
      all.push_back(i);
    }
  }
  for (auto& [key, members] : by_concept) windows.concepts.push_back(std::move(members));
  std::cerr << "pictures: " << emoji.members.size() << " emoji and " << clipart.members.size()
            << " clip art to train on, " << validation.size() << " of validation concepts, " << transfer.size()
            << " of known concepts in another source\n";

  flamingo::OptimizerOptions optimizer{.beta1 = 0.9, .beta2 = 0.98};
  optimizer.group = [&o](const flamingo::Spec& spec) {
    const std::string_view name = spec.name;
    if (name.ends_with("gate")) return flamingo::Group{10, 0};
    return flamingo::Group{name.starts_with("resampler") ? o.resampler : 1.0,
                           spec.role == flamingo::Role::matrix ? 0.1 : 0.0};
  };
  const flamingo::Schedule schedule{
      .peak = o.rate, .warmup = 20, .shape = flamingo::Schedule::Shape::cosine, .steps = o.steps, .floor = 0.05};
  flamingo::Trainer<config, P, LmWeights> trainer(ctx, backbones.lm.views, /*seed=*/1, schedule, optimizer);
  const auto checkpoint = o.out / "checkpoint.safetensors";
  const WarmUp how{.steps = o.warmup, .disturb = disturb};
  Contrast contrast(ctx, pictures, features, backbones, all, how);
  if (std::filesystem::exists(checkpoint)) {
    std::cerr << "going on after step " << flamingo::load_checkpoint(checkpoint, trainer) << '\n';
  } else {
    warm_up(ctx, trainer, contrast, how, {transfer, validation});
    // What was learned is a direction. It has to be heard in a residual stream much larger than a new block's output.
    auto& last = trainer.weights.views.gated.back();
    const auto amplify = [&o](const auto& map) {
      for (std::size_t i = 0; i < map.size(); ++i) map.data[i] *= static_cast<float>(std::sqrt(o.loudness));
    };
    amplify(last.attention.value);
    amplify(last.attention.out);
    last.attention_gate.data[0] = 0.5f;
    flamingo::save_checkpoint(checkpoint, trainer);
  }

  flamingo::io::Image white{config.vision.image, config.vision.image, {}};
  white.rgb.assign(static_cast<std::size_t>(white.width * white.height * 3), 255);
  std::vector<flamingo::half> blank;
  for (const float x : encode(ctx, backbones, std::span(&white, 1))) blank.push_back(flamingo::half(x));

  const std::vector<flamingo::DatasetStream<float>> mixture{
      {"emoji", 1.0, emoji}, {"clipart", 1.0, clipart}, {"windows", 1.0, windows}};
  const long begun = trainer.optimizer.steps();
  std::ofstream log(o.out / "log.jsonl", std::ios::app);
  flamingo::Progress progress(std::cerr, "step", o.steps);
  std::vector<double> recent(mixture.size(), 0);
  while (trainer.optimizer.steps() < o.steps && progress.elapsed() < 60 * o.minutes) {
    const long step = trainer.optimizer.steps() + 1;
    trainer.gradients.clear();
    std::vector<double> losses;
    for (const auto& dataset : mixture) losses.push_back(trainer.pass(dataset.batch(step), dataset.weight).loss);
    // The contrastive loss goes on, with new batches, so that captions do not undo what the warm-up found.
    if (o.contrast > 0)
      contrast.pass(trainer.weights.views, trainer.gradients.views, o.warmup + step, static_cast<float>(o.contrast));
    const double norm = trainer.optimizer.step(ctx, trainer.weights, trainer.gradients, schedule.rate(step));
    for (std::size_t m = 0; m < mixture.size(); ++m)
      recent[m] += (losses[m] - recent[m]) / static_cast<double>(std::min<long>(step - begun, 25));
    progress.report(step,
                    "emoji " + rounded(recent[0], 2) + "  clipart " + rounded(recent[1], 2) + "  windows " +
                        rounded(recent[2], 2) + "  norm " + rounded(norm, 2),
                    begun);
    if (step % 50 == 0 || step == o.steps) flamingo::save_checkpoint(checkpoint, trainer);
    if (step % 60 == 0 || step == o.steps) {
      const auto nats = [&](std::span<const std::size_t> members, Sight sight) {
        return evaluate(trainer, pictures, features, backbones, members, sight, blank);
      };
      flamingo::io::Json::Object line{{"step", step},
                                      {"minutes", progress.elapsed() / 60},
                                      {"emoji", recent[0]},
                                      {"clipart", recent[1]},
                                      {"windows", recent[2]},
                                      {"validation", nats(validation, Sight::real)},
                                      {"validation_shuffled", nats(validation, Sight::shuffled)},
                                      {"validation_blank", nats(validation, Sight::blank)},
                                      {"transfer", nats(transfer, Sight::real)},
                                      {"transfer_shuffled", nats(transfer, Sight::shuffled)},
                                      {"transfer_named", named(trainer, ctx, pictures, features, backbones, transfer)},
                                      {"transfer_found", contrast.retrieval(trainer.weights.views, transfer)}};
      flamingo::io::Json::Array gates;
      for (const auto& gated : trainer.weights.views.gated)
        gates.push_back(
            flamingo::io::Json::Array{std::tanh(gated.attention_gate.data[0]), std::tanh(gated.dense_gate.data[0])});
      line.push_back({"gates", gates});
      log << flamingo::io::Json(line).dump() << std::endl;
      std::cerr << flamingo::io::Json(line).dump() << '\n';
      flamingo::save_connector<config, P>(o.out / ("connector-" + std::to_string(step) + ".safetensors"),
                                          trainer.weights.views, flamingo::io::DType::bf16);
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) try { return run(parse(argc, argv)); } catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
