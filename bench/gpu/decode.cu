/// What an engine does at Flamingo-3B's sizes in bf16, by the host's clock: a host waits for each answer anyway.
///
///   prefill B L M     B prompts of L tokens with M pictures each, their keys and values cached: to the first logits
///   decode B L M      a greedy token of each of B sequences after such prompts
///   score M L C T     M pictures through the Resampler, a prompt of L tokens with them, C candidates of T tokens
///
/// 32 shots are 33 pictures: those of the examples and the one that is asked about.
#include <chrono>

#include <flamingo/infer/generate.hpp>
#include <flamingo/infer/score.hpp>

#include "flamingo_3b.cuh"

namespace flamingo::bench {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }
double median(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

std::vector<int> drawn_ids(int count, std::uint64_t stream) {
  Random draw(1, stream);
  std::vector<int> ids(static_cast<std::size_t>(count));
  for (int& id : ids) id = draw.below(words);
  return ids;
}
/// L tokens; the M pictures are announced one after another, evenly.
Sequence prompt_of(int L, int M, std::uint64_t stream) {
  Sequence s{.ids = drawn_ids(L, stream)};
  for (int t = 0; t < L; ++t) s.phi.push_back(t * M / L + 1);
  return s;
}

/// The model and its memory. A template, because nvcc cannot write down types that depend on a config.
template <auto C>
struct Asked {
  using Model = model::Flamingo<C, P>;
  template <class Layer>
  struct Drawn {
    Store<Layer, P, float> masters;
    RoundedWeights<Layer, P> rounded;
    explicit Drawn(Context<P>& ctx) {
      draw_weights(masters);
      rounded.round(ctx, masters);
    }
  };

  Context<P> ctx{std::size_t{8} << 30, std::size_t{64} << 20};  // captured passes must find room for their tables
  Drawn<typename Model::Connect> connector{ctx};
  Drawn<typename Model::Decoder> decoder{ctx};

  auto engine(int text_rows) {
    return make_engine<Model>(ctx, connector.rounded.views, decoder.rounded.views, {.text_rows = text_rows});
  }
  /// M pictures, drawn; the same `first` gives the same ones.
  template <class E>
  std::vector<CachedMedium> pictures(E& to, int M, int first = 0) {
    std::vector<CachedMedium> media;
    for (int m = 0; m < M; ++m) {
      const auto scope = ctx.scope();
      const auto features = scratch<feature_width>(ctx, features_of_picture);
      draw_kernel<<<static_cast<unsigned>(features.size() + 255) / 256, 256, 0, ctx.stream()>>>(
          bare(features.data), features.size(), static_cast<std::uint64_t>(1000 + first + m), 1.f);
      media.push_back(to.add_medium(features));
    }
    return media;
  }
  template <class E>
  std::vector<TextState> prompts(E& to, int B, int L, int M) {
    const auto media = pictures(to, M);
    std::vector<TextState> states;
    for (int b = 0; b < B; ++b) states.push_back(to.begin(prompt_of(L, M, static_cast<std::uint64_t>(b)), media));
    return states;
  }

  void prefill(const Case& c) {
    const int B = c[0], L = c[1], M = c[2];
    auto asked = engine(B * L + 64);
    std::vector<double> times;
    for (int i = 0; i < 7; ++i) {
      auto states = prompts(asked, B, L, M);
      std::vector<TextState*> all;
      for (TextState& s : states) all.push_back(&s);
      ctx.wait();
      const auto begin = Clock::now();
      asked.next_logits(all);
      if (i > 1) times.push_back(since(begin));
    }
    c.report("prefill", "ours", median(times));
  }
  void decode(const Case& c) {
    const int B = c[0], L = c[1], M = c[2], warm = 8, timed = 64;
    auto asked = engine(B * (L + 256));
    auto states = prompts(asked, B, L, M);
    std::vector<Clock::time_point> at;
    generate(asked, std::span(states), {.max_new_tokens = 1 + warm + timed}, [&](std::size_t i, int) {
      if (i == 0) at.push_back(Clock::now());
    });
    std::vector<double> times;
    for (std::size_t i = warm + 1; i < at.size(); ++i)
      times.push_back(std::chrono::duration<double>(at[i] - at[i - 1]).count());
    c.report("decode", "ours", median(times));
    parts_of(c, asked, states);
  }
  /// What a pass of the decoder takes, without logits: on the host until it is started, and until the device is done.
  /// It is a graph already, so it cannot be captured in one.
  template <class E>
  void parts_of(const Case& c, E& asked, std::vector<TextState>& states) {
    std::vector<NewTokens> pieces;
    for (const TextState& s : states) pieces.push_back({&s, s.ids, s.phi, {}});
    std::vector<double> started, done;
    for (int i = 0; i < 20; ++i) {
      ctx.wait();
      const auto begin = Clock::now();
      const auto scope = ctx.scope();
      asked.forward(pieces);
      started.push_back(since(begin));
      ctx.wait();
      done.push_back(since(begin));
    }
    c.report("started", "ours", median(started));
    c.report("pass", "ours", median(done));
  }
  void score(const Case& c) {
    const int M = c[0], L = c[1];
    std::vector<std::vector<int>> candidates;
    for (int i = 0; i < c[2]; ++i) candidates.push_back(drawn_ids(c[3], static_cast<std::uint64_t>(100 + i)));
    auto asked = engine(L + c[2] * c[3] + 64);
    std::vector<double> times;
    for (int i = 0; i < 6; ++i) {
      asked.drop_unused_media();
      ctx.wait();
      const auto begin = Clock::now();
      auto state = asked.begin(prompt_of(L, M, 0), pictures(asked, M, i * M));
      const auto scores = flamingo::score(asked, state, candidates);
      if (i > 0) times.push_back(since(begin));
      check(best_of(scores) < candidates.size() && std::isfinite(scores[0].sum), "bench", "a score is no number");
    }
    c.report("score", "ours", median(times));
  }
};

template <auto C>
int measure() {
  Asked<C> asked;
  return measure_cases([&](const Case& c) {
    if (c.kind == "prefill") asked.prefill(c);
    if (c.kind == "decode") asked.decode(c);
    if (c.kind == "score") asked.score(c);
  });
}

}  // namespace flamingo::bench

int main() { return flamingo::bench::measure<flamingo::bench::config>(); }
