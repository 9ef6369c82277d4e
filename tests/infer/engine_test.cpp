#include <flamingo/infer/engine.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>

#include "infer/tiny.hpp"
#include "support/compare.hpp"

/// As `extern template` asks of a host's file.
template class flamingo::Engine<flamingo::test::Tiny<flamingo::Cpu<float>>::Model,
                                flamingo::test::Tiny<flamingo::Cpu<float>>::Connector::Views,
                                flamingo::test::Tiny<flamingo::Cpu<float>>::Lm::Views, flamingo::bfloat16>;

namespace engine_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

constexpr auto attending_to_all = [] {
  auto c = tiny_config;
  c.xattn.visibility = Visibility::all_earlier;
  c.xattn.before_first = NoImage::uniform;
  return c;
}();

constexpr auto vanilla = [] {
  auto c = tiny_config;
  c.xattn.conditioning = Conditioning::vanilla_xattn;
  return c;
}();
constexpr auto grafted = [] {
  auto c = tiny_config;
  c.xattn.conditioning = Conditioning::grafting;
  c.xattn.grafted = 2;
  c.xattn.gate = Gate::none;
  return c;
}();

constexpr FlamingoConfig<NoVision, Chinchilla> relative{
    .vision = {},
    .resampler = tiny_config.resampler,
    .xattn = {.every = 2, .heads = 3, .head_dim = 4},
    .lm = {.dim = 12, .layers = 3, .heads = 2, .head_dim = 5, .hidden = 13, .vocabulary = 13, .context = 41}};

/// Hidden rows of all documents in one training pass, without any cache.
template <class T, Platform P>
Tensor<typename P::Real> uncached(T& tiny, const std::vector<typename T::Document>& documents) {
  using Model = typename T::Model;
  using Real = typename P::Real;
  std::vector<Sequence> sequences;
  std::vector<Medium> media;
  std::vector<Real> features;
  constexpr int E = Model::ResamplerLayer::E;
  for (const auto& d : documents) {
    Sequence s = d.sequence();
    s.first_medium = static_cast<int>(media.size());
    sequences.push_back(s);
    for (const int i : d.pictures) {
      const auto x = T::features(i);
      media.push_back({static_cast<int>(features.size()) / E, x.rows(), T::frames(i), 0});
      features.insert(features.end(), x.begin(), x.end());
    }
  }
  Context<P> ctx(1);
  const auto latents = keep<Model::E>(ctx, static_cast<int>(media.size()) * Model::R);
  const auto resampling = ResamplerPlan::of(Model::config.resampler, media);
  Model::ResamplerLayer::template forward<no_gradients>(
      ctx, tiny.connector.views.resampler, {features.data(), static_cast<int>(features.size()) / E, Extent<E>(E)},
      resampling, latents);
  const auto plan = DecoderPlan::of(sequences, Model::config.xattn, Model::R);
  Tensor<Real> hidden(plan.rows(), Model::D);
  Model::template forward<typename Model::Trained{}>(ctx, tiny.connector.views, tiny.lm.views, plan, latents,
                                                     hidden.template rows_on<P, Model::D>());
  return hidden;
}

template <class R, class Row>
bool same_bits(const Tensor<R>& expected, int at, const Row& got, int row) {
  return std::equal(got.row(row), got.row(row) + expected.columns(), &expected(at, 0));
}

