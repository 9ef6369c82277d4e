#include <flamingo/eval/metrics/ptb_tokenizer.hpp>

#include <catch2/catch.hpp>
#include <fstream>

namespace ptb_tokenizer_test {

using namespace flamingo;
using List = std::vector<std::string>;

TEST_CASE("captions have the tokens of Stanford's tokenizer", "[eval][ptb]") {
  std::ifstream file(FLAMINGO_TEST_DATA "/fixtures/eval/ptb_tokens.tsv");
  List lines, expected;
  for (std::string line; std::getline(file, line);) {
    const std::size_t cut = line.find('\t');
    REQUIRE(cut != line.npos);
    lines.push_back(line.substr(0, cut));
    expected.push_back(line.substr(cut + 1));
  }
  REQUIRE(lines.size() > 500);
  const List tokens = caption_tokens(lines);
  REQUIRE(tokens.size() == lines.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    INFO(lines[i]);
    CHECK(tokens[i] == expected[i]);
  }
}

TEST_CASE("what stands after a line decides about an initial and a smiley", "[eval][ptb]") {
  CHECK(ptb_tokens("plan B. The dog") == List{"plan", "b", ".", "the", "dog"});
  CHECK(ptb_tokens("plan B. the dog") == List{"plan", "b.", "the", "dog"});
  CHECK(caption_tokens(List{"plan B.", "", "The dog"}) == List{"plan b", "", "the dog"});
  CHECK(caption_tokens(List{"plan B.", "the dog"}) == List{"plan b.", "the dog"});
  CHECK(caption_tokens(List{"dog :)", "cat :)"}) == List{"dog :-rrb-", "cat -rrb-"});
}

TEST_CASE("whatever bytes a line has, it is taken apart", "[eval][ptb]") {
  CHECK(ptb_tokens("").empty());
  CHECK(caption_tokens(" \t ") == "");
  CHECK(caption_tokens("a\xff\xc3 b") == "a b");
  CHECK(caption_tokens("(\xf0\x9f\x98\x80)") == "-lrb- -rrb-");
  std::string all;
  for (int c = 1; c < 256; ++c) (all += static_cast<char>(c)) += 'x';
  CHECK(ptb_tokens(all).size() > 20);
}

}  // namespace ptb_tokenizer_test
