#include <flamingo/infer/generate.hpp>

#include <catch2/catch.hpp>
#include <map>

#include <flamingo/cpu.hpp>

#include "support/compare.hpp"
#include "support/golden.hpp"

namespace generate_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<float>;
using Model = LanguageModel<lm_llama, P>;

struct Golden {
  io::Safetensors file{golden_path("lm_llama_io.safetensors")};
  Store<Model::Decoder, P> lm = load_lm_llama<Model::Decoder, P>();
  Context<P> ctx{1};
  Engine<Model, Nothing, decltype(lm.views)> engine = make_engine<Model>(ctx, lm.views);

  TextState state(std::vector<int> ids) const {
    Sequence s;
    s.phi.assign(ids.size(), 0);
    s.ids = std::move(ids);
    return engine.begin(s);
  }
  std::vector<TextState> prompts() const { return {state(unpadded(file, 0)), state(unpadded(file, 1))}; }
};

std::vector<int> range(int first, int last) {
  std::vector<int> all;
  for (int i = first; i < last; ++i) all.push_back(i);
  return all;
}

}  // namespace

TEST_CASE("Greedy decoding of a ragged batch returns transformers' tokens and logits") {
  Golden golden;
  const auto tokens = numbers<int>(golden.file.at("gen.greedy.tokens"));
  const auto logits = numbers<float>(golden.file.at("gen.greedy.step_logits"));
  auto states = golden.prompts();
  std::vector<TextState*> batch{&states[0], &states[1]};
  for (std::size_t step = 0; step < 10; ++step) {
    const auto got = golden.engine.next_logits(batch);
    for (std::size_t b = 0; b < 2; ++b) {
      CHECK(distance(got.data() + b * 84, logits.data() + (b * 10 + step) * 84, 84).relative <= 1e-5);
      states[b].append(tokens[b * 24 + 14 + step]);
    }
  }
  auto prompts = golden.prompts();
  const auto found = generate(golden.engine, prompts, {.max_new_tokens = 10});
  for (std::size_t b = 0; b < 2; ++b) {
    const auto at = tokens.begin() + static_cast<std::ptrdiff_t>(b * 24 + 14);
    CHECK(found[b].ids == std::vector<int>(at, at + 10));
    CHECK(found[b].stopped == StopReason::length);
  }
}

TEST_CASE("A stop id ends its row alone") {
  Golden golden;
  const io::TensorView& tensor = golden.file.at("gen.greedy_eos.tokens");
  const auto tokens = numbers<int>(tensor);
  const auto width = static_cast<std::size_t>(tensor.shape[1]);
  auto prompts = golden.prompts();
  const auto found = generate(golden.engine, prompts, {.max_new_tokens = 10, .stop_ids = {58}});
  for (std::size_t b = 0; b < 2; ++b) {
    std::vector<int> row = found[b].ids;
    if (found[b].stopped == StopReason::stop_id) {
      row.push_back(58);
      CHECK(prompts[b].ids == std::vector<int>{58});  // waits in the state, so that a chat can go on
    }
    row.resize(width - 14, 0);
    const auto at = tokens.begin() + static_cast<std::ptrdiff_t>(b * width + 14);
    CHECK(row == std::vector<int>(at, at + static_cast<std::ptrdiff_t>(width - 14)));
  }
}

TEST_CASE("Decoding step by step gives the logits of one pass") {
  Golden golden;
  const auto ids = numbers<int>(golden.file.at("in.cache_row"));
  const auto prefill = static_cast<std::size_t>(numbers<int>(golden.file.at("in.prefill"))[0]);
  const auto steps = numbers<float>(golden.file.at("out.step_logits"));
  TextState whole = golden.state(ids), cached = golden.state({ids.begin(), ids.begin() + static_cast<int>(prefill)});
  const auto scope = golden.ctx.scope();
  TextState *const one[] = {&whole}, *const other[] = {&cached};
  const auto hidden = golden.engine.read(one);
  for (std::size_t t = prefill; t <= ids.size(); ++t) {
    const auto got = golden.engine.next_logits(other);
    CHECK(got == golden.engine.logits(hidden, {static_cast<int>(t) - 1}));  // bit for bit
    CHECK(distance(got.data(), steps.data() + (t - prefill) * 84, 84).relative <= 1e-5);
    if (t < ids.size()) cached.append(ids[t]);
  }
}

TEST_CASE("A sequence written alone has the bits it has in a batch") {
  Golden golden;
  const GenerateOptions o{.max_new_tokens = 13, .temperature = 1.3f, .top_k = 31, .top_p = 0.95f, .seed = 7};
  auto together = golden.prompts(), apart = golden.prompts();
  const auto found = generate(golden.engine, together, o);
  for (std::size_t b = 0; b < 2; ++b) {
    const Generated alone = generate(golden.engine, apart[b], o);
    CHECK(alone.ids == found[b].ids);
    CHECK(alone.log_likelihoods == found[b].log_likelihoods);
  }
  // Samples of one prompt share its rows and differ by their streams.
  std::vector<TextState> samples(5, golden.prompts()[0]);
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i].stream = i;
  const auto many = generate(golden.engine, samples, o);
  CHECK(many[0].ids == found[0].ids);
  CHECK(many[1].ids != many[0].ids);
}

