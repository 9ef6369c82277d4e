#include <flamingo/infer/engine.hpp>

#include <flamingo/cpu.hpp>
#include <flamingo/infer/score.hpp>

#include "support/models.hpp"

using namespace flamingo;
using namespace flamingo::bench;

namespace {

using Q = bench::P;
using Model = model::Flamingo<sizes, Q>;

struct Served {
  Store<Model::Connect, Q> connector;
  Store<Model::Decoder, Q> lm;
  static const Served& one() {
    static const Served served;
    return served;
  }
};

Sequence prompt(int tokens) {
  Sequence s;
  for (int t = 0; t < tokens; ++t) {
    s.ids.push_back(t);
    s.phi.push_back(t > 0);
  }
  return s;
}

template <class F>
void with_engine(benchmark::State& state, const F& f) {
  const Served& served = Served::one();
  Context<Q> ctx(static_cast<int>(state.range(0)));
  const auto picture = filled<1280>(ctx, 25);
  auto engine = make_engine<Model>(ctx, served.connector.views, served.lm.views, {.text_rows = 4096, .media = 4});
  f(engine, std::array{engine.add_medium(picture)});
}

/// 256 tokens and a picture that is known already.
void prefill(benchmark::State& state) {
  with_engine(state, [&](auto& engine, const auto& media) {
    const Sequence sequence = prompt(256);
    for (auto _ : state) {
      auto text = engine.begin(sequence, media);
      TextState* const states[] = {&text};
      benchmark::DoNotOptimize(engine.next_logits(states));
    }
  });
  state.counters["tokens"] = benchmark::Counter(256, benchmark::Counter::kIsIterationInvariantRate);
}
/// One token after 256.
void decode(benchmark::State& state) {
  with_engine(state, [&](auto& engine, const auto& media) {
    auto text = engine.begin(prompt(256), media);
    TextState* const states[] = {&text};
    engine.next_logits(states);
    for (auto _ : state) {
      auto next = text;
      next.append(5);
      TextState* const one[] = {&next};
      benchmark::DoNotOptimize(engine.next_logits(one));
    }
  });
  state.counters["tokens"] = benchmark::Counter(1, benchmark::Counter::kIsIterationInvariantRate);
}
/// The likelihoods of `range(1)` names of four tokens after 32 demonstrations of seven, prompt and all, as a class is
/// chosen. Names are read as one tree; the class-by-class way is as many runs of one name.
void choose(benchmark::State& state) {
  with_engine(state, [&](auto& engine, const auto& media) {
    const Sequence sequence = prompt(32 * 7);
    std::vector<std::vector<int>> names;
    for (int i = 0; i < static_cast<int>(state.range(1)); ++i) names.push_back({100 + i % 10, 200 + i, 300 + i, 7});
    const long before = engine.tokens_read();
    long runs = 0;
    for (auto _ : state) {
      auto text = engine.begin(sequence, media);
      benchmark::DoNotOptimize(score(engine, text, std::span<const std::vector<int>>(names)));
      ++runs;
    }
    state.counters["tokens_read"] = static_cast<double>(engine.tokens_read() - before) / static_cast<double>(runs);
  });
}
BENCHMARK(choose)
    ->Args({2, 100})
    ->Args({2, 1})
    ->ArgNames({"threads", "names"})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(prefill)->Arg(1)->Arg(2)->ArgName("threads")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(decode)->Arg(1)->Arg(2)->ArgName("threads")->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
