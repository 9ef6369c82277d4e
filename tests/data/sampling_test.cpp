#include <flamingo/data/sampling.hpp>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace sampling_test {

using namespace flamingo;
using Ids = std::vector<int>;

namespace {

/// Words are letters a to h, and a space; the four tags are special tokens.
io::Tokenizer tiny() {
  io::Vocabulary vocabulary;
  vocabulary.byte_level = false;
  vocabulary.pre_tokenizer = io::PreTokenizer::whole;
  vocabulary.tokens = {"a", "b", "c", "d", "e", "f", "g", "h", "<bos>", "<image>", "<eoc>", "<eos>", " "};
  for (const std::int32_t id : {8, 9, 10, 11})
    vocabulary.added.push_back({.id = id, .text = vocabulary.tokens[static_cast<std::size_t>(id)], .special = true});
  return io::Tokenizer(vocabulary);
}
const io::Tokenizer tokenizer = tiny();
constexpr int bos = 8, image = 9, eoc = 10, eos = 11, blank = 12;
const Tags tags = Tags::of(tokenizer, "<bos>", "<image>", "<eoc>", "<eos>");
/// <image> as plain text of three pieces: "<", "image", ">".
const Tags pieces{.begin = {bos}, .image = {20, 21, 22}, .end_of_chunk = {eoc}, .end = {eos}};

DocumentTokens framed(const Document& document, const Tags& with = tags) {
  return tokens_of(document, tokenizer, with, {.end_empty_chunks = true, .end = true});
}
std::string letters(int count, Random& random) {
  std::string text;
  for (int i = 0; i < count; ++i) text += static_cast<char>('a' + random.below(8));
  return text;
}
Document any_document(Random& random) {
  Document document;
  const int parts = 1 + random.below(12);
  for (int p = 0; p < parts; ++p) {
    if (random.below(2) == 0) {
      const std::string text = letters(1 + random.below(9), random);
      random.below(5) == 0 ? document.given(text) : document.text(text);
    } else {
      random.below(4) == 0 ? document.video({"1", "2"}) : document.image("1");
    }
  }
  return document;
}

/// The paper's rules token by token, by looking along the document: what the window's token t sees.
int seen_by(const DocumentTokens& d, int first, int count, int most, bool next, int t) {
  std::vector<int> kept;  // places of the media of the window, in their order
  for (int u = first; u < first + count; ++u)
    if (std::count(d.places.begin(), d.places.end(), u) > 0 && static_cast<int>(kept.size()) < most) kept.push_back(u);
  int place = -1;
  if (next && d.tag[static_cast<std::size_t>(t)] == 0) {
    for (int u = t + 1; u < d.size() && place < 0; ++u)
      if (std::count(d.places.begin(), d.places.end(), u) > 0) place = u;
  } else {
    for (int u = t; u >= 0 && place < 0; --u)
      if (std::count(d.places.begin(), d.places.end(), u) > 0) place = u;
  }
  const auto at = std::find(kept.begin(), kept.end(), place);
  return at == kept.end() ? 0 : static_cast<int>(at - kept.begin()) + 1;
}

}  // namespace

TEST_CASE("the paper's printed example counts 8, 11 and 10 tokens", "[sampling]") {
  // Figure 7, a letter for each word and full stop: "Cute pics of my pets!", "My puppy sitting in the grass.", " My cat
  // looking very dignified."
  const Document pets = Document{}.text("abcdeh").image("1").text("abcdefh").image("2").text("abcdeh");
  const DocumentWindow window = window_of(framed(pets, pieces), 0, 256, 5, false);
  std::array<int, 3> of{};
  for (std::size_t t = 0; t + 1 < window.sequence.phi.size(); ++t)  // but for <EOS>, which the figure leaves out
    ++of.at(static_cast<std::size_t>(window.sequence.phi[t]));
  CHECK(of == std::array<int, 3>{8, 11, 10});
  CHECK((window.sequence.media == 2 && window.first_medium == 0));
}

