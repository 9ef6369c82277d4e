// Our side of a comparison with OpenFlamingo (PyTorch): the same tasks at the same sizes over random weights, one JSON
// line each; and what the machine allows. bench/run compiles it once a size and runs it beside the peer.
//
//   vision      one picture through the encoder
//   resample    its features to latents
//   prefill     the text of a prompt of `shots` demonstrations and a query, latents given: their keys and values in
//               every gated block are computed too, as the peer does; logits of the last token
//   decode      one greedy token after the prompt; beam: the same with three rows
//   score       a prompt and 16 answers of 4 tokens; score1000: 1,000 of them
//   train       forward, backward and AdamW of the connector and the added rows on 256 tokens with 5 pictures' features
//
//   equal_text  decode after the longest prompt, and after one of one image and as many tokens, in turns
//   products    y = x wᵀ at the rows of the longest prompt and the decoder's widths
//   limits      beside what has bytes or operations: how many of them all threads do in a second just then
//   memory      a process of its own: the longest prompt from pictures to `new` tokens, beside the memory plan
//
// Caches hold floats where weights do, else bf16. Lines of decode tell the bytes that a token reads: weights, and keys
// and values of what it sees. Those of vision, resample, prefill and products tell operations.
#include <array>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>

#include <flamingo/infer/score.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/model/vision/encoder.hpp>
#include <flamingo/train/trainer.hpp>

#include "full_size/random_weights.hpp"
#include "peers/open_flamingo.hpp"
#include "support/peak.hpp"
#include "support/program.hpp"

namespace {

using namespace flamingo;
using namespace flamingo::bench;
using Model = model::Flamingo<config, P>;
using Vision = Encoder<config.vision, P>;
using Resampler = Model::ResamplerLayer;
template <class Layer>
using Weights = full_size::RandomWeights<Layer, P>;
/// Panels are our products'; Eigen reads rows where they lie.
constexpr Arrangement frozen = default_products == Products::own ? Arrangement::panels : Arrangement::rows;

class Bench {
 public:
  explicit Bench(Options options)
      : o_(std::move(options)), format_(format_of(o_.text("--dtype"))), ctx_(o_.number("--threads")) {
    for (const std::string& n : o_.list("--shots")) shots_.push_back(std::atoi(n.c_str()));
    ctx_.rounds_to_bf16 = o_.text("--dtype") == "bfloat16_rounded";
    ctx_.rounds_to_int16 = o_.text("--dtype") == "int8_rounded";
  }

  void run() {
    if (asked("memory")) memory();
    if (asked("vision")) vision();
    if (asked("resample")) resample();
    if (asked("products")) products();
    if (asked("prefill") || asked("decode") || asked("beam") || asked("score") || asked("score1000") ||
        asked("equal_text")) {
      const Weights<Model::Connect> connector(format_, frozen, 3);
      const Weights<Model::Decoder> lm(format_, frozen, 4);
      with_cached_numbers([&]<class Cached>() {
        for (const int shots : shots_) read<Cached>(connector.views, lm.views, shots);
        if (asked("equal_text")) equal_text<Cached>(connector.views, lm.views);
      });
    }
    if (asked("train")) train();
  }

 private:
  static constexpr int most_text = 8192;  ///< rows of the engines' pools: address space

  /// f of the numbers that caches hold: float32's are exact, all others' are rounded to bf16.
  template <class F>
  void with_cached_numbers(const F& f) {
    if (format_ == Format::f32)
      f.template operator()<float>();
    else
      f.template operator()<bfloat16>();
  }

  bool asked(std::string_view task) const { return o_.asks("--tasks", task); }
  int longest() const { return *std::max_element(shots_.begin(), shots_.end()); }
  double seconds_of(const std::function<void()>& f) const { return median_seconds(o_.number("--repeats"), f); }

  /// A line of the task; shots < 0: it has none.
  void begin(Line& line, std::string_view task, int shots) const {
    line.with("peer", "flamingo").with("size", o_.text("--size")).with("dtype", o_.text("--dtype"));
    line.with("device", "cpu").with("task", task).with("threads", o_.number("--threads"));
    if (shots < 0)
      line.with_null("shots");
    else
      line.with("shots", shots);
    line.with("peak_rss_mib", status("VmHWM") / (1 << 20));
  }
  void report(std::string_view task, int shots, double seconds) const {
    Line line;
    begin(line, task, shots);
    line.with("seconds", seconds);
  }
  /// With the operations of that time, and with what the machine does in a second just then: on a machine that is
  /// shared that changes from one task to the next.
  void report_operations(std::string_view task, int shots, double seconds, double operations) {
    const double limit = asked("limits") ? peak<float>(ctx_.threads()) : 0;
    report_beside(task, shots, seconds, "operations", operations, limit);
  }
  void report_beside(std::string_view task, int shots, double seconds, std::string_view counted, double count,
                     double limit) const {
    Line line;
    begin(line, task, shots);
    line.with("seconds", seconds).with(counted, count);
    if (limit > 0) line.with("limit", limit);
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
    const Weights<Vision> weights(format_, frozen, 1);
    const auto pixels = drawn(std::size_t{S} * S * 3, 1);
    const std::array grid{Grid{0, S, S}};
    const double seconds = seconds_of([&] {
      const auto scope = ctx_.scope();
      Vision::forward<no_gradients>(ctx_, weights.views, Rows<P, 3, const float>{pixels.data(), S * S, {}}, grid,
                                    scratch<Vision::D>(ctx_, cells));
    });
    report_operations("vision", -1, seconds, vision_operations());
  }

