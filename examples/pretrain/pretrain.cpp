// Pretrains the mini Chinchilla of model.hpp on a text. examples/pretrain/run calls it; --help tells the options.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <numeric>
#include <sstream>

#include "model.hpp"

#include <flamingo/infer/generate.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/sentencepiece.hpp>
#include <flamingo/model/config_fields.hpp>
#include <flamingo/model/weights.hpp>
#include <flamingo/train/language_model.hpp>
#include <flamingo/train/progress.hpp>
#include <flamingo/train/state_file.hpp>

namespace {

using namespace pretrain;
using Trains = flamingo::LanguageModelTrainer<config, P>;

struct Options {
  std::filesystem::path tokenizer, text, held_out, out, from = {};
  long steps = 1200, every = 100;
  double minutes = 1e9, rate = 3e-3, repeats = 0;
  int batch = 16, threads = 0, warmup = 60;
};

constexpr const char* usage =
    "usage: pretrain TOKENIZER TRAIN HELDOUT OUT [OPTION VALUE]...\n"
    "  TOKENIZER        a SentencePiece model\n"
    "  TRAIN, HELDOUT   texts, one document a line\n"
    "  OUT              folder for lm.safetensors, the state of training, and log.jsonl\n"
    "  --steps N        length of the schedule: warm-up, then half a cosine to a tenth (default 1200)\n"
    "  --minutes N      stop after the step that N minutes end in; run it again to go on (default: never)\n"
    "  --batch N        windows of 256 tokens a step (default 16)\n"
    "  --rate X         peak learning rate (default 3e-3)\n"
    "  --warmup N       steps to reach it (default 60)\n"
    "  --repeats X      share of windows that say a passage over and over (default 0): copying from context, which\n"
    "                   demonstrations need, is learned from far more text than this else\n"
    "  --every N        steps from one look at held-out text to the next (default 100)\n"
    "  --from FILE      begin with these weights, of an lm.safetensors, instead of drawn ones\n"
    "  --threads N      (default: all cores)\n";

Options parse(int argc, char** argv) {
  flamingo::check(argc >= 5 && argc % 2 == 1, "pretrain", usage);
  Options o{.tokenizer = argv[1], .text = argv[2], .held_out = argv[3], .out = argv[4]};
  for (int i = 5; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--from") {
      o.from = argv[i + 1];
      continue;
    }
    const double value = std::strtod(argv[i + 1], nullptr);
    const auto is = [&](const char* option, auto& field) {
      if (name != option) return false;
      flamingo::check(value >= 0, "pretrain", name, " is ", argv[i + 1], ", expected a positive number");
      field = static_cast<std::remove_reference_t<decltype(field)>>(value);
      return true;
    };
    if (!(is("--steps", o.steps) || is("--minutes", o.minutes) || is("--batch", o.batch) || is("--rate", o.rate) ||
          is("--warmup", o.warmup) || is("--every", o.every) || is("--threads", o.threads) ||
          is("--repeats", o.repeats)))
      flamingo::fail("pretrain", "unknown option ", name, '\n', usage);
  }
  flamingo::check(o.steps > 0 && o.batch > 0 && o.every > 0, "pretrain",
                  "--steps, --batch and --every must be positive");
  return o;
}

/// The ids of a file's lines, each ended by the end-of-document token, and the bytes that they stand for.
struct Text {
  std::vector<int> ids;
  std::size_t bytes = 0;
};
Text read(const flamingo::io::Tokenizer& tokenizer, const std::filesystem::path& path) {
  std::ifstream file(path);
  flamingo::check(file.good(), "pretrain", path.string(), " cannot be opened");
  const std::optional<int> end = tokenizer.eos();
  flamingo::check(end.has_value(), "pretrain", "the tokenizer has no end-of-document token");
  Text text;
  for (std::string line; std::getline(file, line);) {
    const auto ids = tokenizer.encode(line);
    text.ids.insert(text.ids.end(), ids.begin(), ids.end());
    text.ids.push_back(*end);
    text.bytes += line.size() + 1;
  }
  return text;
}

