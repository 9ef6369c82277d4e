#include <catch2/catch.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/io/tokenizer.hpp>

#include "files.hpp"

namespace tokenizer_json_test {

using namespace flamingo::io;
using namespace flamingo::tests;
using Ids = std::vector<std::int32_t>;

namespace {

const std::string byte_level = R"({"type": "ByteLevel", "add_prefix_space": false, "use_regex": true})";
const std::string bytes_model =
    R"("model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3, "Ġa": 6}, "merges": ["a b", "Ġ a"]})";

/// A byte-level tokenizer of a, b and space, with other members in the place of its own.
std::string bytes(std::string_view more = "", std::string_view pre = byte_level, std::string_view model = bytes_model) {
  return "{" + std::string(more) + R"("pre_tokenizer": )" + std::string(pre) + R"(, "decoder": )" + byte_level + ", " +
         std::string(model) + "}";
}
std::string model_with(std::string_view vocab, std::string_view merges, std::string_view more = "") {
  return R"("model": {"type": "BPE", )" + std::string(more) + R"("vocab": )" + std::string(vocab) + R"(, "merges": )" +
         std::string(merges) + "}";
}
Tokenizer opened(std::string_view text) { return Tokenizer(parse_tokenizer_json(text, "t.json")); }
std::string error(std::string_view text) {
  return error_of([&] { opened(text); });
}

}  // namespace

TEST_CASE("a byte-level tokenizer.json", "[io][tokenizer_json]") {
  const Tokenizer tokenizer = opened(bytes());
  CHECK(tokenizer.size() == 7);
  CHECK(tokenizer.token(4).empty());  // a hole
  CHECK(tokenizer.encode("ab aab") == Ids{2, 6, 2});
  CHECK(tokenizer.encode("azb") == Ids{2});  // z is no token, there is no unknown one, and a meets b
  CHECK(tokenizer.decode(Ids{2, 4, 6}) == "ab a");
  // Merges as pairs may have spaces; of a pair that is named twice the last counts.
  const std::string pairs =
      model_with(R"({"a": 0, "b": 1, "ab": 2, "bb": 3})", R"([["a", "b"], ["b", "b"], ["a", "b"]])");
  CHECK(opened(bytes("", byte_level, pairs)).encode("abb") == Ids{0, 3});
}

TEST_CASE("a word that is a token, whatever the merges", "[io][tokenizer_json]") {
  const std::string vocab = R"({"a": 0, "b": 1, "ab": 2, "Ġab": 3, "Ġ": 4})";
  CHECK(opened(bytes("", byte_level, model_with(vocab, "[]", R"("ignore_merges": true, )"))).encode("ab ab") ==
        Ids{2, 3});
  CHECK(opened(bytes("", byte_level, model_with(vocab, "[]"))).encode("ab ab") == Ids{0, 1, 4, 0, 1});
}

TEST_CASE("unknown characters, one by one or fused", "[io][tokenizer_json]") {
  const std::string vocab = R"({"a": 0, "b": 1, "?": 2})";
  const auto ids = [&](std::string_view fuse) {
    return opened(bytes("", byte_level,
                        model_with(vocab, "[]", R"("unk_token": "?", "fuse_unk": )" + std::string(fuse) + ", ")))
        .encode("axybz");
  };
  CHECK(ids("false") == Ids{0, 2, 2, 1, 2});
  CHECK(ids("true") == Ids{0, 2, 1, 2});
}

TEST_CASE("a template puts its tokens around a text", "[io][tokenizer_json]") {
  const std::string text = bytes(
      R"("added_tokens": [{"id": 7, "content": "<s>", "special": true}], "post_processor": {"type": "Sequence",
         "processors": [{"type": "ByteLevel"}, {"type": "TemplateProcessing",
         "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                    {"SpecialToken": {"id": "</s>", "type_id": 0}}],
         "special_tokens": {"<s>": {"id": "<s>", "ids": [7]}, "</s>": {"id": "</s>", "ids": [0, 1]}}}]}, )");
  const Tokenizer tokenizer = opened(text);
  CHECK(tokenizer.encode("ab", {.add_special = true}) == Ids{7, 2, 0, 1});
  CHECK(tokenizer.encode("ab<s>", {.parse_special = true}) == Ids{2, 7});
  CHECK(tokenizer.special(7));
}

