#include <catch2/catch.hpp>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/io/json.hpp>
#include <flamingo/io/tokenizer.hpp>

#include "files.hpp"
#include "gguf_writer.hpp"

namespace tokenizer_test {

using namespace flamingo::io;
using namespace flamingo::tests;
using Ids = std::vector<std::int32_t>;

namespace {

/// All bytes but 0xff, some merges, three special tokens (one a prefix of another) and one that is always found.
Vocabulary tiny() {
  Vocabulary vocabulary;
  const auto characters = flamingo::io::detail::byte_characters();
  for (std::size_t byte = 0; byte < 255; ++byte) {
    std::string text;
    append_utf8(text, characters[byte]);
    vocabulary.tokens.push_back(text);
  }
  for (const char* merge : {"a b", "ab c", "b c", "\xc4\xa0 a", "ab ab", "\xc3\x83 \xc2\xa9"}) {
    const auto& [left, right] = vocabulary.merges.emplace_back(merge_of(merge, 0, ""));
    vocabulary.tokens.push_back(left + right);
  }
  for (const char* text : {"<s>", "<s>>", "</s>", "<image>"}) {
    const auto id = static_cast<std::int32_t>(vocabulary.tokens.size());
    vocabulary.added.push_back({.id = id, .text = text, .special = id != 264});
    vocabulary.tokens.emplace_back(text);
  }
  vocabulary.bos = 261;
  vocabulary.eos = 263;
  return vocabulary;
}

constexpr std::int32_t ab = 255, abc = 256, bc = 257, space_a = 258, abab = 259, e_acute = 260;

std::string error_with(void (*change)(Vocabulary&)) {
  return error_of([&] {
    Vocabulary vocabulary = tiny();
    change(vocabulary);
    Tokenizer{std::move(vocabulary)};
  });
}

std::string smollm2_path() {
  const char* path = std::getenv("FLAMINGO_SMOLLM2_GGUF");
  if (path == nullptr) WARN("skipped: FLAMINGO_SMOLLM2_GGUF does not name SmolLM2-135M-Instruct.Q4_1.gguf");
  return path == nullptr ? "" : path;
}

}  // namespace

TEST_CASE("merges go by rank, then from the left", "[io][tokenizer]") {
  const Tokenizer tokenizer(tiny());
  CHECK(tokenizer.encode("").empty());
  CHECK(tokenizer.encode("abc") == Ids{abc});
  CHECK(tokenizer.encode("bc") == Ids{bc});
  CHECK(tokenizer.encode("abab") == Ids{abab});
  CHECK(tokenizer.encode("ababab") == Ids{abab, ab});
  CHECK(tokenizer.encode("abcab") == Ids{abc, ab});
  CHECK(tokenizer.encode("bbc") == Ids{'b', bc});
  CHECK(tokenizer.encode("ab a") == Ids{ab, space_a});
  CHECK(tokenizer.encode("\xc3\xa9") == Ids{e_acute});
  CHECK(tokenizer.find("\xc4\xa0"
                       "a") == space_a);
  CHECK(tokenizer.find("zzz") == std::nullopt);
  CHECK(tokenizer.bos() == 261);
  CHECK(tokenizer.eos() == 263);
  CHECK_FALSE(tokenizer.unknown());
}

TEST_CASE("special tokens are found on request, the longest first", "[io][tokenizer]") {
  const Tokenizer tokenizer(tiny());
  CHECK(tokenizer.encode("<s>>a</s>", {.parse_special = true}) == Ids{262, 'a', 263});
  CHECK(tokenizer.encode("<s>a<s", {.parse_special = true}) == Ids{261, 'a', '<', 's'});
  CHECK(tokenizer.encode("<s>") == Ids{'<', 's', '>'});
  CHECK(tokenizer.encode("a<image>b") == Ids{'a', 264, 'b'});
  CHECK(tokenizer.decode(Ids{262, 'a', 264}) == "<s>>a<image>");
}

TEST_CASE("decode undoes encode", "[io][tokenizer]") {
  const Tokenizer tokenizer(tiny());
  std::mt19937 random(7);
  std::uniform_int_distribution<int> byte(0, 254), length(0, 40), letter('a', 'c');
  for (int i = 0; i < 503; ++i) {
    std::string text;
    for (int n = length(random); n > 0; --n) text += static_cast<char>(i % 2 ? byte(random) : letter(random));
    const Ids ids = tokenizer.encode(text, {.parse_special = i % 3 == 0});
    std::string bytes;
    for (const std::int32_t id : ids) bytes += tokenizer.bytes(id);
    CHECK(bytes == text);
    if (i % 2 == 0) CHECK(tokenizer.decode(ids) == text);
  }
  // decode gives UTF-8 alone.
  CHECK(tokenizer.decode(Ids{0xf0, 0x9f, 0x98, 'x', 0x80, 0xe6}) == "\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd");
  // 0xff is not in this vocabulary.
  CHECK(tokenizer.encode("a\xff"
                         "b") == Ids{'a', 'b'});
  CHECK(error_of([&] { tokenizer.decode(Ids{265}); }) == "[tokenizer] got the id 265, expected 0 to 264");
  CHECK(error_of([&] { tokenizer.decode(Ids{-1}); }) == "[tokenizer] got the id -1, expected 0 to 264");
}

TEST_CASE("long words take no quadratic time", "[io][tokenizer]") {
  const Tokenizer tokenizer(tiny());
  std::string text;
  for (int i = 0; i < 500'000; ++i) text += "ab";
  CHECK(tokenizer.encode(text) == Ids(250'000, abab));
}

TEST_CASE("vocabularies that make no sense are refused", "[io][tokenizer]") {
  CHECK(error_with([](Vocabulary& v) { v = {}; }) == "[tokenizer] it has no tokens");
  CHECK_THAT(error_with([](Vocabulary& v) { v.tokens.emplace_back("ab"); }),
             Catch::Contains("tokens 255 and 265 are both 'ab'"));
  CHECK_THAT(error_with([](Vocabulary& v) {
               v.merges[2] = {"x", "y"};
             }),
             Catch::Contains("merge 2 needs 'xy', which is no token"));
  CHECK_THAT(error_with([](Vocabulary& v) { v.added[0].id = 300'000'000; }),
             Catch::Contains("'<s>' has the id 300000000, expected 0 to"));
  CHECK_THAT(error_with([](Vocabulary& v) { v.added[0].id = -1; }), Catch::Contains("has the id -1"));
  CHECK_THAT(error_with([](Vocabulary& v) { v.added[0].id = 5; }), Catch::Contains("'<s>' has the id 5, which is '"));
  CHECK_THAT(error_with([](Vocabulary& v) { v.added[0].text.clear(); }), Catch::Contains("id 261 is empty"));
  CHECK_THAT(error_with([](Vocabulary& v) { v.before = {999}; }),
             Catch::Contains("has the id 999, expected one of a token, 0 to 264"));
  CHECK_THAT(error_with([](Vocabulary& v) { v.eos = -2; }), Catch::Contains("has the id -2"));
}

TEST_CASE("tokenizers from gguf files", "[io][tokenizer]") {
  const TemporaryFolder folder;
  const auto made = [&](const std::string& model, const std::string& pre, std::uint32_t types_type) {
    GgufWriter writer;
    writer.key("tokenizer.ggml.model", 8, GgufWriter::string(model));
    writer.key("tokenizer.ggml.pre", 8, GgufWriter::string(pre));
    const auto text = [](const char* s) { return GgufWriter::string(s); };
    writer.key("tokenizer.ggml.tokens", 9,
               GgufWriter::array(8, {text("<s>"), text("a"), text("b"), text("ab"), text("<image>")}));
    writer.key("tokenizer.ggml.merges", 9, GgufWriter::array(8, {text("a b")}));
    const auto type = [](std::int32_t t) { return bytes_of(t); };
    writer.key("tokenizer.ggml.token_type", 9,
               GgufWriter::array(types_type, {type(3), type(1), type(1), type(1), type(4)}));
    writer.key("tokenizer.ggml.eos_token_id", 4, bytes_of(0u));
    return folder.write("t.gguf", writer.file());
  };
  const Tokenizer tokenizer = Tokenizer::from_gguf(Gguf(made("gpt2", "smollm", 5)));
  CHECK(tokenizer.size() == 5);
  CHECK(tokenizer.eos() == 0);
  CHECK_FALSE(tokenizer.bos());
  CHECK(tokenizer.encode("<s>aab<image>", {.parse_special = true}) == Ids{0, 1, 3, 4});
  CHECK(tokenizer.encode("<s>ab<image>") == Ids{3, 4});
  const auto error = [&](const std::string& model, const std::string& pre, std::uint32_t types_type) {
    return error_of([&] { Tokenizer::from_gguf(Gguf(made(model, pre, types_type))); });
  };
  CHECK_THAT(error("llama", "x", 5), Catch::Contains("t.gguf: tokenizer.ggml.model is 'llama', expected 'gpt2'"));
  CHECK_THAT(error("gpt2", "falcon", 5),
             Catch::Contains("tokenizer.ggml.pre is 'falcon', expected one of gpt-2, smollm"));
  CHECK_THAT(error("gpt2", "smollm", 6), Catch::Contains("the type of token 0 is -1, expected 1 to 6"));
}

TEST_CASE("ids of the packaged SmolLM2 vocabulary", "[io][tokenizer]") {
  const std::string path = smollm2_path();
  if (path.empty()) return;
  const Tokenizer tokenizer = Tokenizer::from_gguf(Gguf(path));
  CHECK(tokenizer.size() == 49'152);
  CHECK(tokenizer.bos() == 1);
  CHECK(tokenizer.eos() == 2);
  CHECK(tokenizer.find("<|im_end|>") == 2);
  const MappedFile file(FLAMINGO_TEST_DATA "/fixtures/tokenizer/smollm2.json");
  const Json rows = Json::parse(file.text(), file.path().string());
  CHECK(rows.as_array().size() == 33);
  for (const Json& row : rows.as_array()) {
    const auto ids = [&](const char* name) {
      Ids result;
      for (const Json& id : row.at(name).as_array()) result.push_back(static_cast<std::int32_t>(id.as_integer()));
      return result;
    };
    const std::string& text = row.at("text").as_string();
    CAPTURE(text);
    CHECK(tokenizer.encode(text) == ids("plain"));
    CHECK(tokenizer.encode(text, {.parse_special = true}) == ids(row.find("special") == nullptr ? "plain" : "special"));
    CHECK(tokenizer.decode(tokenizer.encode(text)) == text);
  }
}

TEST_CASE("each rule for added tokens", "[io][tokenizer]") {
  // Ids beyond the list, with a hole before them.
  const auto ids = [](AddedToken token, std::string_view text, EncodeOptions options = {.parse_special = true}) {
    Vocabulary v = tiny();
    token.id = 270;
    v.added.push_back(token);
    const Tokenizer tokenizer(std::move(v));
    CHECK(tokenizer.size() == 271);
    CHECK(tokenizer.token(266).empty());
    CHECK(tokenizer.decode(Ids{'a', 266, 'b'}) == "ab");
    return tokenizer.encode(text, options);
  };
  CHECK(ids({.text = "cat"}, " cat ") == Ids{' ', 270, ' '});
  CHECK(ids({.text = "cat", .left_strip = true},
            "a \n\xe3\x80\x80"
            "cat ") == Ids{'a', 270, ' '});
  CHECK(ids({.text = "cat", .right_strip = true}, "a cat \xc2\xa0 b") == Ids{'a', ' ', 270, 'b'});
  CHECK(ids({.text = "cat", .left_strip = true, .right_strip = true}, " cat cat ") == Ids{270, 270});
  CHECK(ids({.text = "cat", .single_word = true},
            "cat cats \xc3\xa9"
            "cat cat.") == Ids{270, ' ', 'c', 'a', 't', 's', ' ', e_acute, 'c', 'a', 't', ' ', 270, '.'});
  CHECK(ids({.text = "cat", .special = true}, "cat", {}) == Ids{'c', 'a', 't'});
  // What lies in a special token that is not asked for is plain text.
  CHECK(ids({.text = "a<image>", .special = true}, "a<image>", {}) == Ids{'a', '<', 'i', 'm', 'a', 'g', 'e', '>'});
}

TEST_CASE("normalized tokens are found in the normalised text", "[io][tokenizer]") {
  Vocabulary v = tiny();
  v.normalizers = {{Normalizer::Kind::nfc, "", ""}, {Normalizer::Kind::replace, "--", "-"}};
  v.added.push_back({.id = 265, .text = "e\xcc\x81-", .normalized = true});
  v.added.push_back({.id = 266, .text = "b--"});
  const Tokenizer tokenizer(std::move(v));
  CHECK(tokenizer.encode("e\xcc\x81--a") == Ids{265, 'a'});
  CHECK(tokenizer.encode("\xc3\xa9-a--") == Ids{265, 'a', '-'});
  CHECK(tokenizer.encode("b--b-") == Ids{266, 'b', '-'});
  CHECK_THAT(error_with([](Vocabulary& w) {
               for (int i = 0; i < 9; ++i) w.normalizers.push_back({Normalizer::Kind::replace, "a", "aa"});
             }),
             Catch::Contains("more than 256 times longer"));
  CHECK_THAT(error_with([](Vocabulary& w) {
               w.normalizers = {{Normalizer::Kind::replace, "", "a"}};
             }),
             Catch::Contains("replaces an empty pattern"));
}

TEST_CASE("a template stands around a text on request", "[io][tokenizer]") {
  Vocabulary v = tiny();
  v.before = {261};
  v.after = {263, 263};
  const Tokenizer tokenizer(std::move(v));
  CHECK(tokenizer.encode("ab") == Ids{ab});
  CHECK(tokenizer.encode("ab", {.add_special = true}) == Ids{261, ab, 263, 263});
  CHECK(tokenizer.encode("", {.add_special = true}) == Ids{261, 263, 263});
  CHECK(tokenizer.decode(Ids{261, ab, 263}) == "<s>ab</s>");
  CHECK(tokenizer.decode(Ids{261, ab, 263}, {.skip_special = true}) == "ab");
}

}  // namespace tokenizer_test