/// At most `most` windows of a text, at equal distances.
std::vector<flamingo::Sequence> spread(const flamingo::TextWindows& windows, std::size_t most) {
  const std::size_t all = windows.count(), count = std::min(most, all);
  std::vector<flamingo::Sequence> some;
  for (std::size_t i = 0; i < count; ++i)
    some.push_back(windows.at(i * all / count * static_cast<std::size_t>(windows.length)));
  return some;
}

/// A window that says its first `period` tokens over and over.
flamingo::Sequence repeating(flamingo::Sequence window, std::size_t period) {
  for (std::size_t i = period; i < window.ids.size(); ++i) window.ids[i] = window.ids[i - period];
  for (std::size_t i = 0; i + 1 < window.ids.size(); ++i) window.targets[i] = window.ids[i + 1];
  window.targets.back() = window.ids[window.ids.size() - period];
  return window;
}

/// The same windows, asked for the tokens after places `from` to `to` alone.
std::vector<flamingo::Sequence> asked(std::vector<flamingo::Sequence> windows, std::size_t from, std::size_t to) {
  for (flamingo::Sequence& window : windows)
    for (std::size_t i = 0; i < window.targets.size(); ++i)
      if (i < from || i >= to) window.targets[i] = -1;
  return windows;
}

/// A step's windows: drawn places of the text, of which a share repeat passages of 4 tokens to half a window. Short
/// ones are as many as long ones on the scale of their logarithm: said often and not far apart, they are learned from
/// first.
std::vector<flamingo::Sequence> drawn(const flamingo::TextWindows& windows, const Options& o, long step) {
  std::vector<flamingo::Sequence> all = windows.drawn(/*seed=*/2, step, o.batch);
  flamingo::Random random(/*seed=*/3, static_cast<std::uint64_t>(step));
  for (flamingo::Sequence& window : all)
    if (random.uniform() < o.repeats)
      window =
          repeating(std::move(window), static_cast<std::size_t>(4 * std::pow(windows.length / 8.0, random.uniform())));
  return all;
}

std::string rounded(double x, int digits) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << x;
  return text.str();
}

/// What the model writes after a few words: greedy decoding from its cache.
void show(flamingo::Context<P>& ctx, const Trains& trainer, const flamingo::io::Tokenizer& tokenizer) {
  using Model = flamingo::LanguageModel<config, P>;
  auto engine = flamingo::make_engine<Model>(ctx, trainer.weights.views);
  // A tokenizer may have fewer pieces than the model has ids; one that has learned little may like those that are left.
  std::vector<int> without_piece(static_cast<std::size_t>(std::max(0, config.vocabulary - tokenizer.size())));
  std::iota(without_piece.begin(), without_piece.end(), tokenizer.size());
  for (const char* words : {"hill: a", "She was", "It is a truth"}) {
    const auto ids = tokenizer.encode(words);
    auto state = engine.begin({.ids = {ids.begin(), ids.end()}, .phi = std::vector<int>(ids.size(), 0)});
    const auto written = flamingo::generate(
        engine, state,
        {.max_new_tokens = 24, .stop_ids = {*tokenizer.eos()}, .banned = without_piece, .repetition_penalty = 1.2f});
    std::vector<int> all(ids.begin(), ids.end());
    all.insert(all.end(), written.ids.begin(), written.ids.end());
    std::cerr << "  " << tokenizer.decode(all) << '\n';
  }
}

