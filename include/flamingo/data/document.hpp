/// Documents: text with images and videos in their places. A webpage, a pair, a few-shot prompt and a chat are
/// documents.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/tokenizer.hpp>
#include <flamingo/model/media.hpp>

namespace flamingo {

/// Pictures or frames are named by whatever the host calls them (a path, a key of its cache); media hold one name each
/// for an image and several for a video.
class Document {
 public:
  enum class Kind : std::uint8_t { text, image, video };
  struct Part {
    Kind kind = Kind::text;
    std::string text;                 ///< of a text part
    std::vector<std::string> frames;  ///< of an image (one) or a video
    bool supervised = true;           ///< whether training asks for this text
  };

  Document& text(std::string_view t) { return add({Kind::text, std::string(t), {}, true}); }
  /// Text that is read but never asked for: a question, a context.
  Document& given(std::string_view t) { return add({Kind::text, std::string(t), {}, false}); }
  Document& image(std::string_view name) { return add({Kind::image, {}, {std::string(name)}, false}); }
  Document& video(std::vector<std::string> frames) {
    check(!frames.empty(), "document", "a video has no frames");
    return add({Kind::video, {}, std::move(frames), false});
  }

  std::span<const Part> parts() const { return parts_; }
  /// Its images and videos, in their order.
  std::vector<const Part*> media() const {
    std::vector<const Part*> found;
    for (const Part& part : parts_)
      if (part.kind != Kind::text) found.push_back(&part);
    return found;
  }

  /// A document out of a text with tags: each `tag` in it becomes the next of `images`. Refuses a text with more or
  /// fewer tags than images.
  static Document of(std::string_view text, std::string_view tag, std::span<const std::string> images) {
    check(!tag.empty(), "document", "the image tag is empty");
    Document document;
    std::size_t used = 0, tags = 0;
    for (std::size_t at = text.find(tag); at != std::string_view::npos; at = text.find(tag, at + tag.size())) ++tags;
    check(tags == images.size(), "document", "the text has ", tags, ' ', tag, " tags and there are ", images.size(),
          " images: each image has one tag");
    for (std::size_t at = 0;;) {
      const std::size_t next = text.find(tag, at);
      if (const std::string_view piece = text.substr(at, next - at); !piece.empty()) document.text(piece);
      if (next == std::string_view::npos) return document;
      document.image(images[used++]);
      at = next + tag.size();
    }
  }

 private:
  Document& add(Part part) {
    parts_.push_back(std::move(part));
    return *this;
  }
  std::vector<Part> parts_;
};

/// The pieces that frame a document's text, as token ids (the paper: <BOS>, <image>, <EOC>, <EOS>).
struct Tags {
  std::vector<int> begin;         ///< once, first
  std::vector<int> image;         ///< at each image or video
  std::vector<int> end_of_chunk;  ///< after the text that follows a medium
  int announces = 0;              ///< which piece of `image` is the first to see the medium (Idefics: its second)
  bool joins = false;             ///< of neighbouring media the last piece of one is the first of the next (Idefics)
  std::vector<int> end = {};      ///< once, last

  /// Each tag as the tokenizer reads its text, special tokens recognised.
  static Tags of(const io::Tokenizer& tokenizer, std::string_view begin, std::string_view image,
                 std::string_view end_of_chunk, std::string_view end = {}) {
    const auto ids = [&](std::string_view text) { return tokenizer.encode(text, {.parse_special = true}); };
    Tags tags{.begin = ids(begin), .image = ids(image), .end_of_chunk = ids(end_of_chunk), .end = ids(end)};
    check(!tags.image.empty(), "tags", "the image tag '", image, "' has no tokens");
    return tags;
  }
};

/// How a document becomes a sequence.
struct SequenceOptions {
  bool begin = true;           ///< put Tags::begin first
  bool end_last_chunk = true;  ///< close the last text with Tags::end_of_chunk; a prompt to be continued does not
  int context = 1 << 30;       ///< most tokens; more are refused
  bool end_empty_chunks =
      false;         ///< close a medium that no text follows too, as the paper does; nothing is asked there
  bool end = false;  ///< put Tags::end last
};

/// A document's tokens, before it is said which media they see.
struct DocumentTokens {
  std::vector<int> ids;
  std::vector<char> asked;  ///< whether token t is to be predicted
  std::vector<char> tag;    ///< whether token t is a piece of an image tag
  std::vector<int> places;  ///< of each medium the token that announces it

