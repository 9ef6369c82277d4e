#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <vector>

#include <flamingo/io/pre_tokenizer.hpp>

namespace pre_tokenizer_test {

using namespace flamingo::io;
using Words = std::vector<std::string>;

namespace {

Words words(std::string_view text, PreTokenizer kind) {
  Words result;
  for_each_word(text, kind, [&](std::string_view word) { result.emplace_back(word); });
  return result;
}

}  // namespace

TEST_CASE("gpt2 words", "[io][pre_tokenizer]") {
  const auto gpt2 = [](std::string_view text) { return words(text, PreTokenizer::gpt2); };
  CHECK(gpt2("").empty());
  CHECK(gpt2("Hello  world") == Words{"Hello", " ", " world"});
  CHECK(gpt2("a   ") == Words{"a", "   "});
  CHECK(gpt2(" ") == Words{" "});
  CHECK(gpt2("\n\nx") == Words{"\n", "\n", "x"});
  CHECK(gpt2(" \tx") == Words{" ", "\t", "x"});
  CHECK(gpt2("it's I'll 'tis 'LL") == Words{"it", "'s", " I", "'ll", " '", "tis", " '", "LL"});
  CHECK(gpt2("'reverse") == Words{"'re", "verse"});
  CHECK(gpt2("x1234 56!?a") == Words{"x", "1234", " 56", "!?", "a"});
  CHECK(gpt2("caf\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac") == Words{"caf\xc3\xa9", " \xe6\x97\xa5\xe6\x9c\xac"});
  CHECK(gpt2("a\xc2\xa0\xc2\xa0"
             "b") == Words{"a", "\xc2\xa0", "\xc2\xa0", "b"});
  CHECK(gpt2("a\xff\xfe"
             "b") == Words{"a", "\xff\xfe", "b"});
}

TEST_CASE("smollm words: a number character is a word", "[io][pre_tokenizer]") {
  const auto smollm = [](std::string_view text) { return words(text, PreTokenizer::smollm); };
  CHECK(smollm("x1234 56!") == Words{"x", "1", "2", "3", "4", " ", "5", "6", "!"});
  // The spaces before a number end their piece, so none is left over for a next word.
  CHECK(smollm("a   7") == Words{"a", "   ", "7"});
  CHECK(smollm("\xc2\xbd"
               "cup") == Words{"\xc2\xbd", "cup"});
}

TEST_CASE("llama3 words", "[io][pre_tokenizer]") {
  const auto llama3 = [](std::string_view text) { return words(text, PreTokenizer::llama3); };
  CHECK(llama3("").empty());
  CHECK(llama3("Hello  world") == Words{"Hello", " ", " world"});
  CHECK(llama3("It'S I'LL'Re 'tis '") == Words{"It", "'S", " I", "'LL", "'Re", " '", "tis", " '"});
  CHECK(llama3("'\xc5\xbf'x") == Words{"'\xc5\xbf", "'x"});
  CHECK(llama3("1234567 89") == Words{"123", "456", "7", " ", "89"});
  CHECK(llama3("(a)\tb\n\n c") == Words{"(a", ")", "\tb", "\n\n", " c"});
  CHECK(llama3("!!\r\n\nx ?!\n") == Words{"!!\r\n\n", "x", " ?!\n"});
  CHECK(llama3(" \n  \n  x") == Words{" \n  \n", " ", " x"});
  CHECK(llama3("a   ") == Words{"a", "   "});
  CHECK(llama3("\nx") == Words{"\n", "x"});
  CHECK(llama3("\xe6\x97\xa5\xe3\x80\x82\xe6\x9c\xac") == Words{"\xe6\x97\xa5", "\xe3\x80\x82\xe6\x9c\xac"});
  CHECK(words("1234a", PreTokenizer::qwen2) == Words{"1", "2", "3", "4", "a"});
  CHECK(words("a b", PreTokenizer::whole) == Words{"a b"});
  CHECK(words("", PreTokenizer::whole).empty());
}

TEST_CASE("pre-tokenizers by name", "[io][pre_tokenizer]") {
  CHECK(pre_tokenizer("smollm") == PreTokenizer::smollm);
  CHECK(pre_tokenizer("gpt-2") == PreTokenizer::gpt2);
  CHECK(pre_tokenizer("llama-bpe") == PreTokenizer::llama3);
  CHECK_FALSE(pre_tokenizer("falcon"));
  const auto named = [](std::string_view numbers) {
    return pre_tokenizer_of_expression(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)" +
                                       std::string(numbers) + R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)");
  };
  CHECK(named(R"(\p{N}{1,3})") == PreTokenizer::llama3);
  CHECK(named(R"(\p{N})") == PreTokenizer::qwen2);
  CHECK_FALSE(named(R"(\p{N}{1,4})"));
  CHECK(pre_tokenizer_of_expression(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)") ==
        PreTokenizer::gpt2);
  CHECK_FALSE(pre_tokenizer_of_expression("\\s+"));
  CHECK_FALSE(pre_tokenizer_of_expression(""));
}

}  // namespace pre_tokenizer_test