TEST_CASE("Packed weights out of a mapped file write the same") {
  Golden golden;
  const auto file = std::make_shared<const io::Safetensors>(golden_path("lm_llama/model.safetensors"));
  const auto packed = PackedWeights<Model::Decoder, P>::load(file, Held::as_stored, hugging_face_llama_names(lm_llama));
  auto engine = make_engine<Model>(golden.ctx, packed.views);
  Sequence s;
  s.ids = unpadded(golden.file, 1);
  TextState state = engine.begin(s), stored = golden.prompts()[1];
  const GenerateOptions o{.max_new_tokens = 9, .temperature = 1};
  CHECK(generate(engine, state, o).ids == generate(golden.engine, stored, o).ids);
}

TEST_CASE("A conversation that goes on equals the same text read at once") {
  Golden golden;
  TextState chat = golden.state({3, 17, 5});
  const Generated first = generate(golden.engine, chat, {.max_new_tokens = 4});
  golden.engine.append(chat, std::vector{11, 29}, {});
  const Generated second = generate(golden.engine, chat, {.max_new_tokens = 5});
  std::vector<int> all{3, 17, 5};
  all.insert(all.end(), first.ids.begin(), first.ids.end());
  all.insert(all.end(), {11, 29});
  TextState whole = golden.state(all);
  const Generated expected = generate(golden.engine, whole, {.max_new_tokens = 5});
  CHECK(second.ids == expected.ids);
  CHECK(second.log_likelihoods == expected.log_likelihoods);
}

TEST_CASE("Sampling follows the distribution that its options make") {
  // p = 1/2, 1/4, 1/8, 1/16, 1/16, in an order of their own
  const std::vector<double> logits{std::log(0.125), std::log(0.5), std::log(0.0625), std::log(0.25), std::log(0.0625)};
  const auto shares = [&](const GenerateOptions& o) {
    std::map<int, int> drawn;
    for (int i = 0; i < 10000; ++i) ++drawn[sample<double>(logits, o, (i + 0.5) / 10000)];
    return drawn;
  };
  CHECK(shares({.temperature = 1}) == std::map<int, int>{{1, 5000}, {3, 2500}, {0, 1250}, {2, 625}, {4, 625}});
  CHECK(shares({}) == std::map<int, int>{{1, 10000}});
  // the temperature 1/2 squares: 16/21, 4/21, 1/21
  const auto squared = shares({.temperature = 0.5f, .top_k = 3});
  CHECK(squared.size() == 3);
  CHECK(std::abs(squared.at(1) - 10000 * 16 / 21) <= 1);
  CHECK(std::abs(squared.at(0) - 10000 / 21) <= 1);
  // 1/2 + 1/4 reach 0.7; they alone reach 0.75
  CHECK(shares({.temperature = 1, .top_p = 0.7f}).size() == 2);
  CHECK(shares({.temperature = 1, .top_p = 0.76f}).size() == 3);
  CHECK(shares({.temperature = 1, .top_p = 1e-6f}) == std::map<int, int>{{1, 10000}});
}

TEST_CASE("Sampling sorts no more of a vocabulary than it needs, and draws what sorting all of it draws") {
  std::vector<float> logits;
  Random random(3, 4);
  for (int id = 0; id < 999; ++id) logits.push_back(3 * random.normal());
  for (int id = 100; id < 999; id += 7) logits[static_cast<std::size_t>(id)] = -std::numeric_limits<float>::infinity();
  std::vector<int> order = range(0, 999);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
  });
  const std::vector<GenerateOptions> all{{.temperature = 1},
                                         {.temperature = 4, .top_p = 0.9f},
                                         {.temperature = 0.3f, .top_p = 0.5f},
                                         {.temperature = 4, .top_k = 300},
                                         {.temperature = 4, .top_k = 70, .top_p = 0.7f},
                                         {.temperature = 1000}};
  for (const GenerateOptions& o : all) {
    std::vector<double> p;
    for (const int id : order)
      p.push_back(
          std::exp(static_cast<double>(logits[static_cast<std::size_t>(id)]) / static_cast<double>(o.temperature)));
    if (o.top_k > 0) p.resize(static_cast<std::size_t>(o.top_k));
    double total = 0, mass = 0;
    for (const double x : p) total += x;
    std::size_t among = 0;
    while (among < p.size() && mass < static_cast<double>(o.top_p) * total * (1 - 1e-12)) mass += p[among++];
    int differ = 0;
    for (int i = 0; i < 2000; ++i) {
      const double uniform = (i + 0.5) / 2000;
      double reached = 0;
      std::size_t place = 0;
      while (place + 1 < among && (reached += p[place]) <= uniform * mass) ++place;
      differ += sample<float>(logits, o, uniform) != order[place];
    }
    CHECK(differ == 0);
    CHECK(logits[static_cast<std::size_t>(sample<float>(logits, o, 1 - 1e-17))] > -1e9f);
  }
}