TEST_CASE("Metaspace: where a space is put before a text", "[io][tokenizer_json]") {
  const auto ids = [](std::string_view scheme, std::string_view text, EncodeOptions options = {.parse_special = true}) {
    const std::string json =
        R"({"added_tokens": [{"id": 4, "content": "<i>", "special": true}], "pre_tokenizer": {"type": "Metaspace",
            "replacement": "▁", "prepend_scheme": ")" +
        std::string(scheme) + R"(", "split": false}, "decoder": {"type": "Metaspace", "replacement": "▁"},
            "model": {"vocab": {"▁": 0, "a": 1, "▁a": 2, "a▁": 3}, "merges": ["a ▁", "▁ a"]}})";
    return opened(json).encode(text, options);
  };
  CHECK(ids("always", "a<i>a") == Ids{2, 4, 2});
  CHECK(ids("first", "a<i>a") == Ids{2, 4, 1});
  CHECK(ids("never", "a<i>a") == Ids{1, 4, 1});
  CHECK(ids("first", "a<i>a", {.parse_special = true, .begins = false}) == Ids{1, 4, 1});
  CHECK(ids("always", " a") == Ids{2});
  CHECK(ids("never", "a a") == Ids{3, 1});  // not split: a merge may cross a space
  CHECK(ids("first", "").empty());
}

TEST_CASE("byte fall-back", "[io][tokenizer_json]") {
  const auto ids = [](std::string_view vocab, std::string_view text) {
    return opened(R"({"decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
                      "model": {"byte_fallback": true, "unk_token": "?", "vocab": )" +
                  std::string(vocab) + R"(, "merges": []}})")
        .encode(text);
  };
  CHECK(ids(R"({"?": 0, "a": 1, "<0xC3>": 2, "<0xA9>": 3})", "a\xc3\xa9\xc3\xa8") == Ids{1, 2, 3, 0});
}

TEST_CASE("parts that are not supported are refused by name", "[io][tokenizer_json]") {
  const auto refused = [](std::string_view text, std::string_view words) {
    CAPTURE(text);
    CHECK_THAT(error(text), Catch::StartsWith("[tokenizer] t.json: ") && Catch::Contains(std::string(words)));
  };
  refused(bytes(R"("normalizer": {"type": "NFKC"}, )"),
          "normalizer.type is 'NFKC', expected one of NFC, Prepend, Replace, Sequence");
  refused(bytes(R"("normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]}, )"),
          "normalizer.normalizers[1].type is 'Lowercase'");
  refused(bytes(R"("normalizer": {"type": "Replace", "pattern": {"Regex": "x"}, "content": ""}, )"),
          "normalizer.pattern is no String");
  refused(bytes("", R"({"type": "BertPreTokenizer"})"), "pre_tokenizer.type is 'BertPreTokenizer'");
  refused(bytes("", R"({"type": "Split", "pattern": {"Regex": "\\w+"}, "behavior": "Isolated", "invert": false})"),
          "pre_tokenizer.pattern.Regex is not an expression that this library knows: \\w+");
  refused(bytes("", R"({"type": "Sequence", "pretokenizers": [)" + byte_level + ", " + byte_level + "]}"),
          "pre_tokenizer.pretokenizers[1] (ByteLevel) after what stands before it is not supported");
  refused(bytes("", R"({"type": "Digits", "individual_digits": true})"), "is the last step, expected ByteLevel");
  refused(bytes("", "null"), "decoder and pre_tokenizer contradict each other");
  refused(bytes(R"("post_processor": {"type": "BertProcessing"}, )"), "post_processor.type is 'BertProcessing'");
  refused(R"({"model": {"type": "Unigram", "vocab": []}})", "model.type is 'Unigram', expected BPE");
  refused(R"({"model": {"vocab": {"a": 0}, "merges": []}})", "has no decoder");
  refused(bytes("", byte_level, model_with("{}", "[]", R"("dropout": 0.1, )")), "model.dropout is 0.1, expected none");
  refused(bytes("", byte_level, model_with("{}", "[]", R"("end_of_word_suffix": "</w>", )")),
          "model.end_of_word_suffix is '</w>': not supported");
}

