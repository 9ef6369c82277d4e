#include <catch2/catch.hpp>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <flamingo/io/text_stream.hpp>

namespace text_stream_test {

using namespace flamingo::io;
using Ids = std::vector<std::int32_t>;

namespace {

constexpr const char* question = "\xef\xbf\xbd";  // U+FFFD

/// All bytes, "abc" and a special token.
Tokenizer byte_level() {
  Vocabulary v;
  for (const char32_t c : flamingo::io::detail::byte_characters()) append_utf8(v.tokens.emplace_back(), c);
  v.tokens.emplace_back("abc");
  v.added.push_back({.id = 257, .text = "</s>", .special = true});
  return Tokenizer(std::move(v));
}

/// <unk>, </s>, byte tokens (2 to 257), then words with ▁ for a space.
Tokenizer llama(Decoding::Leading leading, Decoding::Broken broken) {
  Vocabulary v;
  v.byte_level = false;
  v.tokens = {"<unk>", "</s>"};
  for (unsigned byte = 0; byte < 256; ++byte)
    v.tokens.push_back(flamingo::io::detail::byte_token(static_cast<unsigned char>(byte)));
  for (const char* word : {"\xe2\x96\x81", "\xe2\x96\x81\xe2\x96\x81", "\xe2\x96\x81the", "cat",
                           "\xe2\x96\x81"
                           "a\xe2\x96\x81"})
    v.tokens.emplace_back(word);
  v.unknown = 0;
  v.decoding = {.byte_level = false,
                .byte_tokens = true,
                .broken = broken,
                .leading = leading,
                .replace = {{"\xe2\x96\x81", " "}},
                .silent = {1},
                .unknown_text = " ? "};
  return Tokenizer(std::move(v));
}
constexpr std::int32_t space = 258, two_spaces = 259, the = 260, cat = 261, a = 262;
constexpr std::int32_t byte(int value) { return 2 + value; }

std::string streamed(const Tokenizer& tokenizer, const Ids& ids, DecodeOptions options = {}) {
  TextStream stream(tokenizer, options);
  std::string text;
  for (const std::int32_t id : ids) text += stream.push(id);
  return text + stream.finish();
}

}  // namespace

TEST_CASE("a stream gives whole characters only", "[io][text_stream]") {
  const Tokenizer tokenizer = byte_level();
  TextStream stream(tokenizer);
  CHECK(stream.push(0xf0).empty());
  CHECK(stream.push(0x9f).empty());
  CHECK(stream.push(0x98).empty());
  CHECK(stream.push(0x80) == "\xf0\x9f\x98\x80");
  CHECK(stream.push(256) == "abc");
  CHECK(stream.push(0xe6).empty());
  CHECK(stream.push('x') == std::string(question) + "x");
  CHECK(stream.push(0x80) == question);
  CHECK(stream.push(257) == "</s>");
  CHECK(stream.push(0xe6).empty());
  CHECK(stream.push(0x97).empty());
  CHECK(stream.finish() == question);  // one for the beginning of one character
  CHECK(stream.finish().empty());
  CHECK(streamed(tokenizer, {'a', 257, 'b'}, {.skip_special = true}) == "ab");
}

TEST_CASE("byte tokens complete characters among words", "[io][text_stream]") {
  const Tokenizer tokenizer = llama(Decoding::Leading::spaces, Decoding::Broken::run);
  TextStream stream(tokenizer);
  CHECK(stream.push(the) == "the");  // without the space before the first word
  CHECK(stream.push(the) == " the");
  CHECK(stream.push(byte(0xe6)).empty());
  CHECK(stream.push(byte(0x97)).empty());
  CHECK(stream.push(byte(0xa5)) == "\xe6\x97\xa5");
  CHECK(stream.push(byte(0xe6)).empty());
  CHECK(stream.push(cat) == std::string(question) + "cat");
  CHECK(stream.push(byte(0xe6)).empty());
  CHECK(stream.push(byte(0x97)).empty());
  CHECK(stream.finish() == std::string(question) + question);  // one a byte
}

TEST_CASE("a broken run of byte tokens is given up as a whole where text is decoded at once", "[io][text_stream]") {
  const Tokenizer tokenizer = llama(Decoding::Leading::kept, Decoding::Broken::run);
  const std::string q = question;
  CHECK(tokenizer.decode(Ids{byte('x'), byte(0xff), cat, byte('y')}) == q + q + "caty");
  CHECK(streamed(tokenizer, {byte('x'), byte(0xff), cat, byte('y')}) == "x" + q + "caty");
  const Tokenizer sentencepiece = llama(Decoding::Leading::kept, Decoding::Broken::byte);
  CHECK(sentencepiece.decode(Ids{byte('x'), byte(0xff), cat}) == "x" + q + "cat");
}

TEST_CASE("the space before the first word", "[io][text_stream]") {
  using Leading = Decoding::Leading;
  const auto text = [](Leading leading, const Ids& ids) {
    const Tokenizer tokenizer = llama(leading, Decoding::Broken::byte);
    const std::string whole = tokenizer.decode(ids);
    CHECK(streamed(tokenizer, ids) == whole);
    return whole;
  };
  CHECK(text(Leading::kept, {the, cat}) == " thecat");
  CHECK(text(Leading::spaces, {two_spaces, the}) == "  the");
  CHECK(text(Leading::spaces, {byte(' '), the}) == " the");
  CHECK(text(Leading::spaces, {cat, the}) == "cat the");
  CHECK(text(Leading::first_piece, {1, the, the}) == "the the");  // the end token gives no text
  CHECK(text(Leading::first_piece, {space, the}) == " the");
  CHECK(text(Leading::first_piece, {0, the}) == " ?  the");
  CHECK(text(Leading::first_piece, {byte(' '), the}) == "  the");
  CHECK(text(Leading::each_piece, {space, space, the, the}) == "the the");
  CHECK(text(Leading::each_piece, {two_spaces, the}) == "  the");
  CHECK(text(Leading::first_token, {a, a}) == "a a ");
}

TEST_CASE("a stream equals decoding at once", "[io][text_stream]") {
  std::mt19937 random(5);
  const auto agree = [&](const Tokenizer& tokenizer) {
    std::uniform_int_distribution<std::int32_t> id(0, tokenizer.size() - 1);
    std::uniform_int_distribution<int> length(0, 12);
    for (int i = 0; i < 301; ++i) {
      Ids ids;
      for (int n = length(random); n > 0; --n) ids.push_back(id(random));
      CHECK(streamed(tokenizer, ids, {.skip_special = i % 2 == 0}) ==
            tokenizer.decode(ids, {.skip_special = i % 2 == 0}));
    }
  };
  agree(byte_level());
  agree(llama(Decoding::Leading::first_piece, Decoding::Broken::byte));
  agree(llama(Decoding::Leading::each_piece, Decoding::Broken::byte));
}

}  // namespace text_stream_test
