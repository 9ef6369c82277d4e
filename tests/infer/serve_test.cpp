#include <flamingo/infer/serve.hpp>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <thread>

#include <flamingo/cpu.hpp>

#include "infer/tiny.hpp"

namespace serve_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<float>;
using Own = Tiny<P>;
using TinyEngine = decltype(Own::engine);
using TinyServer = Server<TinyEngine>;

constexpr Llama long_text{
    .dim = 16, .layers = 2, .heads = 2, .kv_heads = 1, .hidden = 24, .vocabulary = 19, .context = 700};

/// Every id as letters of its own, so that stop texts may reach over tokens.
std::string_view letters(int id) {
  static constexpr std::array<std::string_view, 13> all{"a", "b",  "ab", "c",  "ca", "\xC3", "\xA9",
                                                        "d", "bc", "e",  "da", "\n", "ee"};
  return all[static_cast<std::size_t>(id)];
}

/// What is asked of a model: a prompt of its own, and how it goes on.
struct Asked {
  Own::Document document;
  GenerateOptions options;
};
Asked asked(std::uint64_t seed) {
  Random random(seed, 1);
  Asked a;
  const int tokens = 1 + random.below(30);
  for (int t = 0; t < tokens; ++t) {
    a.document.ids.push_back(random.below(Own::V));
    if (random.below(9) == 0 && a.document.pictures.size() < 3) {
      a.document.tags.push_back(t);
      a.document.pictures.push_back(random.below(12));
    }
  }
  GenerateOptions& o = a.options;
  o.max_new_tokens = 1 + random.below(24);
  o.temperature = random.below(3) ? 0.5f + 0.25f * static_cast<float>(random.below(5)) : 0;
  o.top_k = random.below(2) ? 1 + random.below(Own::V) : 0;
  o.top_p = random.below(2) ? 0.8f : 1;
  o.seed = seed;
  o.bytes_of = letters;
  if (random.below(3) == 0) o.banned = {random.below(Own::V)};
  if (random.below(4) == 0) o.repetition_penalty = 1.3f;
  if (random.below(3) == 0) o.stop_ids = {random.below(Own::V)};
  if (random.below(2) == 0) o.stop_texts = {random.below(2) ? "ab" : "bca", "eee"};
  return a;
}
Generated alone(Own& own, const Asked& a) {
  TextState state = own.begin(a.document);
  own.engine.drop_unused_media();
  return generate(own.engine, state, a.options);
}
bool same(const Generated& a, const Generated& b) {
  return a.ids == b.ids && a.log_likelihoods == b.log_likelihoods && a.text == b.text && a.stopped == b.stopped;
}
/// Of an answer that was cut off: nothing that the whole one does not have.
bool begins(const Generated& whole, const Generated& part) {
  return part.ids.size() <= whole.ids.size() && std::equal(part.ids.begin(), part.ids.end(), whole.ids.begin()) &&
         std::equal(part.log_likelihoods.begin(), part.log_likelihoods.end(), whole.log_likelihoods.begin());
}

/// A request for it, which keeps what became of it.
struct Kept {
  Served served;
  std::string streamed;
  std::vector<int> tokens;
  int ends = 0;
  bool state = false;  ///< its sequence is kept too
};
Request<TinyEngine> request(Own& own, const Asked& a, Kept& kept) {
  Request<TinyEngine> r;
  r.prompt = [&own, d = a.document](TinyEngine&) { return own.begin(d); };
  r.options = a.options;
  r.options.on_text = [&kept](std::string_view text) { kept.streamed += text; };
  r.on_token = [&kept](int id) { kept.tokens.push_back(id); };
  r.on_end = [&kept](Served& served) {
    kept.served = std::move(served);
    if (!kept.state) kept.served.state = {};
    ++kept.ends;
  };
  return r;
}