template <class P, auto C>
void check_cached_equals_uncached() {
  Tiny<P, C> tiny;
  const auto documents = tiny.documents();
  const auto expected = uncached<Tiny<P, C>, P>(tiny, documents);
  // All documents in one batch, cut into pieces of 4, 3, 1, 1 ... tokens: prefill and decoding mixed.
  std::vector<TextState> states;
  std::vector<int> first, done;
  int rows = 0;
  for (const auto& d : documents) {
    TextState state = tiny.begin(d);
    first.push_back(rows);
    done.push_back(0);
    rows += static_cast<int>(d.ids.size());
    states.push_back(state);
  }
  for (int step = 0; std::any_of(states.begin(), states.end(), [](const auto& s) { return !s.ids.empty(); }); ++step) {
    const auto scope = tiny.ctx.scope();
    std::vector<NewTokens> pieces;
    std::vector<TextState> cut = states;
    std::vector<TextState*> batch;
    for (std::size_t i = 0; i < cut.size(); ++i) {
      const auto n = std::min<std::size_t>(cut[i].ids.size(), step < 2 ? 4 - static_cast<std::size_t>(step) : 1);
      cut[i].ids.resize(n);
      cut[i].phi.resize(n);
      batch.push_back(&cut[i]);
    }
    std::vector<int> counts;
    for (const TextState& s : cut) counts.push_back(static_cast<int>(s.ids.size()));
    const auto hidden = tiny.engine.read(batch);
    for (int i = 0, row = 0; i < static_cast<int>(states.size()); ++i) {
      const auto at = static_cast<std::size_t>(i);
      for (int t = 0; t < counts[at]; ++t, ++row) CHECK(same_bits(expected, first[at] + done[at]++, hidden, row));
      states[at].rows = cut[at].rows;
      states[at].ids.erase(states[at].ids.begin(), states[at].ids.begin() + counts[at]);
      states[at].phi.erase(states[at].phi.begin(), states[at].phi.begin() + counts[at]);
    }
  }
  CHECK(tiny.engine.text_rows_used() == rows);
  states.clear();
  CHECK(tiny.engine.text_rows_used() == 0);
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("Cached decoding has the bits of one training pass", "", Platforms) {
  check_cached_equals_uncached<TestType, tiny_config>();
}
TEST_CASE("Cached decoding has the bits of one training pass when all earlier media are seen") {
  check_cached_equals_uncached<Cpu<double>, attending_to_all>();
}

TEST_CASE("Cached decoding has the bits of one training pass with cross-attention inside decoder blocks") {
  check_cached_equals_uncached<Cpu<double>, vanilla>();
}
TEST_CASE("Cached decoding has the bits of one training pass with blocks grafted onto the decoder") {
  check_cached_equals_uncached<Cpu<double>, grafted>();
}

TEST_CASE("Cached decoding has the bits of one training pass without a Resampler, over documents that end") {
  check_cached_equals_uncached<Cpu<float>, bare_config>();
}

TEST_CASE("An end of document closes what is read, not what is written") {
  using P = Cpu<float>;
  Tiny<P, bare_config> tiny;
  constexpr int end = bare_config.xattn.end_of_document;
  const auto document = tiny.documents()[0];
  REQUIRE(document.ids[3] == end);
  TextState state = tiny.begin(document);
  CHECK(state.phi == std::vector<int>{0, 0, 1, 1, 0, 0, 2, 2, 2, 2, 2});
  state.append(end);
  state.append(5);
  CHECK((state.phi[11] == 2 && state.phi[12] == 2));
  const std::vector<int> more{4, end, 5};
  tiny.engine.append(state, more, std::vector<int>{2, 2, 2});
  tiny.engine.append(state, more, std::vector<int>{2, 2, 3}, std::vector{tiny.medium(1)});
  CHECK(std::vector<int>(state.phi.begin() + 13, state.phi.end()) == std::vector<int>{2, 2, 0, 0, 0, 3});
}

TEST_CASE("Tokens written later see the last medium, whatever they are") {
  using P = Cpu<double>;
  Tiny<P> tiny;
  auto document = tiny.documents()[0];
  TextState state = tiny.begin(document);
  const auto scope = tiny.ctx.scope();
  TextState* const one[] = {&state};
  tiny.engine.read(one);
  state.append(document.ids[2]);  // the image tag
  state.append(7);
  const auto hidden = tiny.engine.read(one);
  const int before = static_cast<int>(document.ids.size());
  document.ids.insert(document.ids.end(), {document.ids[2], 7});  // of no medium of their own
  const auto expected = uncached<Tiny<P>, P>(tiny, {document});
  CHECK(same_bits(expected, before, hidden, 0));
  CHECK(same_bits(expected, before + 1, hidden, 1));
}

TEST_CASE("A tree of tokens has the bits of each of its paths") {
  using P = Cpu<float>;
  Tiny<P> tiny;
  for (const auto& document : tiny.documents()) {
    TextState state = tiny.begin(document);
    const auto scope = tiny.ctx.scope();
    TextState* const one[] = {&state};
    tiny.engine.read(one, 3);  // the tree begins with what waits
    const std::vector<int> ids{4, 9, 2, 5, 2, 11, 6}, parents{-1, 0, 1, 1, 0, -1, 5}, phi(7, state.last_phi);
    const NewTokens tree[] = {{&state, ids, phi, parents}};
    const int used = tiny.engine.text_rows_used();
    const auto together = tiny.engine.forward(tree);
    CHECK(tiny.engine.text_rows_used() == used + 7);
    for (int node = 0; node < 7; ++node) {
      std::vector<int> path;
      for (int n = node; n >= 0; n = parents[static_cast<std::size_t>(n)])
        path.insert(path.begin(), ids[static_cast<std::size_t>(n)]);
      const NewTokens chain[] = {{&state, path, std::span(phi).first(path.size()), {}}};
      const auto alone = tiny.engine.forward(chain);
      CHECK(std::equal(alone.hidden.row(alone.hidden.rows - 1), alone.hidden.row(alone.hidden.rows - 1) + 12,
                       together.hidden.row(node)));
    }
  }
}

template <class P, auto C>
void check_rounded_caches() {
  Tiny<P, C> exact;
  Tiny<P, C, bfloat16> rounded;
  using Model = typename Tiny<P, C>::Model;
  const auto documents = rounded.documents();
  const auto expected = uncached<Tiny<P, C>, P>(exact, exact.documents());
  Tensor<typename P::Real> whole(expected.rows(), Model::D);
  for (int i = 0, at = 0; i < static_cast<int>(documents.size()); ++i) {
    TextState state = rounded.begin(documents[static_cast<std::size_t>(i)]);
    TextState* const one[] = {&state};
    const auto scope = rounded.ctx.scope();
    const auto hidden = rounded.engine.read(one);
    for (int row = 0; row < hidden.rows; ++row, ++at) std::copy_n(hidden.row(row), Model::D, &whole(at, 0));
  }
  const double apart = distance(whole, expected).relative;
  CHECK(apart > 1e-5);
  CHECK(apart < 0.01);
  // All of them a token at a time, in a pool so small that their rows lie among each other's.
  auto small = make_engine<Model, bfloat16>(rounded.ctx, rounded.connector.views, rounded.lm.views,
                                            {.text_rows = 24, .media = 7});
  const auto begin = [&](std::size_t i) {
    std::vector<CachedMedium> media;
    for (const int picture : documents[i].pictures) {
      auto x = rounded.features(picture);
      media.push_back(small.add_medium(x.template rows_on<P>(), rounded.frames(picture)));
    }
    return small.begin(documents[i].sequence(), media);
  };
  std::vector<TextState> states;
  for (std::size_t i = 0; i < documents.size(); ++i) states.push_back(begin(i));
  for (std::size_t t = 0; t < 11; ++t) {
    std::vector<TextState*> batch;
    std::vector<int> counts, rows;
    for (std::size_t i = 0, first = 0; i < states.size(); first += documents[i].ids.size(), ++i)
      if (t < documents[i].ids.size()) {
        batch.push_back(&states[i]);
        counts.push_back(1);
        rows.push_back(static_cast<int>(first + t));
      }
    const auto scope = rounded.ctx.scope();
    const auto hidden = small.read(batch, counts);
    for (int row = 0; row < hidden.rows; ++row)
      CHECK(same_bits(whole, rows[static_cast<std::size_t>(row)], hidden, row));
  }
  REQUIRE(states[0].rows.runs().size() > 1);
  // A prompt at once, into rows that are no run.
  states.erase(states.begin());
  TextState again = begin(0);
  TextState* const one[] = {&again};
  {
    const auto scope = rounded.ctx.scope();
    const auto hidden = small.read(one);
    for (int row = 0; row < hidden.rows; ++row) CHECK(same_bits(whole, row, hidden, row));
  }
  REQUIRE(again.rows.runs().size() > 1);
  states.clear();
  // A tree after it.
  const std::vector<int> ids{4, 9, 2, 5}, parents{-1, 0, 0, 1}, phi(4, again.last_phi), path{4, 9, 5};
  const NewTokens tree[] = {{&again, ids, phi, parents}}, chain[] = {{&again, path, std::span(phi).first(3), {}}};
  const auto scope = rounded.ctx.scope();
  const auto together = small.forward(tree), alone = small.forward(chain);
  CHECK(std::equal(alone.hidden.row(2), alone.hidden.row(2) + Model::D, together.hidden.row(3)));
}

TEMPLATE_LIST_TEST_CASE("Caches in bfloat16 give the same bits however a sequence is read, near the platform's own", "",
                        Platforms) {
  check_rounded_caches<TestType, tiny_config>();
}
TEST_CASE("Caches in bfloat16 serve cross-attention inside decoder blocks, and relative positions") {
  check_rounded_caches<Cpu<double>, vanilla>();
  check_rounded_caches<Cpu<float>, relative>();
}

TEST_CASE("Media are computed once, shared, and make room when nobody holds them") {
  using P = Cpu<float>;
  Tiny<P> tiny;
  {
    const auto states = tiny.prompts();  // pictures 0 and 1, then 1, 2, 1
    CHECK(tiny.engine.media_cached() == 3);
    CHECK(states[0].media[1].place() == states[1].media[0].place());
    CHECK(states[1].media[0].place() == states[1].media[2].place());
    tiny.engine.drop_unused_media();
    CHECK(tiny.engine.media_cached() == 3);
    std::vector<CachedMedium> held;
    for (int i = 3; i < 7; ++i) held.push_back(tiny.medium(i));
    CHECK_THROWS_WITH(tiny.medium(7),
                      "[cache] all 7 places for media are in use; drop sequences or give the engine more");
    const int place = held.back().place();
    held.pop_back();
    CHECK(tiny.medium(8).place() == place);
    CHECK(tiny.engine.media_cached() == 7);
  }
  tiny.engine.drop_unused_media();
  CHECK(tiny.engine.media_cached() == 0);
  // The same features as one picture and as a video of two frames are two media.
  Tensor<float> x = tiny.features(2);
  const auto image = tiny.engine.add_medium(x.rows_on<P>(), 1), video = tiny.engine.add_medium(x.rows_on<P>(), 2);
  CHECK(image.place() != video.place());
  Tensor<float> narrow(5, 3);
  CHECK_THROWS_WITH(tiny.engine.add_medium(narrow.rows_on<P>()), "[engine] features are (5, 3), expected width 7");
}

TEST_CASE("The engine refuses prompts that make no sense") {
  using P = Cpu<float>;
  Tiny<P> tiny;
  auto document = tiny.documents()[1];
  document.pictures.pop_back();
  CHECK_THROWS_WITH(tiny.begin(document), "[prompt] it has 3 image tags and 2 media: each tag announces one medium");
  CHECK_THROWS_WITH(tiny.begin({std::vector<int>(42, 1), {}, {}}), "[prompt] 42 tokens, the context holds 41");
  CHECK_THROWS_WITH(tiny.begin({{1, -3}, {}, {}}), "[prompt] token 1 is -3, expected 0 to 12");
  TextState state = tiny.prompts()[2];
  CHECK_THROWS_WITH(tiny.engine.append(state, std::vector<int>(37, 1), {}), "[prompt] 42 tokens, the context holds 41");
  const std::vector<CachedMedium> more{tiny.medium(0)};
  CHECK_THROWS(tiny.engine.append(state, std::vector{0, -3}, std::vector{1, 1}, more));
  CHECK((state.media.empty() && state.runs.empty() && state.length() == 5));  // as it was
  for (int i = 0; i < 37; ++i) state.append(1);
  TextState* const one[] = {&state};
  CHECK_THROWS_WITH(tiny.engine.next_logits(one), "[engine] 0 tokens and 42 more, the context holds 41");
  CHECK(tiny.engine.text_rows_used() == 0);  // what failed keeps nothing
  auto small = make_engine<Tiny<P>::Model>(tiny.ctx, tiny.connector.views, tiny.lm.views, {.text_rows = 3, .media = 1});
  Sequence s;
  s.ids = {1, 2, 3, 4};
  TextState four = small.begin(s);
  TextState* const other[] = {&four};
  CHECK_THROWS_WITH(small.next_logits(other), Catch::Contains("4 more rows of text asked for, 3 of 3 are free"));
}

}  // namespace engine_test
