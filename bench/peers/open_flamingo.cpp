// Our side of a comparison with OpenFlamingo (PyTorch): the same tasks at the same sizes over random weights, one JSON
// line each. bench/run compiles it once a size and runs it beside the peer.
//
//   vision    one picture through the encoder
//   resample  its features to latents
//   prefill   the text of a prompt of `shots` demonstrations and a query, latents given: their keys and values in every
//             gated block are computed too, as the peer does
//   decode    one greedy token after the prompt; beam: the same with three rows
//   score     a prompt and 16 answers of 4 tokens; score1000: 1,000 of them
//   train     forward, backward and AdamW of the connector and the added rows on 256 tokens with 5 pictures' features
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <sys/resource.h>

#include "full_size/random_weights.hpp"

#include <flamingo/config/presets/open_flamingo.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/infer/score.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/model/vision/encoder.hpp>
#include <flamingo/train/trainer.hpp>

namespace {

using namespace flamingo;
using P = Cpu<float>;
using OpenFlamingo = FlamingoConfig<Vit, Mpt>;

/// What OpenFlamingo makes of a CLIP encoder and an MPT decoder; the last three rows of the table are added ones.
constexpr OpenFlamingo over(Vit vision, Mpt lm, int every, ResamplerConfig resampler, int heads) {
  lm.added = 3;
  lm.vocabulary -= lm.added;
  OpenFlamingo c = presets::open_flamingo(lm, every);
  c.lm.vocabulary = lm.vocabulary;
  c.vision = vision;
  c.resampler.dim = vision.dim;
  c.resampler.latents = resampler.latents;
  c.resampler.layers = resampler.layers;
  c.resampler.heads = resampler.heads;
  c.xattn.heads = heads;
  return c;
}
[[maybe_unused]] constexpr OpenFlamingo of_mini =
    over({.image = 64, .patch = 8, .dim = 192, .layers = 4, .heads = 3},
         {.dim = 256, .layers = 6, .heads = 4, .vocabulary = 8192}, 2, {.latents = 16, .layers = 2, .heads = 4}, 4);
[[maybe_unused]] constexpr OpenFlamingo of_small =
    over({.image = 224, .patch = 14, .dim = 384, .layers = 12, .heads = 6},
         {.dim = 768, .layers = 12, .heads = 12, .vocabulary = 32000}, 2, {.latents = 64, .layers = 6, .heads = 8}, 8);
[[maybe_unused]] constexpr OpenFlamingo of_3b = over({}, {.dim = 2048, .layers = 24, .heads = 16, .vocabulary = 50280},
                                                     1, {.latents = 64, .layers = 6, .heads = 8}, 8);

constexpr OpenFlamingo config = FLAMINGO_BENCH_SIZE;
using Model = model::Flamingo<config, P>;
using Vision = Encoder<config.vision, P>;
using Resampler = Model::ResamplerLayer;
template <class Layer>
using Weights = full_size::RandomWeights<Layer, P>;

constexpr int cells = config.vision.grid() * config.vision.grid(), words = config.lm.vocabulary;

struct Options {
  std::string name;
  std::vector<std::string> tasks;
  std::vector<int> shots;
  Format format = Format::f32;
  int threads = 2, repeats = 5, text = 16, written = 16;
};

std::vector<std::string> list_of(std::string_view text) {
  std::vector<std::string> all(1);
  for (const char c : text)
    if (c == ',')
      all.emplace_back();
    else
      all.back() += c;
  return all;
}

Options parse(int count, char** words_given) {
  Options o;
  std::string tasks = "vision,resample,prefill,decode,beam,score,train", shots = "0,4,32", format = "float32";
  for (int i = 1; i < count; i += 2) {
    const std::string_view name = words_given[i];
    check(i + 1 < count, "bench", name, " has no value");
    const char* value = words_given[i + 1];
    if (name == "--size")
      o.name = value;
    else if (name == "--tasks")
      tasks = value;
    else if (name == "--shots")
      shots = value;
    else if (name == "--dtype")
      format = value;
    else if (name == "--threads")
      o.threads = std::atoi(value);
    else if (name == "--repeats")
      o.repeats = std::atoi(value);
    else if (name == "--text")
      o.text = std::atoi(value);
    else if (name == "--new")
      o.written = std::atoi(value);
    else
      fail("bench", "unknown option ", name);
  }
  check(format == "float32" || format == "bfloat16" || format == "int8", "bench", "--dtype ", format,
        ", expected float32, bfloat16 or int8");
  o.format = format == "float32" ? Format::f32 : format == "int8" ? Format::int8 : Format::bf16;
  check(o.repeats > 0 && o.written > 0 && o.text > 0, "bench", "--repeats, --new and --text are positive");
  o.tasks = list_of(tasks);
  for (const std::string& n : list_of(shots)) o.shots.push_back(std::atoi(n.c_str()));
  return o;
}

class Bench {
 public:
  explicit Bench(Options options) : o_(std::move(options)), ctx_(o_.threads) {}

