#include <flamingo/io/sentencepiece.hpp>

#include <catch2/catch.hpp>

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "check/tokenizers.hpp"
#include "files.hpp"

namespace sentencepiece_test {

using namespace flamingo::io;
using namespace flamingo::tests;
using Ids = std::vector<std::int32_t>;

namespace {

const std::filesystem::path goldens = FLAMINGO_TEST_DATA "/goldens/tokenizers";

std::string field(int number, std::string_view bytes) {
  REQUIRE(bytes.size() < 128);
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} + std::string(bytes);
}
std::string piece(std::string_view text, int type = 1) {
  return field(1, field(1, text) + std::string("\x15\0\0\x80\xbf", 5) + std::string{'\x18', static_cast<char>(type)});
}
/// A unigram model: <unk>, </s>, and what follows.
std::string small(std::string_view more = "") {
  return piece("<unk>", 2) + piece("</s>", 3) + piece("\xe2\x96\x81") + piece("a") + piece("b") + std::string(more);
}

}  // namespace

TEST_CASE("ids, pieces and text of every golden tokenizer", "[io][sentencepiece]") {
  const auto results = flamingo::test::check_tokenizers(goldens);
  CHECK(results.size() == 6);
  for (const auto& result : results) {
    INFO(result.name << ": " << result.error << result.first);
    CHECK(result.strings == 124);
    CHECK(result.agrees());
  }
}

TEST_CASE("decoded text is the library's, whatever the ids", "[io][sentencepiece]") {
  for (const char* name : {"sp_unigram.model", "sp_bpe.model", "sp_unigram_nfkc.model"}) {
    const Tokenizer tokenizer = sentencepiece_tokenizer(goldens / name);
    sentencepiece::SentencePieceProcessor library;
    REQUIRE(library.Load((goldens / name).string()).ok());
    REQUIRE(tokenizer.size() == library.GetPieceSize());
    std::mt19937 random(3);
    std::uniform_int_distribution<std::int32_t> any(0, tokenizer.size() - 1), low(0, 270);
    std::uniform_int_distribution<int> length(0, 9);
    for (int i = 0; i < 499; ++i) {
      Ids ids;
      for (int n = length(random); n > 0; --n) ids.push_back(i % 2 ? any(random) : low(random));
      std::string expected;
      REQUIRE(library.Decode(ids, &expected).ok());
      CHECK(tokenizer.decode(ids) == expected);
    }
  }
}

TEST_CASE("a folder with tokenizer.model gives what its tokenizer.json would", "[io][sentencepiece]") {
  // hf_llama and hf_llama_legacy were made of sp_bpe.model.
  for (const char* name : {"hf_llama", "hf_llama_legacy"}) {
    const TemporaryFolder folder;
    std::filesystem::copy(goldens / "sp_bpe.model", folder.path() / "tokenizer.model");
    std::filesystem::copy(goldens / name / "tokenizer_config.json", folder.path() / "tokenizer_config.json");
    const Tokenizer model = Tokenizer::from_folder(folder.path(), read_sentencepiece);
    const Tokenizer json = Tokenizer::from_folder(goldens / name);
    CHECK(model.size() == json.size());
    CHECK(model.bos() == json.bos());
    for (const char* text :
         {"", " ", "a", " a", "a <image> b<image>c", "<image>", "\xe2\x96\x81", "x\xf0\x9f\x98\x80 y\n",
          "User:<fake_token_around_image><image> What?<end_of_utterance>\nAssistant:"})
      for (const bool special : {false, true}) {
        CAPTURE(name, text);
        const Ids ids = json.encode(text, {.parse_special = special, .add_special = special});
        CHECK(model.encode(text, {.parse_special = special, .add_special = special}) == ids);
        CHECK(model.decode(ids) == json.decode(ids));
        CHECK(model.decode(ids, {.skip_special = true}) == json.decode(ids, {.skip_special = true}));
      }
  }
}

