#include <flamingo/infer/cache_file.hpp>

#include <catch2/catch.hpp>

#include <flamingo/cpu.hpp>
#include <flamingo/infer/generate.hpp>

#include "infer/tiny.hpp"
#include "io/files.hpp"

namespace cache_file_test {

using namespace flamingo;
using namespace flamingo::test;

namespace {

using P = Cpu<float>;
using Own = Tiny<P>;
using Files = CacheFiles<decltype(Own::engine)>;

/// The file again, with what `change` makes of its tensors and metadata.
template <class F>
void rewrite(const std::filesystem::path& from, const std::filesystem::path& to, const F& change) {
  const io::Safetensors file(from);
  std::vector<io::TensorView> tensors(file.tensors().begin(), file.tensors().end());
  io::Metadata metadata = file.metadata();
  change(tensors, metadata);
  io::write_safetensors(to, tensors, metadata);
}
io::TensorView& named(std::vector<io::TensorView>& tensors, std::string_view name) {
  return *std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.name == name; });
}
/// The two shots of a prompt, read.
TextState shots_of(Own& own) {
  TextState state = own.begin({{4, 0, 7, 2, 9, 1, 3}, {1, 3}, {2, 0}});
  TextState* const one[] = {&state};
  own.engine.read(one);
  return state;
}
Generated answer(Own& own, TextState state, const CachedMedium& medium) {
  own.engine.append(state, std::vector<int>{0, 5, 11}, std::vector<int>{3, 3, 3}, std::array{medium});
  return generate(own.engine, state, {.max_new_tokens = 9});
}

}  // namespace

TEST_CASE("Media out of a file are those that were computed, found by their content too") {
  const tests::TemporaryFolder folder;
  const auto path = folder.path() / "media.safetensors";
  Own made;
  const std::vector<CachedMedium> computed{made.medium(1), made.medium(2), made.medium(0)};
  Files(made.engine).save_media(path, computed);

  Own own;
  const CachedMedium other = own.medium(5);  // so that places differ
  const auto loaded = Files(own.engine).load_media(path);
  REQUIRE(loaded.size() == 3);
  CHECK(own.engine.media_cached() == 4);
  CHECK(own.medium(2).is(loaded[1]));
  CHECK(own.medium(0).is(loaded[2]));
  CHECK(own.engine.media_cached() == 4);
  CHECK(loaded[0].place() != computed[0].place());
  Sequence s{.ids = {0, 3, 0, 7, 5}, .phi = {1, 1, 2, 2, 2}};
  TextState here = own.engine.begin(s, std::array{loaded[1], loaded[0]}),
            there = made.engine.begin(s, std::array{computed[1], computed[0]});
  const Generated a = generate(own.engine, here, {.max_new_tokens = 12}),
                  b = generate(made.engine, there, {.max_new_tokens = 12});
  CHECK(a.ids == b.ids);
  CHECK(a.log_likelihoods == b.log_likelihoods);
  CHECK(Files(own.engine).load_media(path)[1].is(loaded[1]));  // once more: they are there
  CHECK_THROWS_WITH(Files(own.engine).save_media(path, computed), "[cache] a medium is another engine's");
  auto narrow = make_engine<Own::Model>(own.ctx, own.connector.views, own.lm.views, {.text_rows = 9, .media = 2});
  CHECK_THROWS_AS(Files(narrow).load_media(path), CacheFull);
  narrow.drop_unused_media();
  CHECK(narrow.media_cached() == 0);
}

TEST_CASE("A sequence out of a file goes on as it would have, and none of it is read again") {
  const tests::TemporaryFolder folder;
  const auto path = folder.path() / "shots.safetensors";
  Generated expected;
  {
    Own made;
    TextState shots = shots_of(made);
    shots.stream = 77;
    Files(made.engine).save_state(path, shots);
    expected = answer(made, shots, made.medium(3));
  }
  Own own;
  const TextState in_the_way = own.begin({{1, 2}, {}, {}});
  Files files(own.engine);
  const TextState shots = files.load_state(path);
  CHECK(shots.stream == 77);
  const long before = own.engine.tokens_read();
  const Generated got = answer(own, shots, own.medium(3));
  CHECK(own.engine.tokens_read() - before == 3 + static_cast<long>(got.ids.size()) - 1);
  CHECK(got.ids == expected.ids);
  CHECK(got.log_likelihoods == expected.log_likelihoods);
  CHECK(own.medium(2).is(shots.media[0]));

  // What waits is kept too, and a sequence whose rows lie in several runs.
  TextState waits = shots;
  own.engine.append(waits, std::vector<int>{0, 5}, std::vector<int>{3, 3}, std::array{own.medium(2)});
  TextState* const both[] = {&waits};
  own.engine.read(both, 1);
  CHECK(waits.rows.runs().size() > 0);
  files.save_state(path, waits);
  TextState again = files.load_state(path);
  CHECK((again.ids == waits.ids && again.phi == waits.phi && again.runs == waits.runs));
  CHECK(again.media[2].is(again.media[0]));
  CHECK(generate(own.engine, again, {.max_new_tokens = 5}).log_likelihoods ==
        generate(own.engine, waits, {.max_new_tokens = 5}).log_likelihoods);
}