  int size() const { return static_cast<int>(ids.size()); }
  /// The id that should follow each token of first .. first + count - 1 among them, or -1.
  std::vector<int> targets(int first, int count) const {
    std::vector<int> targets(static_cast<std::size_t>(count), -1);
    for (int t = 0; t + 1 < count; ++t) {
      const auto next = static_cast<std::size_t>(first + t + 1);
      if (asked[next]) targets[static_cast<std::size_t>(t)] = ids[next];
    }
    return targets;
  }
};

/// The tokens of a document. Each text is tokenised by itself; a chunk that follows a medium ends with end_of_chunk
/// before the next medium and at the end. Asked for: supervised text, the end of its chunk and of the document; never a
/// tag.
inline DocumentTokens tokens_of(const Document& document, const io::Tokenizer& tokenizer, const Tags& tags,
                                const SequenceOptions& options = {}) {
  const int pieces = static_cast<int>(tags.image.size());
  check(tags.announces >= 0 && tags.announces < std::max(pieces, 1), "tags", "piece ", tags.announces,
        " of the image tag announces its medium, the tag has ", pieces, " pieces");
  check(!tags.joins || (tags.announces > 0 && tags.image.front() == tags.image.back()), "tags",
        "image tags join where the last piece is the first again and a later one announces the medium");
  DocumentTokens s;
  const auto put = [&](std::span<const int> ids, bool supervised, bool tag = false) {
    s.ids.insert(s.ids.end(), ids.begin(), ids.end());
    s.asked.insert(s.asked.end(), ids.size(), supervised);
    s.tag.insert(s.tag.end(), ids.size(), tag);
  };
  if (options.begin) put(tags.begin, false);
  const int framing = s.size();
  bool open = false, open_supervised = false;  // a text that has not been closed yet
  bool after_medium = false;
  for (const Document::Part& part : document.parts()) {
    if (part.kind == Document::Kind::text) {
      const std::vector<int> ids = tokenizer.encode(part.text, {.begins = s.size() == framing});
      put(ids, part.supervised);
      open = true;
      open_supervised = part.supervised;
      after_medium = false;
    } else {
      const bool empty = after_medium && options.end_empty_chunks;
      if (open || empty) put(tags.end_of_chunk, open && open_supervised);
      open = false;
      const int joined = tags.joins && after_medium && !empty ? 1 : 0;
      s.places.push_back(s.size() + tags.announces - joined);
      put(std::span(tags.image).subspan(static_cast<std::size_t>(joined)), false, true);
      after_medium = true;
    }
  }
  if (options.end_last_chunk && (open || (after_medium && options.end_empty_chunks)))
    put(tags.end_of_chunk, open && open_supervised);
  check(s.size() > framing, "document", "the prompt is empty: it has neither text nor media");
  if (options.end) put(tags.end, open && open_supervised);
  check(s.size() <= options.context, "document", "the document has ", s.size(), " tokens, the context holds ",
        options.context);
  return s;
}

/// Tokens, φ and targets of a document.
inline Sequence sequence_of(const Document& document, const io::Tokenizer& tokenizer, const Tags& tags,
                            const SequenceOptions& options = {}) {
  DocumentTokens tokens = tokens_of(document, tokenizer, tags, options);
  Sequence s;
  s.targets = tokens.targets(0, tokens.size());
  s.phi = phi_of(tokens.places, tokens.size());
  s.media = static_cast<int>(tokens.places.size());
  s.ids = std::move(tokens.ids);
  return s;
}

}  // namespace flamingo
