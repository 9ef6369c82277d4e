// SmolLM2-135M out of its GGUF file (Q4_1; the table Q8_0), beside llama.cpp: a line of JSON for each task.
//
//   prefill   a prompt of `prompt` tokens, logits of the last
//   decode    one token after it
//   quality   64 tokens that the stored numbers, as floats, write greedily after each passage are read with each form
//             of the weights, and counted where they are the likeliest there too; and the log-likelihood of passages.
//             Forms: the file's own, int8 (a scale a row), the same with rows in 16 bits, with the table as it is
//             stored, blocks of q8_0, those with the maps down in bf16, and q4_0, rounded from numbers that lie on a
//             grid of 4 bits already; some with caches in bf16
#include <fstream>
#include <iostream>
#include <memory>

#include <flamingo/cpu.hpp>
#include <flamingo/files.hpp>
#include <flamingo/flamingo.hpp>

#include "caption/smollm2.hpp"
#include "support/program.hpp"
#include "support/quality.hpp"
#include "support/quantised.hpp"

namespace {

using namespace flamingo;
using namespace flamingo::bench;
using caption::smollm2;
using P = Cpu<float>;

using Model = LanguageModel<smollm2, P>;
using Weights = PackedWeights<Model::Decoder, P>;

class Bench {
 public:
  explicit Bench(Options options)
      : o_(std::move(options)),
        ctx_(o_.number("--threads")),
        file_(std::make_shared<const io::Gguf>(o_.text("--model"))) {
    check_gguf_llama(smollm2, *file_);
  }

  void run() {
    if (o_.asks("--tasks", "prefill") || o_.asks("--tasks", "decode")) speed();
    if (o_.asks("--tasks", "quality")) quality();
  }

 private:
  Weights load(Held held, Arrangement arrangement = Arrangement::panels) const {
    return Weights::load(file_, held, gguf_llama_names(smollm2), nullptr, arrangement);
  }

  void report(const char* task, const char* dtype, double seconds) const {
    Line line;
    line.with("peer", "flamingo").with("size", "smollm2-135m").with("task", task).with("dtype", dtype);
    line.with_null("shots").with("threads", o_.number("--threads")).with("seconds", seconds);
    line.with("peak_rss_mib", status("VmHWM") / (1 << 20));
  }

  void speed() {
    const Weights lm = load(Held::as_stored);
    const int tokens = o_.number("--prompt"), written = o_.number("--new");
    Sequence prompt;
    for (int i = 0; i < tokens; ++i)
      prompt.ids.push_back(static_cast<int>(std::int64_t{i} * 7919 % (smollm2.vocabulary - 10) + 5));
    auto engine = make_engine<Model, bfloat16>(ctx_, lm.views, {.text_rows = tokens + written + 8});
    std::vector<double> prefill, decode;
    for (int i = 0; i <= o_.number("--repeats"); ++i) {
      TextState state = engine.begin(prompt);
      TextState* const one[] = {&state};
      double begun = now();
      engine.next_logits(one);
      const double read = now() - begun;
      std::vector<double> steps;
      for (int t = 0; t < written; ++t) {
        begun = now();
        state.append(prompt.ids[static_cast<std::size_t>(t % tokens)]);
        engine.next_logits(one);
        steps.push_back(now() - begun);
      }
      if (i == 0) continue;
      prefill.push_back(read);
      decode.push_back(median(steps));
    }
    report("prefill", "stored", median(prefill));
    report("decode", "stored", median(decode));
  }

  /// Each line of the passages is a document, and a prompt to go on.
  std::vector<Judged> passages() const {
    const io::Tokenizer tokenizer = io::Tokenizer::from_gguf(*file_);
    std::ifstream in(o_.text("--passages"));
    check(in.good(), "bench", o_.text("--passages"), " cannot be opened");
    std::vector<Judged> all;
    for (std::string line; std::getline(in, line);) {
      Judged one;
      one.document.ids = tokenizer.encode(line);
      one.document.targets.assign(one.document.ids.begin() + 1, one.document.ids.end());
      one.document.targets.push_back(-1);
      one.prompt.ids = one.document.ids;
      for (Sequence* s : {&one.document, &one.prompt}) s->phi.assign(s->ids.size(), 0);
      all.push_back(std::move(one));
    }
    return all;
  }

  template <class Cached = float, class Views, class F>
  void with_engine(const Views& views, const F& f) {
    auto engine = make_engine<Model, Cached>(ctx_, views, {.text_rows = 8192});
    f(engine);
  }
  void quality() {
    const std::vector<Judged> all = passages();
    std::vector<std::vector<int>> written;
    Judgement exact;
    const auto tell = [&]<class Cached = float>(const char* dtype, const auto& views, Cached = {}) {
      with_engine<Cached>(views, [&](auto& engine) {
        const Judgement judged = judge(engine, all, written);
        Line line;
        line.with("task", "quality").with("size", "smollm2-135m").with("dtype", dtype).with_null("shots");
        line.with("nats", judged.nats).with("nats_float32", exact.nats).with("kept", share_kept(judged, written));
      });
    };
    {
      const Weights floats = load(Held::as_floats);
      with_engine(floats.views, [&](auto& engine) {
        written = write(engine, all, 64);
        exact = judge(engine, all, {});
      });
    }
    const Weights stored = load(Held::as_stored);
    Weights int8 = load(Held::as_int8);
    tell("stored", stored.views);
    tell("stored, caches bf16", stored.views, bfloat16{});
    tell("int8", int8.views);
    tell("int8, caches bf16", int8.views, bfloat16{});
    ctx_.rounds_to_int16 = true;
    tell("int8, rows in 16 bits", int8.views);
    ctx_.rounds_to_int16 = false;
    int8.views.embedding = stored.views.embedding;
    tell("int8, table stored", int8.views);
    const Weights floats = load(Held::as_floats, Arrangement::rows);
    {
      Quantised<Model::Decoder, P> blocks(floats.views, Format::q8_0);
      tell("q8_0", blocks.views);
      const Weights rounded = load(Held::as_bf16);
      for (std::size_t b = 0; b < blocks.views.blocks.size(); ++b)
        blocks.views.blocks[b].dense.down = rounded.views.blocks[b].dense.down;
      tell("q8_0, maps down bf16", blocks.views);
      tell("q8_0, maps down bf16, caches bf16", blocks.views, bfloat16{});
    }
    tell("q4_0", Quantised<Model::Decoder, P>(floats.views, Format::q4_0).views);
  }

  Options o_;
  Context<P> ctx_;
  std::shared_ptr<const io::Gguf> file_;
};

}  // namespace

int main(int count, char** words) try {
  Bench({count,
         words,
         {{"--model", ""},
          {"--passages", ""},
          {"--tasks", "prefill,decode"},
          {"--threads", "2"},
          {"--repeats", "5"},
          {"--prompt", "256"},
          {"--new", "32"}}})
      .run();
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