TEST_CASE("Caches in bfloat16 are kept as they are, and no other engine takes them") {
  using Short = Tiny<P, tiny_config, bfloat16>;
  const tests::TemporaryFolder folder;
  const auto path = folder.path() / "shots.safetensors", exact = folder.path() / "exact.safetensors";
  Short made, own;
  TextState shots = made.begin({{4, 0, 7, 2, 9, 1, 3}, {1, 3}, {2, 0}});
  TextState* const one[] = {&shots};
  made.engine.read(one);
  CacheFiles(made.engine).save_state(path, shots);
  TextState loaded = CacheFiles(own.engine).load_state(path);
  for (TextState* state : {&shots, &loaded}) state->append(5);
  CHECK(generate(own.engine, loaded, {.max_new_tokens = 9}).log_likelihoods ==
        generate(made.engine, shots, {.max_new_tokens = 9}).log_likelihoods);
  Own others;
  Files(others.engine).save_state(exact, shots_of(others));
  CHECK_THROWS_WITH(Files(others.engine).load_state(path), Catch::Contains("'media.k.0' is bf16, expected f32"));
  CHECK_THROWS_WITH(CacheFiles(own.engine).load_state(exact), Catch::Contains("'media.k.0' is f32, expected bf16"));
}

TEST_CASE("Another model's file is refused, and one that makes no sense") {
  const tests::TemporaryFolder folder;
  const auto path = folder.path() / "shots.safetensors", media = folder.path() / "media.safetensors",
             bad = folder.path() / "bad.safetensors";
  Own own;
  Files files(own.engine);
  files.save_media(media, std::array{own.medium(1)});
  files.save_state(path, shots_of(own));
  CHECK_THROWS_WITH(files.load_state(media), Catch::Contains("its kind is flamingo cache 1 media, expected flamingo "
                                                             "cache 1 sequence"));
  // The same config, other weights: of the connector, and of the decoder alone.
  const auto connector = random_weights<Own::Model::Connect, P>(3);
  const auto lm = random_weights<Own::Model::Decoder, P>(4);
  {
    auto engine = make_engine<Own::Model>(own.ctx, connector.views, own.lm.views, {.text_rows = 20, .media = 4});
    CHECK_THROWS_WITH(Files(engine).load_media(media), Catch::Contains("it was made by other weights"));
    CHECK_THROWS_WITH(Files(engine).load_state(path), Catch::Contains("it was made by other weights"));
  }
  {
    auto engine = make_engine<Own::Model>(own.ctx, own.connector.views, lm.views, {.text_rows = 20, .media = 4});
    CHECK(Files(engine).load_media(media).size() == 1);
    CHECK_THROWS_WITH(Files(engine).load_state(path), Catch::Contains("number 0 of its fingerprint.lm is"));
    CHECK(engine.text_rows_used() == 0);
  }
  const auto refused = [&](const auto& change) {
    rewrite(path, bad, change);
    own.engine.drop_unused_media();  // what is cached is not read
    const int rows = own.engine.text_rows_used();
    std::string error;
    try {
      files.load_state(bad);
    } catch (const Error& e) {
      error = e.what();
    }
    CHECK(own.engine.text_rows_used() == rows);
    REQUIRE(!error.empty());
    return error.substr(error.find(": ") + 2);
  };
  using Tensors = std::vector<io::TensorView>;
  CHECK(refused([](Tensors&, io::Metadata& m) { m.pop_back(); }) ==
        "its metadata have no 'lm': it holds no cached sequence");
  CHECK_THAT(refused([](Tensors&, io::Metadata& m) { m[2].second = "{.every = 3}"; }),
             Catch::StartsWith("its xattn is {.every = 3}, expected {.every = 2"));
  CHECK_THAT(refused([](Tensors& t, io::Metadata&) {
               t.erase(std::find_if(t.begin(), t.end(), [](const auto& x) { return x.name == "text.v.3"; }));
             }),
             Catch::StartsWith("there is no tensor 'text.v.3'"));
  CHECK(refused([](Tensors& t, io::Metadata&) { named(t, "media.latents").dtype = io::DType::i32; }) ==
        "'media.latents' is i32 (6, 11), expected f32 (6, 11)");
  const std::int32_t thirteen = 13, far = 9;
  CHECK(refused([&](Tensors& t, io::Metadata&) {
          named(t, "state.ids").shape = named(t, "state.phi").shape = {1};
          named(t, "state.ids").bytes = named(t, "state.phi").bytes = std::as_bytes(std::span(&thirteen, 1));
        }) == "state.ids has 13, expected 0 to 12");
  const std::array<std::int32_t, 2> places{0, far};
  CHECK(refused([&](Tensors& t, io::Metadata&) { named(t, "state.media").bytes = std::as_bytes(std::span(places)); }) ==
        "state.media has 9, expected 0 to 1");
  const std::array<std::int64_t, 4> numbers{0, 5, -1, 0};
  CHECK(refused([&](Tensors& t, io::Metadata&) {
          named(t, "state.numbers").bytes = std::as_bytes(std::span(numbers));
        }) == "its last φ are 5 and -1 of 2 media");
  TextState nobodys;
  CHECK_THROWS_WITH(files.save_state(bad, nobodys), Catch::Contains("another engine's, or begun by none"));
}

}  // namespace cache_file_test