TEST_CASE("a config may do without the space before the first word", "[io][sentencepiece]") {
  const TemporaryFolder folder;
  std::filesystem::copy(goldens / "sp_bpe.model", folder.path() / "tokenizer.model");
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer", "add_prefix_space": false})");
  const Tokenizer tokenizer = Tokenizer::from_folder(folder.path(), read_sentencepiece);
  const Ids ids = tokenizer.encode("cat a", {.add_special = true});
  CHECK(ids.front() == tokenizer.bos());
  CHECK(tokenizer.token(ids[1]).front() == 'c');
  CHECK(tokenizer.decode(ids, {.skip_special = true}) == "cat a");
  CHECK(tokenizer.decode(tokenizer.encode(" a")) == " a");
}

TEST_CASE("files that are no SentencePiece model end in one clear error", "[io][sentencepiece]") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& bytes) {
    const auto path = folder.write("t.model", bytes);
    return error_of([&] { read_sentencepiece(path); });
  };
  CHECK(error(small()).empty());
  const auto refused = [&](const std::string& bytes, std::string_view words) {
    CHECK_THAT(error(bytes), Catch::StartsWith("[sentencepiece] ") && Catch::Contains("t.model: ") &&
                                 Catch::Contains(std::string(words)));
  };
  refused("", "it has no pieces");
  refused("hello world", "expected");
  refused(small().substr(0, small().size() - 1), "ends beyond its message");
  refused(small() + "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "more than 64 bits");
  refused(small() + "\x0a\xff\xff\xff\x7f", "ends beyond its message");
  refused(small(piece("")), "piece 5 is empty");
  refused(small(piece("a")), "piece 5 is 'a', which was there before");
  refused(small(piece(std::string_view("x\0y", 3))), "piece 5 has a zero byte");
  refused(small(field(1, field(1, "x") + std::string("\x15\0\0\xc0\x7f", 5))), "piece 5 has the score nan");
  refused(small(field(2, "\x18\x09")), "model_type is 9");
  refused(piece("a"), "the library refuses it");  // no unknown piece
  refused(small(field(5, field(2, "abcdefgh"))), "rules for decoded text");
  // Normalisation rules: a size, a trie, texts.
  const auto rules = [&](const std::string& bytes) { return small(field(3, field(2, bytes))); };
  refused(rules("abc"), "cut short");
  refused(rules(std::string("\xff\0\0\0abcd", 8)), "has 255 bytes, expected less than 4");
  refused(rules(std::string("\4\0\0\0\0\0\0\0x", 9)), "do not end");
  refused(rules(std::string("\4\0\0\0\0\0\0\0\0", 9)), "the trie of the normalisation rules leaves itself");
  refused(rules(std::string("\4\0\0\0\xff\0\0\x80\0", 9)), "points beyond its texts");
}

TEST_CASE("damaged models are refused or work", "[io][sentencepiece]") {
  const TemporaryFolder folder;
  std::mt19937 random(11);
  int refused = 0, worked = 0;
  for (const char* name : {"sp_bpe.model", "sp_unigram_nfkc.model"}) {
    const std::string good = read_bytes(goldens / name);
    std::uniform_int_distribution<std::size_t> place(0, good.size() - 1), late(good.size() - 300, good.size() - 1);
    std::uniform_int_distribution<int> byte(0, 255);
    for (int i = 0; i < 41; ++i) {
      std::string bad = good;
      if (i % 4 == 0)
        bad.resize(place(random));
      else
        for (int n = i % 3; n >= 0; --n) bad[i % 2 ? place(random) : late(random)] = static_cast<char>(byte(random));
      const auto path = folder.write("bad.model", bad);
      const std::string error = error_of([&] {
        const Tokenizer tokenizer = sentencepiece_tokenizer(path);
        tokenizer.decode(tokenizer.encode("It's \xef\xac\x81ne \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80 \xff"));
        ++worked;
      });
      if (!error.empty()) ++refused;
    }
  }
  CHECK(refused + worked == 82);
  CHECK(refused > 20);
}

}  // namespace sentencepiece_test
