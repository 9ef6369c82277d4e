#include <flamingo/infer/engine.hpp>

#include <flamingo/cpu.hpp>

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
BENCHMARK(prefill)->Arg(1)->Arg(2)->ArgName("threads")->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(decode)->Arg(1)->Arg(2)->ArgName("threads")->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