TEST_CASE("an <EOC> stands before every image but the one that begins a document, and at the end", "[sampling]") {
  CHECK(framed(Document{}.text("ab").image("1").text("c").image("2").text("d")).ids ==
        Ids{bos, 0, 1, eoc, image, 2, eoc, image, 3, eoc, eos});
  CHECK(framed(Document{}.image("1").image("2")).ids == Ids{bos, image, eoc, image, eoc, eos});
  CHECK(framed(Document{}.image("1").text("a")).ids == Ids{bos, image, 0, eoc, eos});  // a pair
  const DocumentTokens page = framed(Document{}.image("1").image("2").text("a"));
  CHECK(page.ids == Ids{bos, image, eoc, image, 0, eoc, eos});
  CHECK(page.targets(0, page.size()) == Ids{-1, -1, -1, 0, eoc, eos, -1});  // neither tags nor empty chunks are asked
  CHECK(page.places == Ids{1, 3});
}

TEST_CASE("text before the first image, of discarded images and of images before the window sees nothing",
          "[sampling]") {
  const DocumentTokens page =
      framed(Document{}.text("a").image("1").text("b").image("2").text("c").image("3").text("d"));
  // bos a eoc image b eoc image c eoc image d eoc eos
  CHECK(window_of(page, 0, 99, 2, false).sequence.phi == Ids{0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 0, 0});
  CHECK(window_of(page, 0, 99, 2, true).sequence.phi == Ids{1, 1, 1, 1, 2, 2, 2, 0, 0, 0, 0, 0, 0});
  CHECK(window_of(page, 0, 99, 3, true).sequence.phi == Ids{1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0, 0, 0});
  DocumentWindow window = window_of(page, 4, 5, 5, false);  // b eoc image c eoc
  CHECK((window.sequence.phi == Ids{0, 0, 1, 1, 1} && window.first_medium == 1 && window.sequence.media == 1));
  CHECK(window.sequence.targets == Ids{eoc, -1, 2, eoc, -1});
  CHECK(window_of(page, 4, 5, 5, true).sequence.phi == Ids{1, 1, 1, 0, 0});  // the third image is behind the window
  CHECK(window_of(page, 4, 5, 0, false).sequence.phi == Ids{0, 0, 0, 0, 0});
}

TEST_CASE("windows agree with a brute-force oracle on 10,000 random documents", "[sampling]") {
  Random random(3);
  int discarded = 0, cut_tags = 0, before_first = 0, shifted = 0;
  for (int n = 0; n < 10'000; ++n) {
    const DocumentTokens d = framed(any_document(random), random.below(2) == 0 ? tags : pieces);
    const int first = random.below(3) == 0 ? 0 : random.below(d.size()), tokens = 1 + random.below(40);
    const int most = random.below(5);
    const bool next = random.below(2) == 0;
    const DocumentWindow window = window_of(d, first, tokens, most, next);
    const Sequence& s = window.sequence;
    const int count = std::min(tokens, d.size() - first);
    REQUIRE(
        (static_cast<int>(s.ids.size()) == count && s.phi.size() == s.ids.size() && s.targets.size() == s.ids.size()));
    int media = 0, earlier = 0;
    for (const int place : d.places) {
      earlier += place < first;
      media += place >= first && place < first + count;
    }
    REQUIRE((s.media == std::min(media, most) && window.first_medium == earlier));
    for (int t = 0; t < count; ++t) {
      const auto at = static_cast<std::size_t>(t), in = static_cast<std::size_t>(first + t);
      const int expected = seen_by(d, first, count, most, next, first + t);
      REQUIRE(s.ids[at] == d.ids[in]);
      REQUIRE(s.phi[at] == expected);
      const bool asked = t + 1 < count && d.asked[in + 1] != 0;
      REQUIRE(s.targets[at] == (asked ? d.ids[in + 1] : -1));
      before_first += s.phi[at] == 0;
      shifted += next && expected != seen_by(d, first, count, most, false, first + t);
    }
    discarded += media > most;
    cut_tags += first > 0 && d.tag[static_cast<std::size_t>(first)] && d.tag[static_cast<std::size_t>(first - 1)];
  }
  CHECK((discarded > 1000 && cut_tags > 300 && before_first > 1000 && shifted > 1000));  // the oracle saw all of it
}

