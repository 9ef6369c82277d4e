#include <flamingo/data/document.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace document_test {

using namespace flamingo;
using Ids = std::vector<int>;

namespace {

/// One token a letter, a to h, and three special ones.
io::Tokenizer tiny() {
  io::Vocabulary vocabulary;
  vocabulary.tokens = {"a", "b", "c", "d", "e", "f", "g", "h", "<bos>", "<image>", "<eoc>"};
  for (const std::int32_t id : {8, 9, 10})
    vocabulary.added.push_back({.id = id, .text = vocabulary.tokens[static_cast<std::size_t>(id)], .special = true});
  return io::Tokenizer(vocabulary);
}
const io::Tokenizer tokenizer = tiny();
const Tags tags = Tags::of(tokenizer, "<bos>", "<image>", "<eoc>");
constexpr int bos = 8, image = 9, eoc = 10;

}  // namespace

TEST_CASE("tags are read as special tokens", "[document]") {
  CHECK((tags.begin == Ids{bos} && tags.image == Ids{image} && tags.end_of_chunk == Ids{eoc}));
  const Tags words = Tags::of(tokenizer, "", "ab", "c");  // a frozen model without special tokens uses its words
  CHECK((words.begin.empty() && words.image == Ids{0, 1} && words.end_of_chunk == Ids{2}));
  CHECK_THROWS_WITH(Tags::of(tokenizer, "<bos>", "", "<eoc>"), "[tags] the image tag '' has no tokens");
  CHECK_THROWS_WITH(Tags::of(tokenizer, "<bos>", "XYZ", "<eoc>"), "[tags] the image tag 'XYZ' has no tokens");
}

TEST_CASE("only the text that begins a document gets a tokenizer's space before it", "[document]") {
  io::Vocabulary vocabulary;
  vocabulary.byte_level = false;
  vocabulary.pre_tokenizer = io::PreTokenizer::whole;
  vocabulary.tokens = {"a", "_", "<image>"};
  vocabulary.metaspace = {.replacement = "_", .prepend = io::Metaspace::Prepend::first, .split = false};
  vocabulary.added = {{.id = 2, .text = "<image>", .special = true}};
  const io::Tokenizer spaced(vocabulary);
  const Tags own = Tags::of(spaced, "", "<image>", "");
  CHECK(sequence_of(Document{}.text("a").image("1.png").text("a"), spaced, own).ids == Ids{1, 0, 2, 0});
  CHECK(sequence_of(Document{}.image("1.png").text("a a"), spaced, own).ids == Ids{2, 0, 1, 0});
}

TEST_CASE("a chunk ends before the next medium and at the end", "[document]") {
  const Document page = Document{}.text("ab").image("1.png").text("c").video({"2.png", "3.png"}).text("de");
  const Sequence s = sequence_of(page, tokenizer, tags);
  CHECK(s.ids == Ids{bos, 0, 1, eoc, image, 2, eoc, image, 3, 4, eoc});
  CHECK(s.phi == Ids{0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2});
  CHECK(s.targets == Ids{0, 1, eoc, -1, 2, eoc, -1, 3, 4, eoc, -1});
  CHECK((s.media == 2 && s.first_medium == 0));
  const auto media = page.media();
  REQUIRE(media.size() == 2);
  CHECK((media[0]->kind == Document::Kind::image && media[0]->frames == std::vector<std::string>{"1.png"}));
  CHECK((media[1]->kind == Document::Kind::video && media[1]->frames.size() == 2));
}

TEST_CASE("a prompt to be continued stays open, without a beginning if asked", "[document]") {
  const Document prompt = Document{}.image("1.png").text("a").image("2.png").text("b");
  const Sequence s = sequence_of(prompt, tokenizer, tags, {.begin = false, .end_last_chunk = false});
  CHECK(s.ids == Ids{image, 0, eoc, image, 1});
  CHECK(s.phi == Ids{1, 1, 1, 2, 2});
}

TEST_CASE("media without text between them have no chunk to end", "[document]") {
  const Sequence s = sequence_of(Document{}.image("1.png").image("2.png"), tokenizer, tags);
  CHECK(s.ids == Ids{bos, image, image});
  CHECK(s.phi == Ids{0, 1, 2});
  CHECK(s.targets == Ids{-1, -1, -1});
}