/// Sessions in threads of their own, all over one server; each compares what it gets with what an engine of its own,
/// over the same weights, gives alone, and thinks for some time, at most `thinks`, before it asks again.
void mixed_load(int sessions, std::chrono::milliseconds time, std::chrono::milliseconds thinks) {
  Own own;
  TinyServer server(own.engine, {.running = 24, .tokens_a_pass = 40});
  const std::vector<int> shots{4, 0, 7, 2, 9, 1, 3}, query{5, 11};
  TextState prefix = own.begin({shots, {1, 3}, {2, 0}});
  TextState* const one[] = {&prefix};
  own.engine.read(one);
  const int rows = own.engine.text_rows_used();
  std::thread driver([&] { server.run(); });

  std::atomic<long> ended{0}, cancelled{0}, failed{0}, wrong{0};
  const auto until = std::chrono::steady_clock::now() + time;
  const auto session = [&](int number) {
    Context<P> ctx(1, std::size_t{1} << 28);
    auto engine = make_engine<Own::Model>(ctx, own.connector.views, own.lm.views, {.media = 4});
    const auto begin = [&](const Own::Document& d) {
      std::vector<CachedMedium> media;
      for (const int i : d.pictures) {
        Tensor<float> x = Own::features(i);
        media.push_back(engine.add_medium(x.rows_on<P>(), Own::frames(i)));
      }
      return engine.begin(d.sequence(), media);
    };
    for (std::uint64_t turn = 0; std::chrono::steady_clock::now() < until; ++turn) {
      const std::uint64_t seed = static_cast<std::uint64_t>(number) * 1'000'003 + turn;
      Random random(seed, 2);
      std::this_thread::sleep_for(thinks * random.below(100) / 100);
      Asked a = asked(seed);
      const int kind = random.below(8), cut = random.below(3) ? -1 : random.below(6);
      if (kind == 0) a.document = {shots, {1, 3}, {2, 0}};  // a copy of what was read, and a query
      if (kind == 0) a.document.ids.insert(a.document.ids.end(), query.begin(), query.end());
      if (kind == 1) a.document.ids[0] = Own::V;  // no token
      Kept kept;
      std::atomic<TinyServer::Id> id{0};
      std::atomic<bool> done{false};
      Request<TinyEngine> r = request(own, a, kept);
      if (kind == 0) {
        r.prompt = {};
        r.state = prefix;
        own.engine.append(r.state, query, std::vector<int>(2, 2));
      }
      if (cut >= 0 && random.below(2))  // cancelled by its own function
        r.on_token = [&](int token) {
          kept.tokens.push_back(token);
          if (static_cast<int>(kept.tokens.size()) > cut) {
            id.wait(0);
            server.cancel(id);
          }
        };
      r.on_end = [&, keep = r.on_end](Served& served) {
        keep(served);
        done = true;
        done.notify_one();
      };
      id = server.submit(std::move(r));
      id.notify_one();
      if (cut >= 0) {
        std::this_thread::sleep_for(std::chrono::microseconds(random.below(2000)));
        if (random.below(2)) server.cancel(id);
      }
      done.wait(false);
      const Generated& got = kept.served.written;
      ++ended;
      if (kind == 1) {
        ++failed;
        wrong += got.stopped != StopReason::failed || kept.served.error.find("token 0 is 13") == std::string::npos;
        if (got.stopped == StopReason::cancelled) --wrong;  // before its turn
        continue;
      }
      TextState state = begin(a.document);
      const Generated expected = generate(engine, state, a.options);
      if (got.stopped == StopReason::cancelled) {
        ++cancelled;
        wrong += !begins(expected, got);
      } else {
        wrong += !same(expected, got) || kept.tokens != got.ids;
      }
      wrong += kept.streamed != got.text || kept.ends != 1;
    }
  };
  std::vector<std::thread> threads;
  for (int s = 0; s < sessions; ++s) threads.emplace_back(session, s);
  for (std::thread& thread : threads) thread.join();
  server.close();
  driver.join();
  INFO(ended << " requests, " << cancelled << " cancelled, " << failed << " refused");
  CHECK(wrong == 0);
  CHECK((ended > sessions && cancelled > 0 && failed > 0));
  CHECK(own.engine.text_rows_used() == rows);
  prefix = {};
  CHECK(own.engine.text_rows_used() == 0);
  own.engine.drop_unused_media();
  CHECK(own.engine.media_cached() == 0);
  if (time > std::chrono::seconds(10)) WARN(ended << " requests in " << time.count() / 1000 << " s");
}

}  // namespace

