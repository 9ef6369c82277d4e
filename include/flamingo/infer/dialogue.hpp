/// A conversation about pictures: a prompt of a few exchanges, then turns, each of which reads its own tokens alone.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/infer/generate.hpp>
#include <flamingo/io/tokenizer.hpp>
#include <flamingo/model/media.hpp>

namespace flamingo {

/// What one says and the other replies. Pictures stand before what is said.
struct DialogueExchange {
  int pictures = 0;
  std::string said, replied;
};

/// How a conversation is written down.
struct DialoguePrompt {
  std::string begin{};    ///< before everything, as a tokenizer with special tokens reads it
  std::string persona{};  ///< who talks to whom
  std::string user = "User: ", model = "Flamingo:";
  std::string end = "\n";  ///< of what is said, and of a reply, which ends where it begins
  std::string image = "<image>";
  std::vector<std::string> stops{};  ///< texts that end a reply too
  std::vector<DialogueExchange> script{};
};

/// The form of the paper's prompt for dialogues (appendix D): a sentence about who talks, and exchanges about three
/// pictures, which `script` is to describe: a cat, people at a table, a diagram. The words are ours.
inline DialoguePrompt paper_dialogue() {
  return {.persona =
              "This is a conversation between a person, User, and a visual assistant, Flamingo. User sends "
              "pictures, and Flamingo tells what they show.\n\n",
          .stops = {"User:"},
          .script = {{1, "What is this?", " This is a cat. It lies on a sofa and looks into the camera."},
                     {0, "Which colour does it have?", " It is grey with darker stripes."},
                     {1, "And here?", " Six people sit at a table and have dinner together."},
                     {1, "What does this show?", " A diagram: a line that rises from left to right."}}};
}

/// A reply, and what it cost.
struct DialogueReply {
  std::string text;
  std::vector<int> ids;
  int said = 0;          ///< tokens that the turn put behind the conversation: what was said, and the reply's lead
  long tokens_read = 0;  ///< that the language model read in this turn
};

/// Text is a tokenizer: encode(text, options), bytes(id). The engine must outlive the dialogue, which holds a part of
/// its rows.
template <class E, class Text>
class Dialogue {
 public:
  /// `pictures` are those of the script. Nothing is read before the first turn. Throws where they are not as many as
  /// the script names.
  Dialogue(E& engine, const Text& text, DialoguePrompt prompt, std::span<const CachedMedium> pictures = {})
      : engine_(engine), text_(text), prompt_(std::move(prompt)), image_(encoded(prompt_.image, false, true)) {
    check(!image_.empty(), "dialogue", "the image tag '", prompt_.image, "' has no tokens");
    pending_ = prompt_.begin + prompt_.persona;
    int shown = 0;
    for (const DialogueExchange& exchange : prompt_.script) {
      check(exchange.pictures >= 0, "dialogue", "an exchange has ", exchange.pictures, " pictures");
      shown += exchange.pictures;
      pending_ +=
          opening(exchange.pictures) + exchange.said + prompt_.end + prompt_.model + exchange.replied + prompt_.end;
    }
    check(shown == static_cast<int>(pictures.size()), "dialogue", "the script names ", shown, " pictures, ",
          pictures.size(), " are given");
    media_.assign(pictures.begin(), pictures.end());
  }

  /// Says something, with pictures before it, and returns the reply. An empty text with pictures is one too. Special
  /// tokens that are written in what is said are read as the letters they are. Where this throws before anything is
  /// read (the context is too short), it may be said again, shorter: nothing of it is kept.
  DialogueReply say(std::string_view said, std::span<const CachedMedium> pictures = {}, GenerateOptions options = {}) {
    check(said.find(prompt_.image) == said.npos, "dialogue", "what is said has the image tag ", prompt_.image,
          " in it");
    std::vector<CachedMedium> media = media_;
    media.insert(media.end(), pictures.begin(), pictures.end());
    const std::string lead = pending_ + opening(static_cast<int>(pictures.size())), rest = prompt_.end + prompt_.model;
    // Words are tokenised best with what stands beside them; apart only where they spell a special token.
    const bool plain = encoded(said, false, true) == encoded(said, false, false);
    const long before = engine_.tokens_read();
    DialogueReply reply;
    reply.said = plain ? append({{lead + std::string(said) + rest, true}}, media)
                       : append({{lead, true}, {std::string(said), false}, {rest, true}}, media);
    media_.clear();
    pending_ = prompt_.end;  // of a reply that is not written, should that fail
    options.stop_texts.push_back(prompt_.end);
    options.stop_texts.insert(options.stop_texts.end(), prompt_.stops.begin(), prompt_.stops.end());
    options.bytes_of = [this](int id) { return text_.bytes(id); };
    if (image_.size() == 1) options.banned.push_back(image_[0]);
    const Generated written = generate(engine_, state_, options);
    reply.text = written.text;
    reply.ids = written.ids;
    reply.tokens_read = engine_.tokens_read() - before;
    // A reply that was ended by its end has it behind it already.
    std::string whole;
    for (const int id : written.ids) whole += text_.bytes(id);
    pending_ = whole.find(prompt_.end) != whole.npos ? "" : prompt_.end;
    return reply;
  }

  /// Tokens of the conversation so far; those of the last reply's end wait to be read.
  int length() const { return begun_ ? state_.length() : 0; }
  int pictures() const { return static_cast<int>(state_.media.size()); }

 private:
  struct Part {
    std::string text;
    bool special;  ///< special tokens in it are read as such
  };
  std::vector<int> encoded(std::string_view text, bool begins, bool special) const {
    const auto ids = text_.encode(text, io::EncodeOptions{.parse_special = special, .begins = begins});
    return {ids.begin(), ids.end()};
  }
  std::string opening(int pictures) const {
    std::string text = prompt_.user;
    for (int i = 0; i < pictures; ++i) text += prompt_.image;
    return text;
  }
  /// Puts texts behind the conversation; their tags announce `media`. How many tokens they have.
  int append(const std::vector<Part>& parts, std::span<const CachedMedium> media) {
    Sequence sequence;
    int seen = static_cast<int>(begun_ ? state_.media.size() : 0);
    const auto put = [&](const std::vector<int>& ids) {
      sequence.ids.insert(sequence.ids.end(), ids.begin(), ids.end());
      sequence.phi.insert(sequence.phi.end(), ids.size(), seen);
    };
    for (const auto& [text, special] : parts)
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t next = std::min(text.find(prompt_.image, at), text.size());
        if (next > at)
          put(encoded(std::string_view(text).substr(at, next - at), !begun_ && sequence.ids.empty(), special));
        if (next == text.size()) break;
        ++seen;
        put(image_);
        at = next + prompt_.image.size();
      }
    sequence.media = seen;
    if (begun_)
      engine_.append(state_, sequence.ids, sequence.phi, media);
    else
      state_ = engine_.begin(sequence, media);
    begun_ = true;
    return static_cast<int>(sequence.ids.size());
  }

  E& engine_;
  const Text& text_;
  DialoguePrompt prompt_;
  std::vector<int> image_;
  TextState state_;
  bool begun_ = false;
  std::string pending_;              ///< text that the next turn puts before its own
  std::vector<CachedMedium> media_;  ///< given, not announced yet
};

}  // namespace flamingo