TEST_CASE("hostile tokenizer.json ends in one clear error", "[io][tokenizer_json]") {
  const auto refused = [](std::string_view text, std::string_view words) {
    CAPTURE(text.substr(0, 300));
    CHECK_THAT(error(text), Catch::Contains("t.json") && Catch::Contains(std::string(words)));
  };
  const auto model = [](std::string_view vocab, std::string_view merges, std::string_view more = "") {
    return bytes("", byte_level, model_with(vocab, merges, more));
  };
  refused("", "found the end of the text");
  refused("[]", "t.json:  is an array, expected an object");
  refused("{}", "has no 'model'");
  refused(R"({"model": 3})", "model is an integer, expected an object");
  refused(R"({"model": {"vocab": {}}})", "model has no 'merges'");
  refused(model("[]", "[]"), "model.vocab is an array, expected an object");
  refused(model("{}", "[]"), "it has no tokens");
  refused(model(R"({"a": "0"})", "[]"), "model.vocab.a is a string, expected a token id");
  refused(model(R"({"a": 1.5})", "[]"), "model.vocab.a is a number, expected a token id");
  refused(model(R"({"a": -1})", "[]"), "model.vocab.a is -1, expected a token id");
  refused(model(R"({"a": 4294967296})", "[]"), "model.vocab.a is 4294967296, expected a token id");
  refused(model(R"({"a": 2000000000})", "[]"), "model.vocab gives 'a' the id 2000000000, expected 0 to");
  refused(model(R"({"a": 0, "b": 0})", "[]"), "model.vocab gives the id 0 to 'a' and to 'b'");
  refused(model(R"({"a": 0, "a": 1})", "[]"), "a");  // a name twice is no JSON
  refused(model(R"({"a": 0})", R"(["a b"])"), "merge 0 needs 'b', which is no token");
  refused(model(R"({"a": 0})", R"(["a a"])"), "merge 0 needs 'aa', which is no token");
  refused(model(R"({"a": 0})", R"(["aa"])"), "merge 0 is 'aa', expected two parts with one space between");
  refused(model(R"({"a": 0})", R"(["a  a"])"), "expected two parts");
  refused(model(R"({"a": 0})", R"([["a"]])"), "model.merges[0] is neither a string nor a pair of strings");
  refused(model(R"({"a": 0})", R"([["a", 1]])"), "model.merges[0] is neither");
  refused(model(R"({"a": 0})", R"({"a": "a"})"), "model.merges is an object, expected an array");
  refused(model(R"({"a": 0})", "[]", R"("unk_token": "u", )"), "unk_token is 'u', which is no token");
  const auto added = [](std::string_view list) { return bytes(R"("added_tokens": )" + std::string(list) + ", "); };
  refused(added("3"), "added_tokens is an integer, expected an array");
  refused(added(R"([{"content": "x"}])"), "added_tokens[0] has no 'id'");
  refused(added(R"([{"id": 7, "content": ""}])"), "the added token with the id 7 is empty");
  refused(added(R"([{"id": 2147483647, "content": "x"}])"), "'x' has the id 2147483647, expected 0 to");
  refused(added(R"([{"id": 1, "content": "x"}])"), "'x' has the id 1, which is 'b'");
  refused(added(R"([{"id": 7, "content": "a"}])"), "tokens 0 and 7 are both 'a'");
  refused(added(R"([{"id": 7, "content": "x"}, {"id": 8, "content": "x"}])"), "tokens 7 and 8 are both 'x'");
  refused(added(R"([{"id": 7, "content": "x", "lstrip": 1}])"), "lstrip is an integer, expected a boolean");
  const auto single = [](std::string_view list) {
    return bytes(
        R"("post_processor": {"type": "TemplateProcessing", "special_tokens": {"s": {"ids": [99]}, "h": {"ids": [5]}}, "single": )" +
        std::string(list) + "}, ");
  };
  refused(single("[]"), "post_processor.single has no sequence");
  refused(single(R"([{"Sequence": {"id": "B"}}])"), "expected the sequence A once");
  refused(single(R"([{"SpecialToken": {"id": "t"}}, {"Sequence": {"id": "A"}}])"), "special_tokens has no 't'");
  refused(single(R"([{"SpecialToken": {"id": "s"}}, {"Sequence": {"id": "A"}}])"), "a special token has the id 99");
  refused(single(R"([{"SpecialToken": {"id": "h"}}, {"Sequence": {"id": "A"}}])"), "a special token has the id 5");
  // Nested sequences end at the depth that JSON may have; nested normalizers may not blow a text up.
  std::string deep = R"({"type": "NFC"})";
  for (int i = 0; i < 200; ++i) deep = R"({"type": "Sequence", "normalizers": [)" + deep + "]}";
  refused(bytes(R"("normalizer": )" + deep + ", "), "nesting level");
  std::string many;
  for (int i = 0; i < 17; ++i) many += std::string(i ? "," : "") + R"({"type": "NFC"})";
  refused(bytes(R"("normalizer": {"type": "Sequence", "normalizers": [)" + many + "]}, "), "at most 16");
  const std::string doubling = R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"})";
  std::string nine = doubling;
  for (int i = 0; i < 8; ++i) nine += "," + doubling;
  refused(bytes(R"("normalizer": {"type": "Sequence", "normalizers": [)" + nine + "]}, "), "256 times longer");
  std::string five = doubling;
  for (int i = 0; i < 4; ++i) five += "," + doubling;
  refused(R"({"decoder": {"type": "Sequence", "decoders": [)" + five + "]}, " + model_with(R"({"a": 0})", "[]") + "}",
          "16 times longer");
  // Each beginning of a good file is refused; none is read beyond its end.
  const std::string whole = bytes(R"("added_tokens": [{"id": 7, "content": "<s>", "special": true}], )");
  for (std::size_t length = 0; length < whole.size(); ++length)
    REQUIRE_THAT(error(whole.substr(0, length)), Catch::Contains("t.json"));
  CHECK(error(whole).empty());
}

}  // namespace tokenizer_json_test