TEST_CASE("what is given is read but never asked for", "[document]") {
  const Sequence question = sequence_of(Document{}.image("1.png").given("ab").text("c"), tokenizer, tags);
  CHECK(question.ids == Ids{bos, image, 0, 1, 2, eoc});
  CHECK(question.targets == Ids{-1, -1, -1, 2, eoc, -1});
  const Sequence shots = sequence_of(Document{}.given("ab").image("1.png").given("c"), tokenizer, tags);
  CHECK(shots.ids == Ids{bos, 0, 1, eoc, image, 2, eoc});
  CHECK(shots.targets == Ids(7, -1));
}

TEST_CASE("a tag of several pieces belongs to its medium from the first on", "[document]") {
  const Tags pieces{{bos}, {5, 6, 7}, {eoc}};
  const Sequence s = sequence_of(Document{}.text("a").image("1.png").text("b"), tokenizer, pieces);
  CHECK(s.ids == Ids{bos, 0, eoc, 5, 6, 7, 1, eoc});
  CHECK(s.phi == Ids{0, 0, 0, 1, 1, 1, 1, 1});
  CHECK(s.targets == Ids{0, eoc, -1, -1, -1, 1, eoc, -1});
}

TEST_CASE("a tag may announce its medium at a later piece, and share its ends with its neighbours", "[document]") {
  // Idefics: <fake_token_around_image><image><fake_token_around_image>, neighbours share the token between them.
  const Document page = Document{}.text("a").image("1.png").image("2.png").text("b").image("3.png");
  Tags fake{{bos}, {7, image, 7}, {}};
  fake.announces = 1;
  Sequence s = sequence_of(page, tokenizer, fake);
  CHECK(s.ids == Ids{bos, 0, 7, image, 7, 7, image, 7, 1, 7, image, 7});
  CHECK(s.phi == Ids{0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3});
  fake.joins = true;
  s = sequence_of(page, tokenizer, fake);
  CHECK(s.ids == Ids{bos, 0, 7, image, 7, image, 7, 1, 7, image, 7});
  CHECK(s.phi == Ids{0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3});
  CHECK(s.media == 3);
  fake.image = {7, image, 6};
  CHECK_THROWS_WITH(sequence_of(page, tokenizer, fake),
                    "[tags] image tags join where the last piece is the first again and a later one announces the "
                    "medium");
  fake.announces = 3;
  CHECK_THROWS_WITH(sequence_of(page, tokenizer, fake),
                    "[tags] piece 3 of the image tag announces its medium, the tag has 3 pieces");
}

TEST_CASE("text of users cannot bring in a tag", "[document]") {
  const Sequence s = sequence_of(Document{}.text("a<image>b"), tokenizer, tags);
  CHECK(s.media == 0);
  CHECK(std::find(s.ids.begin(), s.ids.end(), image) == s.ids.end());
}

TEST_CASE("a text with tags becomes a document", "[document]") {
  const std::vector<std::string> images{"1.png", "2.png"};
  const Document page = Document::of("<i>ab<i>cd", "<i>", images);
  const Sequence s = sequence_of(page, tokenizer, tags);
  CHECK(s.ids == Ids{bos, image, 0, 1, eoc, image, 2, 3, eoc});
  CHECK(page.media()[1]->frames[0] == "2.png");
  CHECK(Document::of("ab", "<i>", {}).parts().size() == 1);
}

TEST_CASE("documents that make no sense are refused in one sentence", "[document]") {
  const std::vector<std::string> one{"1.png"}, two{"1.png", "2.png"};
  CHECK_THROWS_WITH(Document::of("<i>ab<i>", "<i>", one),
                    "[document] the text has 2 <i> tags and there are 1 images: each image has one tag");
  CHECK_THROWS_WITH(Document::of("<i>ab", "<i>", two),
                    "[document] the text has 1 <i> tags and there are 2 images: each image has one tag");
  CHECK_THROWS_WITH(Document::of("ab", "", one), "[document] the image tag is empty");
  CHECK_THROWS_WITH(Document{}.video({}), "[document] a video has no frames");
  const char* empty = "[document] the prompt is empty: it has neither text nor media";
  CHECK_THROWS_WITH(sequence_of(Document{}, tokenizer, tags), empty);
  CHECK_THROWS_WITH(sequence_of(Document{}, tokenizer, tags, {.begin = false}), empty);
  CHECK_THROWS_WITH(sequence_of(Document{}.text(""), tokenizer, tags, {.end_last_chunk = false}), empty);
  const Document page = Document{}.image("1.png").text("abc");
  CHECK_NOTHROW(sequence_of(page, tokenizer, tags, {.context = 6}));
  CHECK_THROWS_WITH(sequence_of(page, tokenizer, tags, {.context = 5}),
                    "[document] the document has 6 tokens, the context holds 5");
}

}  // namespace document_test