TEST_CASE("p_next is 0, 1 or a share of the windows", "[sampling]") {
  const Document page = Document{}.text("a").image("1").text("b");
  const auto share = [&](float p) {
    int shifted = 0;
    for (std::uint64_t n = 0; n < 2000; ++n) {
      Random random(7, n);
      WindowOptions options = WindowOptions::pages();
      options.next = p;
      shifted += sample_window(page, tokenizer, tags, options, random).sequence.phi.front();
    }
    return shifted;
  };
  CHECK((share(0) == 0 && share(1) == 2000));
  CHECK((share(0.5f) > 900 && share(0.5f) < 1100));
  CHECK(WindowOptions::pages().next == 0.5f);
}

TEST_CASE("a space leads half of the captions", "[sampling]") {
  const Document pair = Document{}.image("1").text("ab");
  int spaces = 0;
  for (std::uint64_t n = 0; n < 2000; ++n) {
    Random random(8, n);
    const Sequence s = sample_window(pair, tokenizer, tags, WindowOptions::pairs(32), random).sequence;
    const bool space = s.ids == Ids{bos, image, blank, 0, 1, eoc, eos};
    CHECK((space || s.ids == Ids{bos, image, 0, 1, eoc, eos}));
    CHECK(s.phi == (space ? Ids{0, 1, 1, 1, 1, 1, 1} : Ids{0, 1, 1, 1, 1, 1}));
    spaces += space;
  }
  CHECK((spaces > 900 && spaces < 1100));
  const Document question = with_leading_space(Document{}.video({"1", "2"}).given("a").text("b"));
  CHECK(
      (question.parts()[0].frames.size() == 2 && question.parts()[1].text == " a" && question.parts()[2].text == "b"));
  CHECK((!question.parts()[1].supervised && question.parts()[2].supervised));
}

TEST_CASE("windows begin anywhere in a page, and with a pair's image", "[sampling]") {
  Document page;
  for (int i = 0; i < 6; ++i) page.image("1").text("abc");
  const int size = framed(page).size();
  std::vector<int> starts(static_cast<std::size_t>(size), 0);
  WindowOptions options{.tokens = 8, .media = 2};
  const DocumentTokens all = framed(page);
  for (std::uint64_t n = 0; n < 4000; ++n) {
    Random random(9, n), again(9, n);
    const DocumentWindow window = sample_window(page, tokenizer, tags, options, random);
    CHECK(window.sequence.ids.size() == 8);
    CHECK(random.index() == 3);
    CHECK(sample_window(page, tokenizer, tags, options, again).sequence.ids == window.sequence.ids);
    for (int first = 0; first + 8 <= size; ++first)
      starts[static_cast<std::size_t>(first)] +=
          std::equal(window.sequence.ids.begin(), window.sequence.ids.end(), all.ids.begin() + first);
  }
  for (int first = 0; first + 8 <= size; ++first) CHECK(starts[static_cast<std::size_t>(first)] > 50);
  options.anywhere = false;
  Random random(1);
  CHECK(sample_window(page, tokenizer, tags, options, random).sequence.ids.front() == bos);
}

TEST_CASE("windows that make no sense are refused", "[sampling]") {
  const DocumentTokens page = framed(Document{}.text("a"));
  CHECK_THROWS_WITH(window_of(page, 4, 8, 1, false), "[window] got token 4 of 4, 8 tokens and 1 media");
  CHECK_THROWS_AS(window_of(page, -1, 8, 1, false), Error);
  CHECK_THROWS_AS(window_of(page, 0, 0, 1, false), Error);
}

}  // namespace sampling_test