TEST_CASE("Requests served together get the bits that each gets alone") {
  Own own, reference;
  constexpr int count = 40;
  std::vector<Kept> kept(count);
  TinyServer server(own.engine, {.running = 4, .tokens_a_pass = 11});  // prompts are read in pieces
  int most = 0;
  for (int i = 0; i < count; ++i) {  // they come while others run
    server.submit(request(own, asked(static_cast<std::uint64_t>(i)), kept[static_cast<std::size_t>(i)]));
    if (i % 3 == 0) server.step();
    most = std::max(most, server.running());
  }
  while (server.step()) most = std::max(most, server.running());
  CHECK(most == 4);
  std::array<int, 6> reasons{};
  for (int i = 0; i < count; ++i) {
    const Kept& k = kept[static_cast<std::size_t>(i)];
    const Generated expected = alone(reference, asked(static_cast<std::uint64_t>(i)));
    CHECK(same(k.served.written, expected));
    CHECK(k.streamed == expected.text);
    CHECK(k.tokens == expected.ids);
    CHECK(k.ends == 1);
    ++reasons[static_cast<std::size_t>(expected.stopped)];
  }
  CHECK((reasons[0] > 0 && reasons[1] > 0 && reasons[2] > 0 && reasons[3] > 0));  // every way to end is among them
  kept.clear();
  CHECK(own.engine.text_rows_used() == 0);
}

TEST_CASE("A long prompt is read in pieces while others write") {
  Own own;
  TinyServer server(own.engine, {.running = 3, .tokens_a_pass = 5});
  std::vector<Kept> kept(2);
  const Asked writes{{{3, 2, 7}, {}, {}}, {.max_new_tokens = 12}},
      reads{{std::vector<int>(28, 4), {}, {}}, {.max_new_tokens = 1}};
  Request<TinyEngine> first = request(own, writes, kept[0]), second = request(own, reads, kept[1]);
  first.options.on_text = second.options.on_text = {};
  server.submit(std::move(first));
  server.step();
  server.submit(std::move(second));
  for (int pass = 1; pass <= 7; ++pass) {
    const long before = own.engine.tokens_read();
    server.step();
    CHECK(own.engine.tokens_read() - before == 5);  // one that is written, four of the prompt
    CHECK(kept[0].tokens.size() == static_cast<std::size_t>(pass) + 1);
    CHECK(kept[1].ends == (pass == 7));
  }
}

TEST_CASE("A long prompt has the same bits in pieces of any size, wherever its rows lie") {
  using Text = LanguageModel<long_text, P>;
  const auto lm = random_weights<Text::Decoder, P>(5);
  Context<P> ctx(1);
  auto engine = make_engine<Text>(ctx, lm.views, {.text_rows = 1500});
  Random random(6, 7);
  Sequence prompt, other;
  for (int t = 0; t < 600; ++t) {
    prompt.ids.push_back(random.below(Text::V));
    other.ids.push_back(random.below(Text::V));
  }
  TextState whole = engine.begin(prompt);
  TextState* const one[] = {&whole};
  const auto expected = engine.next_logits(one);
  whole = {};
  for (const int piece : {37, 64, 250}) {
    TextState state = engine.begin(prompt), beside = engine.begin(other);
    TextState* const both[] = {&state, &beside};
    while (state.ids.size() > 1) {
      const int n = std::min(piece, static_cast<int>(state.ids.size()) - 1);
      const auto scope = ctx.scope();
      engine.read(both, std::array{n, std::min(n, 50)});
    }
    CHECK(state.rows.runs().size() > 1);
    TextState* const last[] = {&state};
    CHECK(engine.next_logits(last) == expected);
  }
}

