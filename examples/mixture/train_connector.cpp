// Trains the connector over the frozen backbones on the paper's mixture. examples/train runs it; --help tells the
// options.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <type_traits>

#include "few_shot.hpp"
#include "members.hpp"
#include "options.hpp"
#include "trained_lm.hpp"

#include "../caption/warmup.hpp"

#include <flamingo/train/checkpoint.hpp>
#include <flamingo/train/checkpoints.hpp>
#include <flamingo/train/controls.hpp>
#include <flamingo/train/measures.hpp>
#include <flamingo/train/report.hpp>
#include <flamingo/train/trainer.hpp>

namespace {

using namespace mixture;
using caption::Connector;
using caption::Lm;
using caption::P;
using FrozenLm = std::conditional_t<caption::trained.lm, flamingo::Nothing, caption::LmWeights>;
using Trainer = flamingo::Trainer<caption::config, P, FrozenLm, caption::trained>;

std::string rounded(double x, int digits) {
  std::ostringstream text;
  text.precision(digits);
  text << std::fixed << x;
  return text.str();
}

void write_duplicates(const std::filesystem::path& path, const Collection& c, const std::vector<char>& dropped) {
  flamingo::io::AtomicFile file(path);
  for (std::size_t i = 0; i < dropped.size(); ++i)
    if (dropped[i]) file.write(c.pictures[i].path + '\n');
  file.commit();
}

std::vector<char> read_duplicates(const std::filesystem::path& path, const Collection& c, const Features& features) {
  std::ifstream in(path);
  flamingo::check(in.good(), "train_connector", path.string(), ": cannot be opened");
  std::set<std::string> listed;
  for (std::string line; std::getline(in, line);) listed.insert(line);
  std::vector<char> dropped;
  for (std::size_t i = 0; i < c.pictures.size(); ++i)
    dropped.push_back(features.variations(i) == 0 || listed.contains(c.pictures[i].path));
  return dropped;
}

std::vector<float> blank_features(flamingo::Context<P>& ctx, const caption::Backbones& backbones) {
  constexpr int side = caption::config.vision.image;
  flamingo::io::Image white{side, side, {}};
  white.rgb.assign(static_cast<std::size_t>(side * side * 3), 255);
  return caption::encode(ctx, backbones, std::span(&white, 1));
}

/// Held-out documents of each dataset, and what is asked of the model beside them.
struct HeldOut {
  std::vector<std::pair<std::string, Batch>> batches;
  const std::vector<Class>&classes, &trained;  ///< folders held out, and some that are trained on
  const std::vector<Class>& named;             ///< asked for by name, without demonstrations
  std::vector<float> blank;
  int episodes;
  bool all_shots;

  flamingo::Measures look(flamingo::Context<P>& ctx, Trainer& trainer, const caption::Backbones& backbones,
                          const Features& features) const {
    flamingo::Measures all;
    for (const auto& [name, batch] : batches) {
      const auto losses = flamingo::control_losses(trainer, batch, std::span<const float>(blank));
      all.push_back({"held out " + name + "/real", losses.real});
      all.push_back({"held out " + name + "/blank", losses.blank});
      all.push_back({"held out " + name + "/shuffled", losses.shuffled});
    }
    FewShot few_shot(ctx, backbones, trainer.weights.views, lm_of(trainer));
    if (!named.empty())
      all.push_back({"named/among " + std::to_string(named.size()), few_shot.naming(named, features)});
    for (const int shots : {1, 2, 4, 8}) {
      if (!enough(classes, shots) || (!all_shots && (shots == 2 || shots == 4))) continue;
      const std::string of = std::to_string(shots) + " shots";
      const auto share = [&](bool made_up, bool shuffled) {
        return few_shot.accuracy(classes, features,
                                 {.shots = shots, .made_up = made_up, .shuffled = shuffled, .episodes = episodes});
      };
      all.push_back({"5 ways, made-up words/" + of, share(true, false)});
      all.push_back({"5 ways, names/" + of, share(false, false)});
      all.push_back({"5 ways, nearest prototype/" + of,
                     prototype_accuracy(classes, features, {.shots = shots, .episodes = episodes})});
      if (enough(trained, shots))
        all.push_back({"5 ways, made-up words/" + of + ", trained folders",
                       few_shot.accuracy(trained, features, {.shots = shots, .episodes = episodes})});
      if (shots > 1) all.push_back({"5 ways, made-up words/" + of + ", labels shuffled", share(true, true)});
    }
    return all;
  }