int run(const Options& o) {
  std::filesystem::create_directories(o.out);
  flamingo::Context<P> ctx(o.threads);
  const auto tokenizer = flamingo::io::sentencepiece_tokenizer(o.tokenizer);
  const Text text = read(tokenizer, o.text), held_out = read(tokenizer, o.held_out);
  for (const Text* t : {&text, &held_out})
    for (const int id : t->ids)
      flamingo::check(id < config.vocabulary, "pretrain", "the tokenizer has the id ", id, ", the model ",
                      config.vocabulary, " ids: train it with --vocabulary ", config.vocabulary);
  const flamingo::TextWindows windows{text.ids, config.context}, others{held_out.ids, config.context};
  const auto seen = spread(others, 128);
  constexpr std::size_t window = config.context, part = window / 4;
  std::vector<flamingo::Sequence> again;  // passages said twice
  for (const flamingo::Sequence& s : seen) again.push_back(repeating(s, window / 2));
  // What context is worth: less is lost at the end of a window than at its beginning, least where it was said before.
  const std::pair<const char*, std::vector<flamingo::Sequence>> places[] = {
      {"held_out_first_quarter", asked(seen, 0, part)},
      {"held_out_last_quarter", asked(seen, window - part, window)},
      {"held_out_said_again", asked(again, window / 2, window)}};
  std::cerr << "text: " << text.ids.size() << " tokens to train on, " << held_out.ids.size()
            << " held out; model: " << flamingo::parameter_count<Trains::Decoder>() << " parameters\n";

  Trains trainer(
      ctx, /*seed=*/1,
      {.peak = o.rate, .warmup = o.warmup, .shape = flamingo::Schedule::Shape::cosine, .steps = o.steps, .floor = 0.1});
  const flamingo::io::Metadata metadata{{"lm", flamingo::field_text(config)}};
  const auto state = o.out / "state.safetensors";
  if (std::filesystem::exists(state))
    std::cerr << "going on after step " << flamingo::load_state(state, trainer.weights, trainer.optimizer, metadata)
              << '\n';
  else if (!o.from.empty())
    flamingo::load_numbers<Trains::Decoder>(flamingo::io::Safetensors(o.from), trainer.weights.views);

  const double tokens_a_byte = static_cast<double>(held_out.ids.size()) / static_cast<double>(held_out.bytes);
  std::ofstream log(o.out / "log.jsonl", std::ios::app);
  flamingo::Progress progress(std::cerr, "step", o.steps);
  const auto look = [&](double recent, const std::vector<flamingo::Sequence>& at) {
    const double nats = trainer.loss(at, static_cast<std::size_t>(o.batch)).loss;
    flamingo::io::Json::Object line{{"step", trainer.optimizer.steps()},
                                    {"minutes", progress.elapsed() / 60},
                                    {"train", recent},
                                    {"held_out", nats},
                                    {"held_out_bits_a_byte", nats * tokens_a_byte / std::log(2.0)}};
    for (const auto& [name, windows_of] : places)
      line.push_back({name, trainer.loss(windows_of, static_cast<std::size_t>(o.batch)).loss});
    log << flamingo::io::Json(line).dump() << std::endl;
    std::cerr << flamingo::io::Json(line).dump() << '\n';
  };
  const long begun = trainer.optimizer.steps();
  double recent = 0;
  if (begun == 0) look(recent, seen);
  for (bool time_left = true; time_left && trainer.optimizer.steps() < o.steps;) {
    const long step = trainer.optimizer.steps() + 1;
    const auto update = trainer.update(drawn(windows, o, step));
    recent += (update.loss - recent) / static_cast<double>(std::min<long>(step - begun, 25));
    const double rate = static_cast<double>(update.tokens) * static_cast<double>(step - begun) / progress.elapsed();
    progress.report(step,
                    "loss " + rounded(recent, 3) + "  norm " + rounded(update.gradient_norm, 2) + "  " +
                        rounded(rate, 0) + " tokens/s",
                    begun);
    if (step % o.every == 0) {
      look(recent, seen);
      flamingo::save_state(state, trainer.weights, trainer.optimizer, metadata);
    }
    time_left = progress.elapsed() < 60 * o.minutes;
  }
  flamingo::save_state(state, trainer.weights, trainer.optimizer, metadata);
  if (trainer.optimizer.steps() < o.steps) {
    std::cerr << "stopped; run it again to go on\n";
    return 0;
  }
  look(recent, spread(others, others.count()));  // all held-out text
  flamingo::TensorWriter writer(flamingo::io::DType::f32);
  writer.add<Trains::Decoder>(trainer.weights.views);
  writer.save(o.out / "lm.safetensors", metadata);
  show(ctx, trainer, tokenizer);
  return 0;
}

}  // namespace

int main(int argc, char** argv) try { return run(parse(argc, argv)); } catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