TEST_CASE("A thousand queries over the same shots compute the shots once") {
  Own own;
  const std::vector<int> shots{4, 0, 7, 2, 9, 1, 3, 8, 0, 5};
  TextState prefix = own.begin({shots, {1, 8}, {2, 0}});
  TextState* const one[] = {&prefix};
  own.engine.read(one);
  long written = 0;
  const long before = own.engine.tokens_read();
  TinyServer server(own.engine);
  std::vector<Generated> answers(1000);
  for (int i = 0; i < 1000; ++i) {
    TextState query = prefix;
    own.engine.append(query, std::vector<int>{i % Own::V, i / Own::V % Own::V}, std::vector<int>{2, 2});
    server.submit({.state = std::move(query), .options = {.max_new_tokens = 3}, .on_end = [&, i](Served& served) {
                     answers[static_cast<std::size_t>(i)] = served.written;
                     written += static_cast<long>(served.written.ids.size());
                   }});
  }
  while (server.step()) {
  }
  CHECK(own.engine.tokens_read() - before == 1000 * 2 + written - 1000);  // the last token of each is not read
  CHECK(own.engine.text_rows_used() == 10);
  for (const int i : {0, 77, 168}) {
    auto whole = shots;
    whole.insert(whole.end(), {i % Own::V, i / Own::V % Own::V});
    TextState state = own.begin({whole, {1, 8}, {2, 0}});
    CHECK(same(generate(own.engine, state, {.max_new_tokens = 3}), answers[static_cast<std::size_t>(i)]));
  }
}

TEST_CASE("A conversation goes on from the state that a request ends with") {
  Own own;
  Kept first, second;
  first.state = true;
  TinyServer server(own.engine);
  const Asked a{{{3, 2, 0, 7}, {2}, {1}}, {.max_new_tokens = 4, .bytes_of = letters}};
  server.submit(request(own, a, first));
  while (server.step()) {
  }
  CHECK(own.engine.text_rows_used() == 7);
  Request<TinyEngine> more = request(own, a, second);
  more.prompt = {};
  more.state = std::move(first.served.state);
  own.engine.append(more.state, std::vector<int>{9, 1}, std::vector<int>{1, 1});
  server.submit(std::move(more));
  while (server.step()) {
  }
  TextState chat = own.begin(a.document);
  generate(own.engine, chat, a.options);
  own.engine.append(chat, std::vector<int>{9, 1}, std::vector<int>{1, 1});
  CHECK(same(second.served.written, generate(own.engine, chat, a.options)));
}

