#include <catch2/catch.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include <flamingo/io/tokenizer.hpp>

#include "files.hpp"

namespace tokenizer_folder_test {

using namespace flamingo::io;
using namespace flamingo::tests;
using Ids = std::vector<std::int32_t>;

namespace {

const std::string tokenizer_json = R"({"added_tokens": [{"id": 3, "content": "<s>", "special": true}],
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}, "decoder": {"type": "ByteLevel"},
  "model": {"vocab": {"a": 0, "b": 1, "Ġ": 2}, "merges": []}})";

/// A folder with tokenizer.json and a tokenizer_config.json of these members.
struct Folder : TemporaryFolder {
  explicit Folder(const std::string& config) {
    write("tokenizer.json", tokenizer_json);
    write("tokenizer_config.json", "{" + config + "}");
  }
  Tokenizer open() const { return Tokenizer::from_folder(path()); }
  std::string error() const {
    return error_of([&] { open(); });
  }
};

}  // namespace

TEST_CASE("tokenizer_config.json adds tokens and names roles", "[io][tokenizer_folder]") {
  const Tokenizer tokenizer =
      Folder(R"("bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}, "pad_token": null,
                "added_tokens_decoder": {"3": {"content": "<s>", "special": true},
                "4": {"content": "</s>", "special": true}, "9": {"content": "cat", "single_word": true}})")
          .open();
  CHECK(tokenizer.size() == 10);
  CHECK(tokenizer.bos() == 3);
  CHECK(tokenizer.eos() == 4);
  CHECK_FALSE(tokenizer.padding());
  CHECK(tokenizer.encode("a</s>cat cats", {.parse_special = true, .add_special = true}) == Ids{0, 4, 9, 2, 0});
}

TEST_CASE("which tokens stand around a text is the config's to say, for the classes that ask it",
          "[io][tokenizer_folder]") {
  const std::string roles = R"("bos_token": "<s>", "eos_token": "<s>", )";
  const auto ids = [&](const std::string& config) {
    return Folder(roles + config).open().encode("a", {.add_special = true});
  };
  CHECK(ids(R"("tokenizer_class": "LlamaTokenizerFast", "add_bos_token": true)") == Ids{3, 0});
  CHECK(ids(R"("tokenizer_class": "LlamaTokenizerFast", "add_bos_token": true, "add_eos_token": true)") ==
        Ids{3, 0, 3});
  CHECK(ids(R"("tokenizer_class": "LlamaTokenizerFast")") == Ids{3, 0});
  CHECK(ids(R"("tokenizer_class": "LlamaTokenizerFast", "add_bos_token": false)") == Ids{0});
  CHECK(ids(R"("tokenizer_class": "GPTNeoXTokenizer")") == Ids{0});
  CHECK(ids(R"("tokenizer_class": "GPTNeoXTokenizer", "add_bos_token": true)") == Ids{3, 0});
  CHECK(ids(R"("tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": true)") == Ids{0});
  CHECK(ids(R"("add_prefix_space": true)") == Ids{2, 0});
}

TEST_CASE("tokens that have a role are special, and get ids where they have none", "[io][tokenizer_folder]") {
  const Tokenizer tokenizer =
      Folder(R"("bos_token": "a", "pad_token": "[PAD]", "additional_special_tokens": ["<s>", "<image>",
                {"content": "<|x|>", "rstrip": true}])")
          .open();
  CHECK(tokenizer.size() == 7);
  CHECK(tokenizer.padding() == 4);
  CHECK(tokenizer.special(0));  // a token of the model becomes an added one
  CHECK(tokenizer.encode("<image>a<|x|> b", {.parse_special = true}) == Ids{5, 0, 6, 1});
}

TEST_CASE("the config's rules for added tokens and prefix spaces count", "[io][tokenizer_folder]") {
  const Folder folder(R"("added_tokens_decoder": {"3": {"content": "<s>", "special": true, "lstrip": true}})");
  CHECK(folder.open().encode("a <s>", {.parse_special = true}) == Ids{0, 3});
  std::string prefixed = tokenizer_json;
  prefixed.replace(prefixed.find("false}"), 5, "true");
  const auto ids = [&](const std::string& config) {
    const Folder own(config);
    own.write("tokenizer.json", prefixed);
    return own.open().encode("a");
  };
  CHECK(ids(R"("add_prefix_space": null)") == Ids{2, 0});
  CHECK(ids("") == Ids{0});  // a config without the member says no
}