TEST_CASE("Banned ids are never chosen; stop texts and callbacks see the text as it grows") {
  Golden golden;
  TextState state = golden.prompts()[0];
  const Generated plain = generate(golden.engine, state, {.max_new_tokens = 6});
  state = golden.prompts()[0];
  const auto banned = generate(golden.engine, state, {.max_new_tokens = 6, .banned = {plain.ids[0]}});
  CHECK(banned.ids[0] != plain.ids[0]);
  CHECK(std::count(banned.ids.begin(), banned.ids.end(), plain.ids[0]) == 0);

  std::vector<std::string> words;
  for (int id = 0; id < 84; ++id) words.push_back("<" + std::to_string(id) + ">");
  GenerateOptions o{.max_new_tokens = 6};
  o.bytes_of = [&](int id) -> std::string_view { return words[static_cast<std::size_t>(id)]; };
  const auto word = [&](std::size_t i) { return words[static_cast<std::size_t>(plain.ids[i])]; };
  o.stop_texts = {word(2).substr(1) + word(3).substr(0, 2)};  // it reaches over two tokens
  state = golden.prompts()[0];
  std::vector<int> streamed;
  const Generated stopped = generate(golden.engine, state, o, [&](int id) { streamed.push_back(id); });
  CHECK(stopped.stopped == StopReason::stop_text);
  CHECK(stopped.text == word(0) + word(1) + "<");
  CHECK(stopped.ids == std::vector<int>(plain.ids.begin(), plain.ids.begin() + 4));
  CHECK(streamed == stopped.ids);

  // What is streamed is decided: of the third word only what cannot begin the stop text, until it has.
  std::vector<std::string> pieces;
  o.on_text = [&](std::string_view piece) { pieces.emplace_back(piece); };
  state = golden.prompts()[0];
  generate(golden.engine, state, o);
  CHECK(pieces == std::vector<std::string>{word(0), word(1), "<"});
  o.stop_texts = {word(2).substr(1) + "!"};  // it never comes: the text waits for the token after
  pieces.clear();
  state = golden.prompts()[0];
  CHECK(generate(golden.engine, state, o).stopped == StopReason::length);
  CHECK(pieces == std::vector<std::string>{word(0), word(1), "<", word(2).substr(1) + word(3), word(4), word(5)});
  state = golden.prompts()[0];
  const Generated ended = generate(golden.engine, state, o, [&](int id) { return id != plain.ids[2]; });
  CHECK(ended.stopped == StopReason::cancelled);
  CHECK(ended.ids == std::vector<int>(plain.ids.begin(), plain.ids.begin() + 3));
  auto two = golden.prompts();
  CHECK_THROWS_WITH(generate(golden.engine, two, o), "[generate] there is one on_text for the texts of 2 sequences");
}

TEST_CASE("Writing ends where the context is full, with every position used") {
  Golden golden;
  TextState state = golden.state(range(5, 66));
  const Generated found = generate(golden.engine, state, {.max_new_tokens = 10});
  CHECK(found.stopped == StopReason::context);
  CHECK(found.ids.size() == 4);  // 61 tokens and 3 more are read; the 4th follows the last position
}

TEST_CASE("Generation refuses what makes no sense") {
  Golden golden;
  TextState state = golden.state({3, 5});
  const auto with = [&](const GenerateOptions& o) { generate(golden.engine, state, o); };
  CHECK_THROWS_WITH(with({.max_new_tokens = 0}), "[generate] max_new_tokens is 0, expected a positive number");
  CHECK_THROWS_WITH(with({.temperature = -1}), "[generate] temperature is -1, expected a number of at least 0");
  CHECK_THROWS_WITH(with({.top_p = 0}), "[generate] top_p is 0, expected above 0 and at most 1");
  CHECK_THROWS_WITH(with({.stop_ids = {-1}}), "[generate] stop_ids has the id -1, expected 0 to 83");
  CHECK_THROWS_WITH(with({.stop_texts = {"x"}}), Catch::Contains("no bytes_of"));
  CHECK_THROWS_WITH(golden.state({}), "[prompt] it is empty: there is nothing to read");
  CHECK_THROWS_WITH(golden.state(range(0, 65)), "[prompt] 65 tokens, the context holds 64");
  CHECK_THROWS_WITH(golden.state({3, 84}), "[prompt] token 1 is 84, expected 0 to 83");
  TextState empty;
  CHECK_THROWS_WITH(generate(golden.engine, empty, {}), Catch::Contains("no token that waits"));
}

}  // namespace generate_test