  void run() {
    if (asked("vision")) vision();
    if (asked("resample")) resample();
    if (asked("prefill") || asked("decode") || asked("beam") || asked("score") || asked("score1000"))
      for (const int shots : o_.shots) read(shots);
    if (asked("train")) train();
  }

 private:
  bool asked(std::string_view task) const {
    return std::find(o_.tasks.begin(), o_.tasks.end(), task) != o_.tasks.end();
  }
  static double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  static double median(std::vector<double> times) {
    std::sort(times.begin(), times.end());
    return (times[(times.size() - 1) / 2] + times[times.size() / 2]) / 2;
  }
  /// Of one call, after one that is not counted.
  double seconds_of(const std::function<void()>& f) const {
    std::vector<double> times;
    for (int i = 0; i <= o_.repeats; ++i) {
      const double begun = now();
      f();
      if (i > 0) times.push_back(now() - begun);
    }
    return median(times);
  }
  void report(const char* task, int shots, double seconds) const {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    std::printf("{\"peer\": \"flamingo\", \"size\": \"%s\", \"dtype\": \"%s\", \"device\": \"cpu\", \"task\": \"%s\", ",
                o_.name.c_str(),
                o_.format == Format::f32    ? "float32"
                : o_.format == Format::int8 ? "int8"
                                            : "bfloat16",
                task);
    if (shots < 0)
      std::printf("\"shots\": null, ");
    else
      std::printf("\"shots\": %d, ", shots);
    std::printf("\"threads\": %d, \"seconds\": %.6f, \"peak_rss_mib\": %ld}\n", o_.threads, seconds,
                usage.ru_maxrss / 1024);
    std::fflush(stdout);
  }

  std::vector<float> drawn(std::size_t count, std::uint64_t seed) const {
    Random random(20260101, seed);
    std::vector<float> all(count);
    for (float& x : all) x = random.normal();
    return all;
  }
  int word() { return random_.below(words); }

  void vision() {
    constexpr int S = config.vision.image;
    const Weights<Vision> weights(o_.format, Arrangement::panels, 1);
    const auto pixels = drawn(std::size_t{S} * S * 3, 1);
    const std::array grid{Grid{0, S, S}};
    report("vision", -1, seconds_of([&] {
             const auto scope = ctx_.scope();
             Vision::forward<no_gradients>(ctx_, weights.views, Rows<P, 3, const float>{pixels.data(), S * S, {}}, grid,
                                           scratch<Vision::D>(ctx_, cells));
           }));
  }

  void resample() {
    const Weights<Resampler> weights(o_.format, Arrangement::panels, 2);
    const auto features = drawn(std::size_t{cells} * Resampler::E, 2);
    const std::array medium{Medium{0, cells, 1, 0}};
    report("resample", -1, seconds_of([&] {
             const auto scope = ctx_.scope();
             const ResamplerPlan plan = ResamplerPlan::of(config.resampler, medium);
             Resampler::forward<no_gradients>(ctx_, weights.views,
                                              Rows<P, Resampler::E, const float>{features.data(), cells, {}}, plan,
                                              scratch<Resampler::O>(ctx_, Model::R));
           }));
  }

  Sequence prompt(int shots) {
    Sequence s;
    const auto put = [&](int id) {
      s.ids.push_back(id);
      s.phi.push_back(s.media);
    };
    for (int i = 0; i <= shots; ++i) {
      ++s.media;
      put(words + 1);  // <image>
      for (int t = 0; t < o_.text; ++t) put(word());
      if (i < shots) put(words);  // <|endofchunk|>
    }
    return s;
  }

