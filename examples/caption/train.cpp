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
#include <flamingo/train/checkpoints.hpp>
#include <flamingo/train/measures.hpp>
#include <flamingo/train/report.hpp>
#include <flamingo/training.hpp>

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
    "  OUT                  folder for the feature cache, checkpoints, the log (lines of JSON, TensorBoard's events),\n"
    "                       report.html and the trained connector\n"
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
  flamingo::Checkpoints checkpoints(o.out / "checkpoints");
  const auto save = [&] {
    checkpoints.save(trainer.optimizer.steps(),
                     [&](const std::filesystem::path& path) { flamingo::save_checkpoint(path, trainer); });
  };
  const WarmUp how{.steps = o.warmup, .disturb = disturb};
  Contrast contrast(ctx, pictures, features, backbones, all, how);
  if (checkpoints.resume([&](const std::filesystem::path& path) { flamingo::load_checkpoint(path, trainer); })) {
    std::cerr << "going on after step " << trainer.optimizer.steps() << '\n';
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
    save();
  }

  flamingo::io::Image white{config.vision.image, config.vision.image, {}};
  white.rgb.assign(static_cast<std::size_t>(white.width * white.height * 3), 255);
  std::vector<flamingo::half> blank;
  for (const float x : encode(ctx, backbones, std::span(&white, 1))) blank.push_back(flamingo::half(x));

  const std::vector<flamingo::DatasetStream<float>> mixture{
      {"emoji", 1.0, emoji}, {"clipart", 1.0, clipart}, {"windows", 1.0, windows}};
  const long begun = trainer.optimizer.steps();
  flamingo::RunLog log(o.out, begun);
  flamingo::Speed speed(flamingo::measured_peak(ctx));
  constexpr auto trained = static_cast<double>(flamingo::parameter_count<Connector>()),
                 frozen = static_cast<double>(flamingo::parameter_count<Lm>());
  flamingo::Progress progress(std::cerr, "step", o.steps, flamingo::rewrites_lines(STDERR_FILENO));
  std::vector<double> recent(mixture.size(), 0);
  while (trainer.optimizer.steps() < o.steps && progress.elapsed() < 60 * o.minutes) {
    const long step = trainer.optimizer.steps() + 1;
    trainer.gradients.clear();
    flamingo::Measures measures;
    for (const auto& dataset : mixture) {
      const auto pass = trainer.pass(dataset.batch(step), dataset.weight);
      measures.push_back({"loss/" + dataset.name, pass.loss});
      speed.add(pass.rows, flamingo::operations_of(pass.rows, trained, frozen));
    }
    // The contrastive loss goes on, with new batches, so that captions do not undo what the warm-up found.
    if (o.contrast > 0)
      contrast.pass(trainer.weights.views, trainer.gradients.views, o.warmup + step, static_cast<float>(o.contrast));
    measures.push_back({"rate", schedule.rate(step)});
    const double norm = trainer.optimizer.step(ctx, trainer.weights, trainer.gradients, schedule.rate(step));
    for (std::size_t m = 0; m < mixture.size(); ++m)
      recent[m] += (measures[m].value - recent[m]) / static_cast<double>(std::min<long>(step - begun, 25));
    measures.push_back({"gradient norm", norm});
    const flamingo::Measures fast = speed.take();
    measures.insert(measures.end(), fast.begin(), fast.end());
    progress.report(step,
                    "emoji " + rounded(recent[0], 2) + "  clipart " + rounded(recent[1], 2) + "  windows " +
                        rounded(recent[2], 2) + "  norm " + rounded(norm, 2) + "  " + rounded(fast[0].value, 0) +
                        " tokens/s",
                    begun);
    if (step % 50 == 0 || step == o.steps) save();
    if (step % 60 == 0 || step == o.steps) {
      const auto nats = [&](std::span<const std::size_t> members, Sight sight) {
        return evaluate(trainer, pictures, features, backbones, members, sight, blank);
      };
      const flamingo::Measures held_out{
          {"validation/real", nats(validation, Sight::real)},
          {"validation/shuffled", nats(validation, Sight::shuffled)},
          {"validation/blank", nats(validation, Sight::blank)},
          {"transfer/real", nats(transfer, Sight::real)},
          {"transfer/shuffled", nats(transfer, Sight::shuffled)},
          {"transfer share/named", named(trainer, ctx, pictures, features, backbones, transfer)},
          {"transfer share/found", contrast.retrieval(trainer.weights.views, transfer)}};
      const flamingo::Measures gates = flamingo::gates_of<Connector>(ctx, trainer.weights.views);
      measures.insert(measures.end(), held_out.begin(), held_out.end());
      measures.insert(measures.end(), gates.begin(), gates.end());
      progress.end_line();
      for (const auto& [name, value] : held_out) std::cerr << name << ' ' << rounded(value, 3) << "  ";
      std::cerr << '\n';
      flamingo::save_connector<config, P>(o.out / ("connector-" + std::to_string(step) + ".safetensors"),
                                          trainer.weights.views, flamingo::io::DType::bf16);
    }
    log.write(step, measures);
  }
  flamingo::Report("Training of the connector").charts(flamingo::curves_of(log.path())).write(o.out / "report.html");
  return 0;
}

}  // namespace

int main(int argc, char** argv) try { return run(parse(argc, argv)); } catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