TEST_CASE("What fails, fails alone and says why; what is cancelled ends") {
  Own own;
  auto engine = make_engine<Own::Model>(own.ctx, own.connector.views, own.lm.views, {.text_rows = 30, .media = 2});
  TinyServer server(engine);
  std::vector<Kept> kept(8);
  const auto ask = [&](std::size_t i, std::vector<int> ids, int pictures, int most) {
    Request<TinyEngine> r;
    r.prompt = [&own, ids = std::move(ids), pictures](TinyEngine& e) {
      std::vector<CachedMedium> media;
      Sequence s;
      s.ids = ids;
      s.phi.assign(ids.size(), pictures);
      for (int p = 0; p < pictures; ++p) {
        Tensor<float> x = Own::features(3 * p);
        media.push_back(e.add_medium(x.rows_on<P>()));
      }
      return e.begin(s, media);
    };
    r.options.max_new_tokens = most;
    r.on_token = [&kept, i](int id) { kept[i].tokens.push_back(id); };
    r.on_end = [&kept, i](Served& served) {
      kept[i].served = std::move(served);
      kept[i].served.state = {};
      ++kept[i].ends;
    };
    return r;
  };
  server.submit(ask(0, {3, 2, 7}, 0, 9));
  server.submit(ask(1, {1, 2, 3}, 3, 5));                   // more media than there are places
  server.submit(ask(2, std::vector<int>(20, 4), 0, 30));    // 41 tokens of context, 30 rows
  server.submit(ask(3, std::vector<int>(42, 4), 0, 1));     // longer than the context
  server.submit(ask(4, std::vector<int>(12, 4), 0, 9));     // waits until there are rows
  const auto fifth = server.submit(ask(5, {5, 6}, 0, 20));  // waits behind it
  Request<TinyEngine> thrower = ask(6, {5, 6}, 0, 20);
  thrower.on_token = [](int) { fail("host", "it has no more ink"); };
  server.submit(std::move(thrower));
  server.step();
  CHECK((server.running() == 1 && server.waiting() == 6));  // the second waits for media that the first may hold
  for (int i = 0; i < 8; ++i) server.step();
  CHECK(kept[0].ends == 1);
  CHECK(kept[0].served.written.stopped == StopReason::length);
  for (int i = 0; i < 2; ++i) server.step();
  CHECK(kept[1].served.error == "[cache] all 2 places for media are in use; drop sequences or give the engine more");
  CHECK(kept[2].served.error ==
        "[serve] the request may take 41 rows of text, 30 of 30 are free and nothing runs that could free more; drop "
        "sequences or give the engine more text rows");
  CHECK(kept[3].served.error == "[prompt] 42 tokens, the context holds 41");
  CHECK((kept[1].ends == 1 && kept[2].ends == 1 && kept[3].ends == 1));
  CHECK((server.running() == 1 && server.waiting() == 2));
  server.cancel(fifth);
  server.cancel(12345);  // nobody
  while (server.step()) {
  }
  CHECK(kept[4].served.written.ids.size() == 9);
  CHECK(kept[5].served.written.stopped == StopReason::cancelled);
  CHECK(kept[5].tokens.empty());
  CHECK(kept[6].served.error == "[host] it has no more ink");
  CHECK(kept[6].served.written.ids.size() == 1);
  // What was cancelled has left its rows to the next.
  const auto large = server.submit(ask(0, std::vector<int>(10, 4), 0, 20));
  server.step();
  server.submit(ask(1, std::vector<int>(11, 4), 0, 20));
  server.step();
  CHECK((server.running() == 1 && server.waiting() == 1));
  server.cancel(large);
  while (server.step()) {
  }
  CHECK(kept[1].served.written.ids.size() == 20);
  TextState elsewhere = own.begin({{1}, {}, {}});
  server.submit({.state = elsewhere, .on_end = [&](Served& served) { kept[7].served.error = served.error; }});
  server.step();
  CHECK(kept[7].served.error == "[engine] a sequence is another engine's, or begun by none");
  CHECK_THROWS_WITH(server.submit({.options = {.max_new_tokens = 0}}), Catch::Contains("max_new_tokens is 0"));
  server.close();
  CHECK_FALSE(server.wait());
  CHECK_THROWS_WITH(server.submit({}), "[serve] the server is closed");
  CHECK_THROWS_WITH(TinyServer(engine, {.running = 4, .tokens_a_pass = 4}), Catch::Contains("expected more tokens"));
  CHECK(engine.text_rows_used() == 0);
}

TEST_CASE("Sessions in many threads share one server and do not meet") { mixed_load(12, std::chrono::seconds(3), {}); }

TEST_CASE("Sixty-four sessions for ten minutes", "[.all]") {
  const char* seconds = std::getenv("FLAMINGO_LOAD_SECONDS");
  mixed_load(64, std::chrono::seconds(seconds ? std::atoi(seconds) : 600), std::chrono::milliseconds(300));
}

}  // namespace serve_test