  void read(int shots) {
    const Weights<Model::Connect> connector(o_.format, Arrangement::panels, 3);
    const Weights<Model::Decoder> lm(o_.format, Arrangement::panels, 4);
    const Sequence asked_for = prompt(shots);
    const int media_count = shots + 1;
    auto engine = make_engine<Model>(ctx_, connector.views, lm.views, {.text_rows = 8192, .media = media_count});
    std::vector<CachedMedium> media;
    for (int m = 0; m < media_count; ++m) {
      const auto features = drawn(std::size_t{cells} * Resampler::E, static_cast<std::uint64_t>(10 + m));
      media.push_back(engine.add_medium(Rows<P, Resampler::E, const float>{features.data(), cells, {}}));
    }
    const auto latents = drawn(static_cast<std::size_t>(media_count * Model::R) * Model::E, 5);
    // The keys and values of the prompt's media once more: the engine has them, and the peer computes them here.
    const auto project = [&] {
      const auto scope = ctx_.scope();
      const int rows = media_count * Model::R;
      const auto k = scratch<Model::Gated::KV>(ctx_, rows), v = scratch<Model::Gated::KV>(ctx_, rows);
      for (const auto& gated : connector.views.gated)
        Model::Gated::project<no_gradients>(ctx_, gated, Rows<P, Model::E, const float>{latents.data(), rows, {}}, k,
                                            v);
    };
    const auto prefilled = [&] {
      project();
      TextState state = engine.begin(asked_for, media);
      TextState* const one[] = {&state};
      last_ = engine.next_logits(one);
      return state;
    };
    if (asked("prefill")) report("prefill", shots, seconds_of([&] { prefilled(); }));
    for (const auto& [task, beams] : {std::pair("decode", 1), std::pair("beam", 3)}) {
      if (!asked(task)) continue;
      std::vector<TextState> states(static_cast<std::size_t>(beams), prefilled());
      std::vector<TextState*> all;
      for (TextState& state : states) all.push_back(&state);
      for (TextState* state : all) state->append(word());
      std::vector<double> times;
      for (int step = 0; step < o_.written + 2; ++step) {
        const double begun = now();
        const auto logits = engine.next_logits(all);
        for (std::size_t b = 0; b < all.size(); ++b) {
          const auto row = logits.begin() + static_cast<std::ptrdiff_t>(b * std::size_t{Model::V});
          all[b]->append(static_cast<int>(std::max_element(row, row + words) - row));
        }
        if (step > 1) times.push_back(now() - begun);
      }
      report(task, shots, median(times));
    }
    for (const auto& [task, count] : {std::pair("score", 16), std::pair("score1000", 1000)}) {
      if (!asked(task)) continue;
      std::vector<std::vector<int>> answers(static_cast<std::size_t>(count), std::vector<int>(4));
      for (auto& answer : answers)
        for (int& id : answer) id = word();
      report(task, shots, seconds_of([&] {
               project();
               TextState state = engine.begin(asked_for, media);
               score(engine, state, answers);
             }));
    }
  }

  void train() {
    constexpr TrainedParts parts{.added_rows = true};
    const Weights<Model::Decoder> lm(o_.format, Arrangement::rows, 4);
    Trainer<config, P, std::remove_cvref_t<decltype(lm.views)>, parts> trainer(ctx_, lm.views, 1, {});
    TrainingBatch<float> batch;
    batch.features = drawn(5 * std::size_t{cells} * Resampler::E, 6);
    Sequence s;
    for (int t = 0; t < 256; ++t) {
      const bool tag = t % 50 == 3 && t < 250;
      s.media += tag;
      s.ids.push_back(tag ? words + 1 : word());
      s.phi.push_back(s.media);
      s.targets.push_back(t < 255 ? word() : -1);
    }
    for (int m = 0; m < 5; ++m) batch.media.push_back({m * cells, cells, 1, m});
    batch.sequences = {s};
    const std::vector<DatasetStream<float>> mixture{{"pages", 1, [&](long) { return batch; }}};
    report("train", 5, seconds_of([&] { trainer.update(mixture); }));
  }

  Options o_;
  Context<P> ctx_;
  Random random_{7, 1};
  std::vector<float> last_;
};

}  // namespace

int main(int count, char** words_given) try {
  Bench(parse(count, words_given)).run();
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
