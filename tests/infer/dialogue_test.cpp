#include <flamingo/infer/dialogue.hpp>

#include <array>
#include <catch2/catch.hpp>
#include <cstdint>

#include <flamingo/cpu.hpp>

#include "infer/tiny.hpp"
#include "io/files.hpp"

namespace dialogue_test {

using namespace flamingo;
using namespace flamingo::test;
using P = Cpu<double>;

namespace {

inline constexpr auto long_config = [] {
  auto c = tiny_config;
  c.lm.context = 300;
  return c;
}();
using Talk = Tiny<P, long_config>;

/// Letters of the tiny vocabulary; id 0 is the image tag, id 1 the end of a line.
struct Letters {
  static constexpr std::string_view letters = "*\nabcdefg:? ";
  std::vector<std::int32_t> encode(std::string_view text, io::EncodeOptions) const {
    std::vector<std::int32_t> ids;
    for (const char c : text) {
      const auto found = letters.find(c);
      ids.push_back(found == letters.npos ? 12 : static_cast<int>(found));
    }
    return ids;
  }
  std::string_view bytes(int id) const { return id < 12 ? letters.substr(static_cast<std::size_t>(id), 1) : "-"; }
};

const DialoguePrompt prompt{.persona = "abc\n",
                            .user = "U:",
                            .model = "F:",
                            .image = "*",
                            .script = {{1, "a?", "ab"}, {0, "b?", "ba"}, {1, "c?", "cc"}}};

}  // namespace

TEST_CASE("Each turn of a dialogue reads its own tokens alone, and says what the whole would", "[infer][dialogue]") {
  Talk tiny;
  const Letters text;
  const std::array shown{tiny.medium(0), tiny.medium(1)};
  Dialogue dialogue(tiny.engine, text, prompt, shown);
  CHECK(tiny.engine.tokens_read() == 0);
  struct Turn {
    std::string said;
    std::vector<int> pictures;
  };
  // Three pictures over four turns; the second has none, the last two.
  const std::vector<Turn> turns{{"a b?", {2}}, {"c?", {}}, {"", {0}}, {"ab?", {1, 3}}};
  std::string conversation = "abc\nU:*a?\nF:ab\nU:b?\nF:ba\nU:*c?\nF:cc\n";
  std::vector<int> pictures{0, 1};
  long waiting = 0, all = 0;
  for (const Turn& turn : turns) {
    std::vector<CachedMedium> media;
    for (const int i : turn.pictures) media.push_back(tiny.medium(i));
    const int before = dialogue.length();
    const DialogueReply reply = dialogue.say(turn.said, media, {.max_new_tokens = 7});
    conversation += "U:" + std::string(turn.pictures.size(), '*') + turn.said + "\nF:";
    pictures.insert(pictures.end(), turn.pictures.begin(), turn.pictures.end());
    CHECK(dialogue.pictures() == static_cast<int>(pictures.size()));

    // The same conversation, read from its beginning.
    Talk fresh;
    Sequence sequence;
    for (const int id : text.encode(conversation, {})) sequence.ids.push_back(id);
    sequence.phi = phi_of_tags(sequence.ids, 0);
    sequence.media = static_cast<int>(pictures.size());
    std::vector<CachedMedium> every;
    for (const int i : pictures) every.push_back(fresh.medium(i));
    TextState state = fresh.engine.begin(sequence, every);
    const Generated expected = generate(
        fresh.engine, state,
        {.max_new_tokens = 7, .banned = {0}, .stop_texts = {"\n"}, .bytes_of = [&](int id) { return text.bytes(id); }});
    CHECK(reply.ids == expected.ids);
    CHECK(reply.text == expected.text);

    // Read: what was put behind the conversation, what was generated but for the last token, which waits, and the one
    // that waited before.
    const long generated = static_cast<long>(reply.ids.size());
    CHECK(dialogue.length() == before + reply.said + generated);
    CHECK(reply.tokens_read == waiting + reply.said + generated - 1);
    waiting = 1;
    all += reply.tokens_read;
    CHECK(all == dialogue.length() - 1);
    conversation += [&] {
      std::string written;
      for (const int id : reply.ids) written += text.bytes(id);
      return written.find('\n') == written.npos ? written + '\n' : written;
    }();
  }
  CHECK(tiny.engine.tokens_read() == all);
}

TEST_CASE("A dialogue refuses pictures that its script does not name, and tags in what is said", "[infer][dialogue]") {
  Talk tiny;
  const Letters text;
  CHECK(tests::error_of([&] { Dialogue(tiny.engine, text, prompt, std::array{tiny.medium(0)}); }) ==
        "[dialogue] the script names 2 pictures, 1 are given");
  Dialogue dialogue(tiny.engine, text, prompt, std::array{tiny.medium(0), tiny.medium(1)});
  CHECK(tests::error_of([&] { dialogue.say("a*b"); }) == "[dialogue] what is said has the image tag * in it");
  CHECK(dialogue.length() == 0);
  const DialoguePrompt paper = paper_dialogue();
  int pictures = 0;
  for (const DialogueExchange& exchange : paper.script) pictures += exchange.pictures;
  CHECK(pictures == 3);
}

TEST_CASE("What is too long may be said again, and announces its pictures once", "[infer][dialogue]") {
  Talk tiny, other;
  const Letters text;
  Dialogue dialogue(tiny.engine, text, prompt, std::array{tiny.medium(0), tiny.medium(1)});
  Dialogue expected(other.engine, text, prompt, std::array{other.medium(0), other.medium(1)});
  for (int turn = 0; turn < 2; ++turn) {  // the first begins the conversation, the second goes on with it
    CHECK_THROWS(dialogue.say(std::string(400, 'a'), std::array{tiny.medium(2)}, {.max_new_tokens = 5}));
    const DialogueReply reply = dialogue.say("a?", std::array{tiny.medium(2)}, {.max_new_tokens = 5});
    CHECK(reply.ids == expected.say("a?", std::array{other.medium(2)}, {.max_new_tokens = 5}).ids);
    CHECK(dialogue.pictures() == 3 + turn);
    CHECK(dialogue.length() == expected.length());
  }
}

TEST_CASE("Special tokens are the prompt's: what is said spells them", "[infer][dialogue]") {
  /// "<e>" is a token, where special ones are read.
  struct Special : Letters {
    std::vector<std::int32_t> encode(std::string_view written, io::EncodeOptions options) const {
      std::vector<std::int32_t> ids;
      for (std::size_t at = 0; at < written.size();) {
        const std::size_t next = options.parse_special ? written.find("<e>", at) : written.npos;
        for (const auto id : Letters::encode(written.substr(at, next - at), options)) ids.push_back(id);
        if (next == written.npos) break;
        ids.push_back(7);
        at = next + 3;
      }
      return ids;
    }
  };
  const Special text;
  const auto tokens = [&](const std::string& begin, std::string_view said) {
    Talk tiny;
    return Dialogue(tiny.engine, text, DialoguePrompt{.begin = begin, .user = "U:", .model = "F:", .image = "*"})
        .say(said, {}, {.max_new_tokens = 1})
        .said;
  };
  CHECK(tokens("", "a") == 2 + 1 + 1 + 2);
  CHECK(tokens("<e>", "a") == tokens("", "a") + 1);
  CHECK(tokens("", "a<e>b") == tokens("", "aaaaa"));
  CHECK(tokens("<e>", "a<e>b") == tokens("", "a<e>b") + 1);
}

}  // namespace dialogue_test