  void resample() {
    const Weights<Resampler> weights(format_, frozen, 2);
    const auto features = drawn(std::size_t{cells} * Resampler::E, 2);
    const std::array medium{Medium{0, cells, 1, 0}};
    const double seconds = seconds_of([&] {
      const auto scope = ctx_.scope();
      const ResamplerPlan plan = ResamplerPlan::of(config.resampler, medium);
      Resampler::forward<no_gradients>(ctx_, weights.views,
                                       Rows<P, Resampler::E, const float>{features.data(), cells, {}}, plan,
                                       scratch<Resampler::O>(ctx_, Model::R));
    });
    report_operations("resample", -1, seconds, resample_operations());
  }

  /// One matrix, in panels as a loaded model's.
  template <int O, int D>
  struct Matrix {
    template <class S>
    struct Parameters {
      flamingo::Matrix<S, O, D> w;
    };
    static constexpr void each(auto& visit, auto&... p) { visit(matrix_spec("w", O, D, Init::normal(1)), p.w...); }
  };
  template <int O, int D>
  void product() {
    const int rows = static_cast<int>(prompt(random_, longest(), o_.number("--text")).ids.size());
    const Weights<Matrix<O, D>> weights(format_, frozen, 8);
    const auto x = drawn(static_cast<std::size_t>(rows) * D, 8);
    const auto scope = ctx_.scope();
    const auto y = scratch<O>(ctx_, rows);
    const double seconds = seconds_of([&] {
      ops::linear(ctx_, Rows<P, D, const float>{x.data(), rows, {}}, weights.views.w, y);
    });
    report_operations("product " + std::to_string(rows) + " x " + std::to_string(D) + " -> " + std::to_string(O), -1,
                      seconds, 2.0 * rows * O * D);
  }
  void products() {
    constexpr int D = config.lm.dim, F = config.lm.hidden_size();
    product<D, D>();
    product<F, D>();
    product<D, F>();
  }

  template <class Engine>
  std::vector<CachedMedium> add_media(Engine& engine, int count) {
    std::vector<CachedMedium> media;
    for (int m = 0; m < count; ++m) {
      const auto features = drawn(std::size_t{cells} * Resampler::E, static_cast<std::uint64_t>(10 + m));
      media.push_back(engine.add_medium(Rows<P, Resampler::E, const float>{features.data(), cells, {}}));
    }
    return media;
  }
  /// The likeliest next id of each state, of the words: greedy decoding's step.
  template <class Engine>
  void step(Engine& engine, std::span<TextState* const> states) const {
    const std::vector<Choice> best = engine.likeliest_next(states, 1, added_);
    for (std::size_t i = 0; i < states.size(); ++i) states[i]->append(best[i].id);
  }
  /// Bytes that one token reads after `cached` ones: all weights but those of keys and values of media and of the
  /// Resampler, which work once a picture; and keys and values, those of one picture in each gated block.
  template <class Cached, class Connector, class Lm>
  static double bytes_of_token(const Connector& connector, const Lm& lm, double cached) {
    const auto of_media = [](std::string_view name) {
      return name.starts_with("resampler.") || name.find(".attention.key") != name.npos ||
             name.find(".attention.value") != name.npos || name.find(".norm_media.") != name.npos;
    };
    const double text = 2 * cached * Model::Block::KV * config.lm.layers,
                 picture = 2.0 * Model::R * Model::Gated::KV * config.gated_blocks();
    return weight_bytes<Model::Connect>(connector, [&](std::string_view name) { return !of_media(name); }) +
           weight_bytes<Model::Decoder>(lm,
                                        [](std::string_view name) { return config.lm.tied || name != "embedding"; }) +
           sizeof(Cached) * (text + picture);
  }