 private:
  /// Whether five classes have so many pictures, and two to ask for.
  static bool enough(const std::vector<Class>& of, int shots) {
    return std::ranges::count_if(of, [&](const Class& c) { return static_cast<int>(c.members.size()) >= shots + 2; }) >=
           5;
  }
};

int run(const Options& o) {
  const Recipe& recipe = o.recipe;
  std::filesystem::create_directories(o.out);
  flamingo::Context<P> ctx(o.threads);
  ctx.rounds_to_bf16 = true;
  const auto backbones = caption::Backbones::load(o.backbones, flamingo::Held::as_bf16);
  const Collection collection = Collection::read(o.data);
  const Features features(ctx, backbones, o.data, collection.items(recipe.variations), o.out / "features.bin");
  const std::filesystem::path duplicates = o.out / "duplicates.txt";
  const std::vector<char> dropped = o.listed ? read_duplicates(duplicates, collection, features)
                                             : near_duplicates(ctx, collection.pictures, features, 0.95f);
  if (!o.listed) write_duplicates(duplicates, collection, dropped);
  if (o.prepare) return 0;

  const Members members = members_of(collection, features, dropped);
  const auto needs = [](const char* name, const Share& share, std::size_t count) {
    flamingo::check(count > 0 || !share.asked(), "train_connector", "there are no ", name,
                    " to train on, expected some: ", share.documents, " are asked for an update");
  };
  needs("pages", recipe.pages, members.pages.size());
  needs("noisy pairs", recipe.noisy, members.noisy.size());
  needs("clean pairs", recipe.clean, members.clean.size());
  needs("animations", recipe.animations, members.animations.size());
  const Sources sources{&collection, &features, &backbones, &recipe};
  const Disturbed disturb{recipe.dropped_cells, recipe.dropped_channels};
  const std::uint64_t seeds = 1000 * (recipe.seed - 1);  // what the held-out documents are is the same for all
  const PairStream noisy{sources, members.noisy, recipe.noisy.documents, seeds + 11, disturb},
      clean{sources, members.clean, recipe.clean.documents, seeds + 12, disturb};
  const PageStream pages{sources, members.pages, recipe.pages.documents, seeds + 13, disturb};
  const AnimationStream animations{sources, members.animations, recipe.animations.documents, seeds + 14, disturb};
  const EpisodeStream episodes{
      sources, classes_of(collection.pictures, dropped), members.noisy, recipe.episodes.documents, seeds + 15, disturb};
  if (recipe.episodes.asked()) episodes.check_classes();
  std::size_t classes = 0;
  for (const auto& [kind, all] : episodes.classes) classes += all.size();
  std::cerr << members.noisy.size() << " noisy and " << members.clean.size() << " clean pairs, " << members.pages.size()
            << " pages, " << members.animations.size() << " animations, " << classes << " classes to train on; "
            << members.held_pairs.size() << " pairs, " << members.held_pages.size() << " pages, "
            << members.held_animations.size() << " animations, " << members.held_classes.size()
            << " folders held out\n";

  HeldOut held_out{{},
                   members.held_classes,
                   of_kind(episodes.classes, "folder"),
                   members.named,
                   blank_features(ctx, backbones),
                   o.episodes,
                   o.all_shots != 0};
  const auto hold_out = [&held_out](const char* name, const auto& stream, int documents) {
    if (!stream.members.empty()) held_out.batches.push_back({name, undisturbed(stream, documents, 1)});
  };
  const auto most = [](const std::vector<std::size_t>& of, std::size_t n) {
    return static_cast<int>(std::min(of.size(), n));
  };
  hold_out("noisy pairs", PairStream{sources, members.held_pairs, 1, 21, {}}, most(members.held_pairs, 80));
  hold_out("clean pairs", PairStream{sources, members.held_clean, 1, 22, {}}, most(members.held_clean, 48));
  hold_out("pages", PageStream{sources, members.held_pages, 1, 23, {}}, 8);
  hold_out("animations", AnimationStream{sources, members.held_animations, 1, 24, {}}, 16);

  flamingo::OptimizerOptions optimizer{.beta1 = 0.9, .beta2 = 0.98};
  optimizer.group = [&recipe](const flamingo::Spec& spec) {
    const std::string_view name = spec.name;
    if (name.ends_with("gate")) return flamingo::Group{recipe.gate_rate, 0};
    return flamingo::Group{name.starts_with("resampler") ? recipe.resampler_rate
                           : name.starts_with("lm.")     ? recipe.lm_rate
                                                         : 1.0,
                           spec.role == flamingo::Role::matrix ? recipe.decay : 0.0};
  };
  const long turns = recipe.turns(), updates = recipe.steps * turns;
  const flamingo::Schedule schedule{.peak = recipe.rate,
                                    .warmup = recipe.rate_warmup * turns,
                                    .shape = flamingo::Schedule::Shape::cosine,
                                    .steps = updates,
                                    .floor = recipe.floor};
  auto trainer = trainer_of<Trainer>(ctx, backbones, o.backbones, recipe.seed, schedule, optimizer);
  flamingo::Checkpoints checkpoints(o.out / "checkpoints");
  const auto save = [&] {
    checkpoints.save(trainer.optimizer.steps(),
                     [&](const std::filesystem::path& path) { flamingo::save_checkpoint(path, trainer); });
  };
  const auto save_as = [&](const std::string& name) {
    flamingo::save_connector<caption::config, P>(o.out / name, trainer.weights.views, flamingo::io::DType::bf16);
  };
  const std::vector<caption::Picture> named = named_pictures(collection);
  caption::WarmUp how{.steps = recipe.warmup,
                      .pairs = recipe.warmup_pairs,
                      .disturb = {.cells = recipe.dropped_cells, .channels = recipe.dropped_channels},
                      .as_words = recipe.word > 0,
                      .seed = seeds + 21};
  std::vector<std::size_t> contrasted;  // of the pairs that are trained on
  if (recipe.noisy.asked()) contrasted = members.noisy;
  if (recipe.clean.asked())
    for (const std::size_t i : members.clean)
      if (collection.pictures[i].source != "gimp") contrasted.push_back(i);
  if (checkpoints.resume([&](const std::filesystem::path& path) { flamingo::load_checkpoint(path, trainer); })) {
    std::cerr << "going on after step " << trainer.optimizer.steps() << '\n';
  } else if (recipe.warmup > 0 && !contrasted.empty()) {
    caption::Contrast contrast(ctx, named, features, backbones, contrasted, how);
    caption::warm_up(ctx, trainer, contrast, how, {members.held_pairs});
    // What was learned is a direction. It has to be heard in a residual stream much larger than a new block's output.
    auto& last = trainer.weights.views.gated.back();
    const double loudness = recipe.loudness * open_gate(last, recipe.last_gate);
    const auto amplify = [loudness](const auto& map) {
      for (std::size_t i = 0; i < map.size(); ++i) map.data[i] *= static_cast<float>(std::sqrt(loudness));
    };
    amplify(last.attention.value);
    amplify(last.attention.out);
    if (recipe.word > 0) {  // a picture as a word of the prompt
      auto& first = trainer.weights.views.gated.front();
      const auto times = static_cast<float>(recipe.word * caption::stream_in_words * contrast.words_over_said() /
                                            std::tanh(0.5) * open_gate(first, 0.5));
      for (std::size_t i = 0; i < first.attention.out.size(); ++i) first.attention.out.data[i] *= times;
    }
    save();
  }
  how.pairs = recipe.contrast_pairs;
  caption::Contrast contrast(ctx, named, features, backbones, contrasted, how);

  const auto stream = [](const char* name, const Share& share, auto batches) {
    return flamingo::DatasetStream<float>{name, share.weight, [batches](long step) mutable { return batches(step); }};
  };
  std::vector<flamingo::DatasetStream<float>> mixture;
  const auto add = [&](const char* name, const Share& share, const auto& batches) {
    if (share.asked()) mixture.push_back(stream(name, share, batches));
  };
  add("pages", recipe.pages, pages);
  add("episodes", recipe.episodes, episodes);
  add("noisy pairs", recipe.noisy, noisy);
  add("clean pairs", recipe.clean, clean);
  add("animations", recipe.animations, animations);
  const long begun = trainer.optimizer.steps();
  flamingo::RunLog log(o.out, begun);
  flamingo::Speed speed(flamingo::measured_peak(ctx));
  constexpr auto trained = static_cast<double>(flamingo::parameter_count<Trainer::Layer>()),
                 frozen = caption::trained.lm ? 0 : static_cast<double>(flamingo::parameter_count<Lm>());
  flamingo::Progress progress(std::cerr, "step", updates, flamingo::rewrites_lines(STDERR_FILENO));
  std::vector<double> recent(mixture.size(), 0);
  while (trainer.optimizer.steps() < updates && progress.elapsed() < 60 * o.minutes) {
    const long step = trainer.optimizer.steps() + 1;
    trainer.gradients.clear();
    flamingo::Measures measures;
    std::string said;
    const long turn = (step - 1) % turns, batch = (step - 1) / turns + 1;
    for (std::size_t m = 0; m < mixture.size(); ++m) {
      if (turns > 1 && static_cast<long>(m) != turn) continue;
      const auto pass = trainer.pass(mixture[m].batch(batch), mixture[m].weight);
      measures.push_back({"loss/" + mixture[m].name, pass.loss});
      speed.add(pass.rows, flamingo::operations_of(pass.rows, trained, frozen));
      recent[m] += (pass.loss - recent[m]) / static_cast<double>(std::min<long>(step - begun, 25));
      said += mixture[m].name + ' ' + rounded(recent[m], 2) + "  ";
    }
    // The contrastive loss goes on, with new batches, so that captions do not undo what the warm-up found.
    if (recipe.contrast > 0 && !contrasted.empty() && turn == 0)
      contrast.pass(trainer.weights.views, trainer.gradients.views, recipe.warmup + batch,
                    static_cast<float>(recipe.contrast));
    measures.push_back({"rate", schedule.rate(step)});
    measures.push_back(
        {"gradient norm", trainer.optimizer.step(ctx, trainer.weights, trainer.gradients, schedule.rate(step))});
    const flamingo::Measures fast = speed.take();
    measures.insert(measures.end(), fast.begin(), fast.end());
    progress.report(step, said + rounded(fast[0].value, 0) + " tokens/s", begun);
    if (step % o.every == 0 || step == updates) {
      const flamingo::Measures found = held_out.look(ctx, trainer, backbones, features);
      const flamingo::Measures gates = flamingo::gates_of<Connector>(ctx, trainer.weights.views);
      measures.insert(measures.end(), found.begin(), found.end());
      measures.insert(measures.end(), gates.begin(), gates.end());
      progress.end_line();
      for (const auto& [name, value] : found) std::cerr << name << ' ' << rounded(value, 3) << "  ";
      std::cerr << '\n';
      save_as("connector-" + std::to_string(step) + ".safetensors");
    }
    log.write(step, measures);
    if (step % o.saves == 0 || step == updates || progress.elapsed() >= 60 * o.minutes) save();
  }
  flamingo::Report("Training of the connector").charts(flamingo::curves_of(log.path())).write(o.out / "report.html");
  if (trainer.optimizer.steps() >= updates) {
    save_lm(o.out / "lm.safetensors", trainer);
    save_as("connector.safetensors");
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc == 2 && std::string_view(argv[1]) == "--help") {
    std::cout << usage;
    return 0;
  }
  return run(parse(argc, argv));
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