TEST_CASE("special_tokens_map.json names the roles that the config does not", "[io][tokenizer_folder]") {
  const Folder folder(R"("bos_token": "a")");
  folder.write("special_tokens_map.json", R"({"bos_token": "b", "eos_token": {"content": "b"}, "pad_token": "<s>"})");
  const Tokenizer tokenizer = folder.open();
  CHECK(tokenizer.bos() == 0);
  CHECK(tokenizer.eos() == 1);
  CHECK(tokenizer.padding() == 3);
}

TEST_CASE("vocab.json with merges.txt is GPT-2's tokenizer", "[io][tokenizer_folder]") {
  const TemporaryFolder folder;
  folder.write("vocab.json", R"({"a": 0, "b": 1, "ab": 2, "Ġ": 3, "<|endoftext|>": 4})");
  folder.write("merges.txt", "#version: 0.2\r\na b\r\n\n");
  const Tokenizer tokenizer = Tokenizer::from_folder(folder.path());
  CHECK(tokenizer.encode("ab a<|endoftext|>", {.parse_special = true}) == Ids{2, 3, 0, 4});
  CHECK(tokenizer.decode(Ids{2, 3, 4}, {.skip_special = true}) == "ab ");
  const auto error = [&](const std::string& merges) {
    folder.write("merges.txt", merges);
    return error_of([&] { Tokenizer::from_folder(folder.path()); });
  };
  CHECK_THAT(error("a b</w>\n"), Catch::Contains("merges.txt: its words end with </w> (CLIP's kind): not supported"));
  CHECK_THAT(error("a b\nab\n"), Catch::Contains("merges.txt: merge 1 is 'ab', expected two parts"));
  CHECK_THAT(error("a c\n"), Catch::Contains("vocab.json: merge 0 needs 'c', which is no token"));
}

TEST_CASE("folders without a tokenizer that can be read are refused", "[io][tokenizer_folder]") {
  const TemporaryFolder folder;
  const auto error = [&] { return error_of([&] { Tokenizer::from_folder(folder.path()); }); };
  CHECK_THAT(error(),
             Catch::Contains(folder.path().string()) &&
                 Catch::Contains("found no tokenizer, expected tokenizer.json, tokenizer.model, or vocab.json"));
  folder.write("vocab.json", "{}");
  CHECK_THAT(error(), Catch::Contains("found no tokenizer"));
  folder.write("tokenizer.model", "");
  CHECK_THAT(error(), Catch::Contains("tokenizer.model: a SentencePiece model is read by the component `text`"));
  folder.write("tokenizer.json", "{");
  CHECK_THAT(error(), Catch::Contains("tokenizer.json, byte 1: found the end of the text"));
}

TEST_CASE("a tokenizer_config.json that contradicts the tokenizer is refused", "[io][tokenizer_folder]") {
  const auto added = [](const std::string& list) { return Folder(R"("added_tokens_decoder": )" + list).error(); };
  CHECK_THAT(added("[]"),
             Catch::Contains("tokenizer_config.json: added_tokens_decoder is an array, expected an object"));
  CHECK_THAT(added(R"({"x": {"content": "y"}})"), Catch::Contains("added_tokens_decoder.x: its name is no token id"));
  CHECK_THAT(added(R"({"-3": {"content": "y"}})"), Catch::Contains("its name is no token id"));
  CHECK_THAT(added(R"({"5": {"content": "<s>"}})"),
             Catch::Contains("added_tokens_decoder.5 is '<s>', which has the id 3"));
  CHECK_THAT(added(R"({"1": {"content": "y"}})"), Catch::Contains("'y' has the id 1, which is 'b'"));
  CHECK_THAT(added(R"({"1900000000": {"content": "y"}})"), Catch::Contains("has the id 1900000000, expected 0 to"));
  CHECK_THAT(Folder(R"("tokenizer_class": "GPTNeoXTokenizer", "add_bos_token": true)").error(),
             Catch::Contains("that bos_token or eos_token does not name"));
  CHECK_THAT(Folder(R"("bos_token": 3)").error(), Catch::Contains("bos_token is an integer, expected an object"));
  CHECK_THAT(Folder(R"("add_prefix_space": "yes")").error(), Catch::Contains("add_prefix_space is a string"));
}

}  // namespace tokenizer_folder_test