  template <class Cached, class Connector, class Lm>
  void read(const Connector& connector, const Lm& lm, int shots) {
    const Sequence asked_for = prompt(random_, shots, o_.number("--text"));
    const int media_count = shots + 1;
    auto engine = make_engine<Model, Cached>(ctx_, connector, lm, {.text_rows = most_text, .media = media_count});
    const auto media = add_media(engine, media_count);
    const auto latents = drawn(static_cast<std::size_t>(media_count * Model::R) * Model::E, 5);
    // The keys and values of the prompt's media once more: the engine has them, and the peer computes them here.
    const auto project = [&] {
      const auto scope = ctx_.scope();
      const int rows = media_count * Model::R;
      const auto k = scratch<Model::Gated::KV>(ctx_, rows), v = scratch<Model::Gated::KV>(ctx_, rows);
      for (const auto& gated : connector.gated)
        Model::Gated::project<no_gradients>(ctx_, gated, Rows<P, Model::E, const float>{latents.data(), rows, {}}, k,
                                            v);
    };
    const auto prefilled = [&] {
      project();
      TextState state = engine.begin(asked_for, media);
      TextState* const one[] = {&state};
      engine.next_logits(one);
      return state;
    };
    if (asked("prefill"))
      report_operations("prefill", shots, seconds_of([&] { prefilled(); }), prefill_operations(asked_for));
    const int written = o_.number("--new");
    for (const auto& [task, beams] : {std::pair("decode", 1), std::pair("beam", 3)}) {
      if (!asked(task)) continue;
      std::vector<TextState> states(static_cast<std::size_t>(beams), prefilled());
      std::vector<TextState*> all;
      for (TextState& state : states) all.push_back(&state);
      for (TextState* state : all) state->append(word());
      const double bytes =
          bytes_of_token<Cached>(connector, lm, static_cast<double>(asked_for.ids.size()) + 2 + written);
      std::optional<Reads> reads;
      if (beams == 1 && asked("limits")) reads.emplace(ctx_.threads());
      step(engine, all);
      std::vector<double> times;
      for (int i = 0; i < written; ++i) {
        step(engine, all);  // finds the caches as a token leaves them, and so does the one that is timed
        const double begun = now();
        step(engine, all);
        times.push_back(now() - begun);
        if (reads) reads->read(static_cast<std::size_t>(bytes));
      }
      if (beams == 1)
        report_beside(task, shots, median(times), "bytes", bytes, reads ? reads->rate() : 0);
      else
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

  template <class Cached, class Connector, class Lm>
  void equal_text(const Connector& connector, const Lm& lm) {
    const int shots = longest();
    const Sequence many = prompt(random_, shots, o_.number("--text")),
                   one = prompt_of(random_, static_cast<int>(many.ids.size()));
    auto engine = make_engine<Model, Cached>(ctx_, connector, lm, {.text_rows = most_text, .media = shots + 1});
    const auto media = add_media(engine, shots + 1);
    std::array states{engine.begin(many, media), engine.begin(one, std::span(media).first(1))};
    std::array<std::vector<double>, 2> times;
    for (int i = 0; i < 2 * o_.number("--new") + 1; ++i)
      for (std::size_t s = 0; s < 2; ++s) {
        TextState* const state[] = {&states[s]};
        const double begun = now();
        step(engine, state);
        if (i > 0) times[s].push_back(now() - begun);
      }
    Line line;
    begin(line, "equal_text", shots);
    line.with("seconds", median(times[0])).with("seconds_at_0_shots", median(times[1]));
  }

  void train() {
    constexpr TrainedParts parts{.added_rows = true};
    const Weights<Model::Decoder> lm(format_, Arrangement::rows, 4);
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

  void memory() {
    constexpr int S = config.vision.image;
    const int shots = longest(), written = o_.number("--new");
    const Sequence asked_for = prompt(random_, shots, o_.number("--text"));
    const int tokens = static_cast<int>(asked_for.ids.size()) + written;
    const double planned = planned_bytes(format_, tokens, shots + 1, written), own = status("VmRSS");
    {
      const Weights<Vision> vision(format_, frozen, 1);
      const Weights<Model::Connect> connector(format_, frozen, 3);
      const Weights<Model::Decoder> lm(format_, frozen, 4);
      with_cached_numbers([&]<class Cached>() {
        auto engine =
            make_engine<Model, Cached>(ctx_, connector.views, lm.views, {.text_rows = tokens, .media = shots + 1});
        std::vector<CachedMedium> media;
        for (int m = 0; m <= shots; ++m) {
          const auto scope = ctx_.scope();
          const std::array grid{Grid{0, S, S}};
          const auto pixels = scratch<3>(ctx_, S * S);
          Random random(20260101, static_cast<std::uint64_t>(m));
          for (std::size_t i = 0; i < pixels.size(); ++i) pixels.data[i] = random.normal();
          const auto features = scratch<Vision::D>(ctx_, cells);
          Vision::forward<no_gradients>(ctx_, vision.views, pixels, grid, features);
          media.push_back(engine.add_medium(features));
        }
        TextState state = engine.begin(asked_for, media);
        TextState* const one[] = {&state};
        for (int i = 0; i < written; ++i) step(engine, one);
      });
    }
    Line line;
    begin(line, "memory", shots);
    line.with("planned", own + planned).with("measured", status("VmHWM"));
  }

  Options o_;
  Format format_;
  std::vector<int> shots_;
  Context<P> ctx_;
  Random random_{7, 1};
  std::vector<int> added_{words, words + 1, words + 2};
};

}  // namespace

int main(int count, char** words_given) try {
  Bench({count,
         words_given,
         {{"--size", ""},
          {"--tasks", "vision,resample,prefill,decode,beam,score,train"},
          {"--shots", "0,4,32"},
          {"--dtype", "float32"},
          {"--threads", "2"},
          {"--repeats", "5"},
          {"--text", "16"},
          {"--new", "16"}}})
      .run();
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
