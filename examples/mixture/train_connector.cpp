// Trains the connector over the frozen backbones on the paper's mixture. examples/train runs it; --help tells the
// options.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

#include "few_shot.hpp"
#include "options.hpp"

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
using caption::LmWeights;
using caption::P;
using Trainer = flamingo::Trainer<caption::config, P, LmWeights>;

std::string rounded(double x, int digits) {
  std::ostringstream text;
  text.precision(digits);
  text << std::fixed << x;
  return text.str();
}

/// Which things each stream draws, and which are looked at beside it.
struct Members {
  std::vector<std::size_t> noisy, clean, pages, animations;                      // to train on
  std::vector<std::size_t> held_pairs, held_clean, held_pages, held_animations;  // to validate
  std::vector<Class> held_classes;                                               // folders to choose by
};

Members members_of(const Collection& c, const Features& features, const std::vector<char>& dropped) {
  Members m;
  std::map<std::string, Class> folders;
  for (std::size_t i = 0; i < c.pictures.size(); ++i) {
    const Picture& p = c.pictures[i];
    if (dropped[i]) continue;
    if (p.stream == "noisy") m.noisy.push_back(i);
    if (p.stream == "clean") m.clean.push_back(i);
    if (p.split == "validation" && !p.captions.empty())
      (p.source == "openclipart" || p.source == "tanuki" ? m.held_pairs : m.held_clean).push_back(i);
    if (p.split == "folder_validation" && !p.classes.empty())
      for (const std::string& k : p.classes)
        if (k.starts_with("folder:")) {
          folders[k].name = k.substr(7);
          folders[k].members.push_back(i);
        }
  }
  for (auto& [key, folder] : folders) m.held_classes.push_back(std::move(folder));
  const auto readable = [&](const std::string& path) { return features.variations(features.place(path)) > 0; };
  for (std::size_t i = 0; i < c.pages.size(); ++i) {
    const auto media = c.pages[i].document.media();
    if (media.empty() || !std::ranges::all_of(media, [&](const auto* part) { return readable(part->frames[0]); }))
      continue;
    if (c.pages[i].split == "train") m.pages.push_back(i);
    if (c.pages[i].split == "validation") m.held_pages.push_back(i);
  }
  for (std::size_t i = 0; i < c.animations.size(); ++i) {
    if (!std::ranges::all_of(c.animations[i].frames, readable)) continue;
    if (c.animations[i].split == "train") m.animations.push_back(i);
    if (c.animations[i].split == "validation") m.held_animations.push_back(i);
  }
  return m;
}

