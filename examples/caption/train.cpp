// Trains the connector. examples/train runs it; --help tells the options.
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>

#include "batches.hpp"
#include "warmup.hpp"

#include <flamingo/cpu.hpp>
#include <flamingo/train/checkpoint.hpp>

namespace {

using namespace caption;

struct Options {
  std::filesystem::path backbones, pictures, manifest, out;
  double minutes = 60;
  long steps = 800;
  int threads = 0;
  double rate = 7e-4;
  long warmup = 150;
};

constexpr const char* usage =
    "usage: train BACKBONES PICTURES MANIFEST OUT [--minutes N] [--steps N] [--threads N] [--rate X] [--warmup N]\n"
    "  BACKBONES, PICTURES  folders filled by examples/data/fetch\n"
    "  MANIFEST             made by examples/data/manifest.py\n"
    "  OUT                  folder for the feature cache, checkpoints, the log and the trained connector\n"
    "  --minutes N          stop after N minutes, wherever it is; run again to go on (default 60)\n"
    "  --steps N            length of the schedule (default 800)\n";

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
    if (name == "--minutes")
      o.minutes = value;
    else if (name == "--steps")
      o.steps = static_cast<long>(value);
    else if (name == "--threads")
      o.threads = static_cast<int>(value);
    else if (name == "--warmup")
      o.warmup = static_cast<long>(value);
    else if (name == "--rate")
      o.rate = value;
    else
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

int run(const Options& o) {
  std::filesystem::create_directories(o.out);
  flamingo::Context<P> ctx(o.threads);
  const Backbones backbones = Backbones::load(o.backbones, flamingo::Held::as_floats);
  const std::vector<Picture> pictures = read_manifest(o.manifest);
  const Features features(ctx, backbones, o.pictures, pictures, variations, o.out / "features.bin");
  const std::vector<char> dropped = near_duplicates(pictures, features, 0.95f);

  std::map<std::string, int> emoji_concepts;
  for (const Picture& p : pictures)
    if (p.split == "train" && p.source != "openclipart") ++emoji_concepts[p.concept_key];
  PairStream emoji{&pictures, &features, &backbones, {}, 4, 4, 0.3f, 11}, clipart = emoji;
  WindowStream windows{&pictures, &features, &backbones, {}, 4, 0.3f, 13};
  std::map<std::string, std::vector<std::size_t>> by_concept;
  clipart.seed = 12;
  std::vector<std::size_t> validation, transfer;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const Picture& p = pictures[i];
    if (p.split == "validation") validation.push_back(i);
    if (p.split != "train" || dropped[i]) continue;
    if (is_carried(p) && emoji_concepts.count(p.concept_key)) {
      transfer.push_back(i);
    } else {
      (p.source == "openclipart" ? clipart : emoji).members.push_back(i);
      by_concept[p.concept_key].push_back(i);
    }
  }
  for (auto& [key, members] : by_concept) windows.concepts.push_back(std::move(members));
  std::cerr << "pictures: " << emoji.members.size() << " emoji and " << clipart.members.size()
            << " clip art to train on, " << validation.size() << " of validation concepts, " << transfer.size()
            << " of known concepts in another source\n";

  flamingo::OptimizerOptions optimizer{.beta1 = 0.9, .beta2 = 0.98};
  optimizer.group = [](const flamingo::Spec& spec) {
    const std::string_view name = spec.name;
    if (name.ends_with("gate")) return flamingo::Group{10, 0};
    return flamingo::Group{name.starts_with("resampler") ? 0.5 : 1.0, spec.role == flamingo::Role::matrix ? 0.1 : 0.0};
  };
  flamingo::Trainer<config, P, LmWeights> trainer(
      ctx, backbones.lm.views, /*seed=*/1,
      {.peak = o.rate, .warmup = 40, .shape = flamingo::Schedule::Shape::cosine, .steps = o.steps, .floor = 0.05},
      optimizer);
  const auto checkpoint = o.out / "checkpoint.safetensors";
  if (std::filesystem::exists(checkpoint))
    std::cerr << "going on after step " << flamingo::load_checkpoint(checkpoint, trainer) << '\n';
  if (trainer.optimizer.steps() == 0) {
    std::vector<std::size_t> all = emoji.members;
    all.insert(all.end(), clipart.members.begin(), clipart.members.end());
    warm_up(ctx, trainer, pictures, features, backbones, all, o.warmup, 128);
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
    const auto report = trainer.update(mixture);
    const long step = trainer.optimizer.steps();
    for (std::size_t m = 0; m < mixture.size(); ++m)
      recent[m] += (report.datasets[m].loss - recent[m]) / static_cast<double>(std::min<long>(step - begun, 25));
    progress.report(step,
                    "emoji " + rounded(recent[0], 2) + "  clipart " + rounded(recent[1], 2) + "  windows " +
                        rounded(recent[2], 2) + "  norm " + rounded(report.gradient_norm, 2),
                    begun);
    if (step % 100 == 0 || step == o.steps) flamingo::save_checkpoint(checkpoint, trainer);
    if (step % 250 == 0 || step == o.steps) {
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
                                      {"transfer_shuffled", nats(transfer, Sight::shuffled)}};
      flamingo::io::Json::Array gates;
      for (const auto& gated : trainer.weights.views.gated)
        gates.push_back(
            flamingo::io::Json::Array{std::tanh(gated.attention_gate.data[0]), std::tanh(gated.dense_gate.data[0])});
      line.push_back({"gates", gates});
      log << flamingo::io::Json(line).dump() << std::endl;
      std::cerr << flamingo::io::Json(line).dump() << '\n';
      flamingo::save_weights<Connector>(o.out / ("connector-" + std::to_string(step) + ".safetensors"),
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
