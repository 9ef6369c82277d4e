// Pretrains a small NFNet and a small BERT on captioned pictures, from nothing, and looks what pictures and texts that
// were held out find. examples/pretrain/contrastive runs it; without arguments it tells its options.
#include <cstdlib>
#include <iostream>

#include "contrastive_model.hpp"
#include "contrastive_pictures.hpp"

#include <flamingo/eval/embed.hpp>
#include <flamingo/eval/nearest_picture.hpp>
#include <flamingo/eval/zero_shot.hpp>
#include <flamingo/train/contrastive.hpp>

namespace {

using namespace contrastive;
using flamingo::Mixing;
using Trainer = flamingo::ContrastiveTrainer<Net, P>;
using Json = flamingo::io::Json;

struct Options {
  std::filesystem::path pictures, manifest, out;
  Mixing mixing = Mixing::accumulation;
  long seen = 300000;  ///< pictures, counted each time
  int pairs = 64, chunk = 0, threads = 1;
  std::uint64_t seed = 1;
  double rate = 2e-3, warmup = 0.05, decay = 0, emoji = 1, augment = 1;
  bool validation = false;
};

constexpr const char* usage =
    "usage: pretrain_contrastive PICTURES MANIFEST OUT [OPTION VALUE]...\n"
    "  PICTURES      folder filled by examples/data/fetch pictures\n"
    "  MANIFEST      made by examples/data/manifest.py\n"
    "  OUT           folder for the pixels, checkpoints and trained encoders\n"
    "  --mixing M    of the two datasets: accumulation, round_robin or merged (default accumulation)\n"
    "  --seen N      pictures to train on, counted each time one is seen (default 300000)\n"
    "  --pairs N     a dataset's batch (default 64)\n"
    "  --chunk N     pairs encoded at a time, 0: all (default 0)\n"
    "  --seed N      (default 1)\n"
    "  --rate X      peak of Adam's rate, which falls to 0 in a straight line (default 2e-3)\n"
    "  --warmup X    share of the updates before that peak (default 0.05)\n"
    "  --decay X     of all matrices, AdamW's (default 0)\n"
    "  --augment X   how far pictures are moved, scaled and coloured (default 1)\n"
    "  --emoji X     weight of the emoji's loss, the drawings' being 1 (default 1)\n"
    "  --threads N   (default 1)\n"
    "  --part P      what is looked at in the end: test or validation (default test)\n";

Options parse(int argc, char** argv) {
  Options o;
  flamingo::check(argc >= 4, "contrastive", usage);
  o.pictures = argv[1];
  o.manifest = argv[2];
  o.out = argv[3];
  for (int i = 4; i < argc; i += 2) {
    const std::string_view name = argv[i];
    flamingo::check(i + 1 < argc, "contrastive", name, " has no value\n", usage);
    const std::string_view text = argv[i + 1];
    const double value = std::strtod(argv[i + 1], nullptr);
    const auto is = [&](const char* option, auto& field) {
      if (name != option) return false;
      field = static_cast<std::remove_reference_t<decltype(field)>>(value);
      return true;
    };
    const auto one_of = [&](std::initializer_list<std::string_view> choices) {
      const auto at = std::find(choices.begin(), choices.end(), text);
      flamingo::check(at != choices.end(), "contrastive", name, " cannot be ", text, '\n', usage);
      return static_cast<int>(at - choices.begin());
    };
    if (name == "--mixing")
      o.mixing = static_cast<Mixing>(one_of({"accumulation", "round_robin", "merged"}));
    else if (name == "--part")
      o.validation = one_of({"test", "validation"}) == 1;
    else if (!(is("--seen", o.seen) || is("--pairs", o.pairs) || is("--chunk", o.chunk) || is("--seed", o.seed) ||
               is("--rate", o.rate) || is("--warmup", o.warmup) || is("--emoji", o.emoji) || is("--decay", o.decay) ||
               is("--augment", o.augment) || is("--threads", o.threads)))
      flamingo::fail("contrastive", "unknown option ", name, '\n', usage);
  }
  return o;
}

Json::Object told(const flamingo::Recall& r) { return {{"at_1", r.at_1}, {"at_5", r.at_5}, {"at_10", r.at_10}}; }

/// What the held-out pictures of a part and their captions find of each other, and what is found by chance and by raw
/// pixels: there a text is as near as the nearest training picture of its concept, or of an unknown concept the nearest
/// whose caption shares a word with it.
Json::Object found(flamingo::Context<P>& ctx, const Trainer& trainer, const std::vector<Picture>& pictures,
                   std::span<const std::uint8_t> pixels, const WordPieces& words, Part part) {
  const std::vector<std::size_t> members = members_of(pictures, part);
  std::vector<float> rows, known;
  std::vector<int> labels, known_labels;
  std::vector<std::string> captions;
  std::vector<std::vector<int>> texts;
  for (const std::size_t i : members) {
    append_plain(pixels.subspan(i * bytes_of_picture, bytes_of_picture), rows);
    labels.push_back(static_cast<int>(labels.size()));
    captions.push_back(pictures[i].caption);
    texts.push_back(words.encode(pictures[i].caption, config.text.context));
  }
  for (const std::size_t i : members_of(pictures, Part::train))
    for (std::size_t n = 0; n < members.size(); ++n)
      if (part == Part::unknown ? share_a_word(pictures[i].caption, captions[n])
                                : pictures[i].concept_key == pictures[members[n]].concept_key) {
        append_plain(pixels.subspan(i * bytes_of_picture, bytes_of_picture), known);
        known_labels.push_back(labels[n]);
      }
  const auto& w = trainer.weights.views;
  constexpr int J = Net::J, L = static_cast<int>(bytes_of_picture);
  const auto seen = flamingo::embed_pictures<Net>(ctx, w, std::span<const float>(rows), grids_of(labels.size()));
  const auto read = flamingo::embed_texts<Net>(ctx, w, texts);
  std::vector<std::vector<int>> sentences;
  for (const std::string& text : flamingo::prompts(captions, templates()))
    sentences.push_back(words.encode(text, config.text.context));
  const auto classes = flamingo::class_embeddings<float>(flamingo::embed_texts<Net>(ctx, w, sentences),
                                                         static_cast<int>(templates().size()), J);
  const auto pixel_scores =
      flamingo::nearest_picture_scores<P>(ctx, rows, known, known_labels, static_cast<int>(labels.size()), L);
  const auto by_pixels = [&](std::size_t q, std::size_t a) { return pixel_scores[q * labels.size() + a]; };
  const auto by_cosine = flamingo::cosines<float>(seen, read, J);
  // What some of the pictures find among all texts.
  const auto of = [&](auto&& among) {
    std::vector<int> questions;
    for (std::size_t n = 0; n < members.size(); ++n)
      if (among(pictures[members[n]])) questions.push_back(labels[n]);
    const auto asked = [&](const auto& score) {
      return told(flamingo::recall(questions, labels, [&](std::size_t q, std::size_t a) {
        return score(static_cast<std::size_t>(questions[q]), a);
      }));
    };
    return Json::Object{{"pictures", static_cast<double>(questions.size())},
                        {"texts_by_pictures", asked(by_cosine)},
                        {"nearest_pixels", asked(by_pixels)}};
  };
  const auto both = flamingo::retrieval<float>(seen, labels, read, labels, J);
  return {{"pictures", static_cast<double>(labels.size())},
          {"texts_by_pictures", told(both.texts)},
          {"pictures_by_texts", told(both.pictures)},
          {"zero_shot", told(flamingo::classify<float>(seen, labels, classes, J))},
          {"chance", told(flamingo::chance(labels, labels))},
          {"nearest_pixels", told(flamingo::recall(labels, labels, by_pixels))},
          {"nearest_pixels_by_texts",
           told(flamingo::recall(labels, labels, [&](std::size_t q, std::size_t a) { return by_pixels(a, q); }))},
          {"emoji", of([](const Picture& p) { return p.emoji(); })},
          {"drawings", of([](const Picture& p) { return !p.emoji(); })}};
}

int run(const Options& o) {
  std::filesystem::create_directories(o.out);
  std::vector<Picture> pictures = read_manifest(o.manifest);
  const auto pixels = read_pixels(o.pictures, pictures, o.out / "pixels.bin");
  hold_out(pictures, pixels);
  std::vector<std::string> captions = templates();
  std::vector<std::size_t> emoji, drawings;
  for (const std::size_t i : members_of(pictures, Part::train)) {
    captions.push_back(pictures[i].caption);
    (pictures[i].emoji() ? emoji : drawings).push_back(i);
  }
  const WordPieces words(captions, config.text.vocabulary);
  std::cerr << emoji.size() << " emoji and " << drawings.size() << " drawings to train on, " << words.pieces()
            << " word pieces; held out: " << members_of(pictures, Part::item).size() << " items, "
            << members_of(pictures, Part::validation).size() << " for validation, "
            << members_of(pictures, Part::unknown).size() << " concepts\n";

  flamingo::Context<P> ctx(o.threads);
  const auto stream = [&](const char* name, double weight, const std::vector<std::size_t>& members) {
    const PictureStream batches{&pictures,
                                pixels,
                                &words,
                                members,
                                o.pairs,
                                config.text.context,
                                static_cast<float>(o.augment),
                                o.seed * 1000003 + flamingo::hash(name)};
    return flamingo::PairStream<float>{name, weight, batches};
  };
  const std::vector<flamingo::PairStream<float>> mixture{stream("emoji", o.emoji, emoji),
                                                         stream("drawings", 1, drawings)};
  // Equal cost is as many pictures seen: with turns an update sees one dataset, else both.
  const long each = o.pairs * (o.mixing == Mixing::round_robin ? 1 : 2), updates = o.seen / each;
  flamingo::OptimizerOptions adam = flamingo::ContrastiveOptions{}.adam;
  adam.group = [&](const flamingo::Spec& spec) {
    return flamingo::Group{1, spec.role == flamingo::Role::matrix ? o.decay : 0.0};
  };
  Trainer trainer(ctx, o.seed,
                  {.peak = o.rate,
                   .warmup = 1 + static_cast<long>(o.warmup * static_cast<double>(updates)),
                   .shape = flamingo::Schedule::Shape::linear,
                   .steps = updates,
                   .floor = 0},
                  {.mixing = o.mixing, .chunk = o.chunk, .adam = adam});
  const std::string name =
      std::string("contrastive-") + std::to_string(static_cast<int>(o.mixing)) + "-" + std::to_string(o.seed);
  const auto checkpoint = o.out / (name + ".state.safetensors");
  if (std::filesystem::exists(checkpoint))
    std::cerr << "going on after update " << flamingo::load_checkpoint(checkpoint, trainer) << '\n';

  flamingo::Progress progress(std::cerr, "update", updates);
  const long begun = trainer.optimizer.steps();
  double recent = 0;
  while (trainer.optimizer.steps() < updates) {
    const auto report = trainer.update(mixture);
    const long step = trainer.optimizer.steps();
    double loss = 0;
    for (const auto& dataset : report.datasets) loss += dataset.loss / static_cast<double>(report.datasets.size());
    recent += (loss - recent) / static_cast<double>(std::min<long>(step - begun, 25));
    progress.report(step, "loss " + std::to_string(recent) + "  norm " + std::to_string(report.other_norm), begun);
    if (o.validation && step % 100 == 0)
      std::cerr << Json(found(ctx, trainer, pictures, pixels, words, Part::validation)).dump() << '\n';
    if (step % 200 == 0 || step == updates) flamingo::save_checkpoint(checkpoint, trainer);
  }

  // Only the vision encoder is kept for what follows.
  flamingo::TensorWriter writer(flamingo::io::DType::f32);
  writer.add<Net::VisionTower>(trainer.weights.views.vision);
  writer.save(o.out / (name + ".vision.safetensors"), {{"vision", flamingo::field_text(config.vision)}});

  Json::Object line{
      {"mixing", std::string(std::array{"accumulation", "round_robin", "merged"}[static_cast<std::size_t>(o.mixing)])},
      {"seed", static_cast<double>(o.seed)},
      {"updates", static_cast<double>(updates)},
      {"seen", static_cast<double>(updates * each)},
      {"seconds", progress.elapsed()},
      {"loss", recent},
      {"scale", std::exp(static_cast<double>(trainer.weights.views.log_scale.data[0]))}};
  if (o.validation) {
    line.push_back({"validation", found(ctx, trainer, pictures, pixels, words, Part::validation)});
  } else {
    line.push_back({"items", found(ctx, trainer, pictures, pixels, words, Part::item)});
    line.push_back({"concepts", found(ctx, trainer, pictures, pixels, words, Part::unknown)});
  }
  std::cout << Json(line).dump() << std::endl;
  return 0;
}

}  // namespace

int main(int argc, char** argv) try { return run(parse(argc, argv)); } catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