/// "train/concept" pictures as the warm-up reads them: each with its shortest name.
std::vector<caption::Picture> named_pictures(const Collection& c) {
  std::vector<caption::Picture> named;
  for (const Picture& p : c.pictures)
    named.push_back({p.path, p.source, p.captions.empty() ? "" : p.captions.front(), p.concept_key, p.split});
  return named;
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
  std::vector<float> blank;

  flamingo::Measures look(flamingo::Context<P>& ctx, Trainer& trainer, const caption::Backbones& backbones,
                          const Features& features) const {
    flamingo::Measures all;
    for (const auto& [name, batch] : batches) {
      const auto losses = flamingo::control_losses(trainer, batch, std::span<const float>(blank));
      all.push_back({"held out " + name + "/real", losses.real});
      all.push_back({"held out " + name + "/blank", losses.blank});
      all.push_back({"held out " + name + "/shuffled", losses.shuffled});
    }
    FewShot few_shot(ctx, backbones, trainer.weights.views);
    for (const int shots : shown()) {
      const std::string of = std::to_string(shots) + " shots";
      const auto share = [&](bool made_up, bool shuffled) {
        return few_shot.accuracy(classes, features, {.shots = shots, .made_up = made_up, .shuffled = shuffled});
      };
      all.push_back({"5 ways, made-up words/" + of, share(true, false)});
      all.push_back({"5 ways, names/" + of, share(false, false)});
      all.push_back({"5 ways, nearest prototype/" + of, prototype_accuracy(classes, features, {.shots = shots})});
      all.push_back({"5 ways, made-up words/" + of + ", trained folders",
                     few_shot.accuracy(trained, features, {.shots = shots})});
      if (shots > 1) all.push_back({"5 ways, made-up words/" + of + ", labels shuffled", share(true, true)});
    }
    return all;
  }

 private:
  /// 1 and 8 pictures of each class, as far as five classes have as many.
  std::vector<int> shown() const {
    std::vector<int> shots;
    for (const int k : {1, 8})
      if (std::ranges::count_if(classes, [k](const Class& c) { return static_cast<int>(c.members.size()) >= k + 2; }) >=
          5)
        shots.push_back(k);
    return shots;
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
  const PairStream noisy{sources, members.noisy, recipe.noisy.documents, 11, disturb},
      clean{sources, members.clean, recipe.clean.documents, 12, disturb};
  const PageStream pages{sources, members.pages, recipe.pages.documents, 13, disturb};
  const AnimationStream animations{sources, members.animations, recipe.animations.documents, 14, disturb};
  const EpisodeStream episodes{
      sources, classes_of(collection.pictures, dropped), members.noisy, recipe.episodes.documents, 15, disturb};
  if (recipe.episodes.asked()) episodes.check_classes();
  std::size_t classes = 0;
  for (const auto& [kind, all] : episodes.classes) classes += all.size();
  std::cerr << members.noisy.size() << " noisy and " << members.clean.size() << " clean pairs, " << members.pages.size()
            << " pages, " << members.animations.size() << " animations, " << classes << " classes to train on; "
            << members.held_pairs.size() << " pairs, " << members.held_pages.size() << " pages, "
            << members.held_animations.size() << " animations, " << members.held_classes.size()
            << " folders held out\n";

  HeldOut held_out{{}, members.held_classes, of_kind(episodes.classes, "folder"), blank_features(ctx, backbones)};
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
    return flamingo::Group{name.starts_with("resampler") ? recipe.resampler_rate : 1.0,
                           spec.role == flamingo::Role::matrix ? recipe.decay : 0.0};
  };
  const flamingo::Schedule schedule{.peak = recipe.rate,
                                    .warmup = recipe.rate_warmup,
                                    .shape = flamingo::Schedule::Shape::cosine,
                                    .steps = recipe.steps,
                                    .floor = recipe.floor};
  Trainer trainer(ctx, backbones.lm.views, /*seed=*/1, schedule, optimizer);
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
                      .as_words = recipe.word > 0};
  std::vector<std::size_t> contrasted = members.noisy;
  for (const std::size_t i : members.clean)
    if (collection.pictures[i].source != "gimp") contrasted.push_back(i);
  if (checkpoints.resume([&](const std::filesystem::path& path) { flamingo::load_checkpoint(path, trainer); })) {
    std::cerr << "going on after step " << trainer.optimizer.steps() << '\n';
  } else {
    caption::Contrast contrast(ctx, named, features, backbones, contrasted, how);
    caption::warm_up(ctx, trainer, contrast, how, {members.held_pairs});
    // What was learned is a direction. It has to be heard in a residual stream much larger than a new block's output.
    auto& last = trainer.weights.views.gated.back();
    const auto amplify = [&recipe](const auto& map) {
      for (std::size_t i = 0; i < map.size(); ++i) map.data[i] *= static_cast<float>(std::sqrt(recipe.loudness));
    };
    amplify(last.attention.value);
    amplify(last.attention.out);
    last.attention_gate.data[0] = static_cast<float>(recipe.last_gate);
    if (recipe.word > 0) {  // a picture as a word of the prompt
      auto& first = trainer.weights.views.gated.front();
      first.attention_gate.data[0] = 0.5f;
      const auto times =
          static_cast<float>(recipe.word * caption::stream_in_words * contrast.words_over_said() / std::tanh(0.5));
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
  constexpr auto trained = static_cast<double>(flamingo::parameter_count<Connector>()),
                 frozen = static_cast<double>(flamingo::parameter_count<Lm>());
  flamingo::Progress progress(std::cerr, "step", recipe.steps, flamingo::rewrites_lines(STDERR_FILENO));
  std::vector<double> recent(mixture.size(), 0);
  while (trainer.optimizer.steps() < recipe.steps && progress.elapsed() < 60 * o.minutes) {
    const long step = trainer.optimizer.steps() + 1;
    trainer.gradients.clear();
    flamingo::Measures measures;
    std::string said;
    for (std::size_t m = 0; m < mixture.size(); ++m) {
      const auto pass = trainer.pass(mixture[m].batch(step), mixture[m].weight);
      measures.push_back({"loss/" + mixture[m].name, pass.loss});
      speed.add(pass.rows, flamingo::operations_of(pass.rows, trained, frozen));
      recent[m] += (pass.loss - recent[m]) / static_cast<double>(std::min<long>(step - begun, 25));
      said += mixture[m].name + ' ' + rounded(recent[m], 2) + "  ";
    }
    // The contrastive loss goes on, with new batches, so that captions do not undo what the warm-up found.
    if (recipe.contrast > 0)
      contrast.pass(trainer.weights.views, trainer.gradients.views, recipe.warmup + step,
                    static_cast<float>(recipe.contrast));
    measures.push_back({"rate", schedule.rate(step)});
    measures.push_back(
        {"gradient norm", trainer.optimizer.step(ctx, trainer.weights, trainer.gradients, schedule.rate(step))});
    const flamingo::Measures fast = speed.take();
    measures.insert(measures.end(), fast.begin(), fast.end());
    progress.report(step, said + rounded(fast[0].value, 0) + " tokens/s", begun);
    if (step % o.every == 0 || step == recipe.steps) {
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
    if (step % o.saves == 0 || step == recipe.steps || progress.elapsed() >= 60 * o.minutes) save();
  }
  flamingo::Report("Training of the connector").charts(flamingo::curves_of(log.path())).write(o.out / "report.html");
  if (trainer.optimizer.steps() >= recipe.steps) save_as("connector.safetensors");
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
