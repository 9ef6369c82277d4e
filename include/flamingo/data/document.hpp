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

/// The pieces that frame a document's text, as token ids (the paper: <BOS>, <image>, <EOC>).
struct Tags {
  std::vector<int> begin;         ///< once, first
  std::vector<int> image;         ///< at each image or video
  std::vector<int> end_of_chunk;  ///< after the text that follows a medium
  int announces = 0;              ///< which piece of `image` is the first to see the medium (Idefics: its second)
  bool joins = false;             ///< of neighbouring media the last piece of one is the first of the next (Idefics)

  /// Each tag as the tokenizer reads its text, special tokens recognised.
  static Tags of(const io::Tokenizer& tokenizer, std::string_view begin, std::string_view image,
                 std::string_view end_of_chunk) {
    const auto ids = [&](std::string_view text) { return tokenizer.encode(text, {.parse_special = true}); };
    Tags tags{ids(begin), ids(image), ids(end_of_chunk)};
    check(!tags.image.empty(), "tags", "the image tag '", image, "' has no tokens");
    return tags;
  }
};

/// How a document becomes a sequence.
struct SequenceOptions {
  bool begin = true;           ///< put Tags::begin first
  bool end_last_chunk = true;  ///< close the last text with Tags::end_of_chunk; a prompt to be continued does not
  int context = 1 << 30;       ///< most tokens; more are refused
};

/// Tokens, φ and targets of a document. Each text is tokenised by itself; a chunk that follows a medium ends with
/// end_of_chunk before the next medium and at the end. Targets: supervised text and the end of its chunk; never a tag.
inline Sequence sequence_of(const Document& document, const io::Tokenizer& tokenizer, const Tags& tags,
                            const SequenceOptions& options = {}) {
  const int pieces = static_cast<int>(tags.image.size());
  check(tags.announces >= 0 && tags.announces < std::max(pieces, 1), "tags", "piece ", tags.announces,
        " of the image tag announces its medium, the tag has ", pieces, " pieces");
  check(!tags.joins || (tags.announces > 0 && tags.image.front() == tags.image.back()), "tags",
        "image tags join where the last piece is the first again and a later one announces the medium");
  Sequence s;
  std::vector<char> asked;  // whether token t is to be predicted
  std::vector<int> places;
  const auto put = [&](std::span<const int> ids, bool supervised) {
    s.ids.insert(s.ids.end(), ids.begin(), ids.end());
    asked.insert(asked.end(), ids.size(), supervised);
  };
  if (options.begin) put(tags.begin, false);
  const int framing = static_cast<int>(s.ids.size());
  bool open = false, open_supervised = false;  // a text that has not been closed yet
  bool after_medium = false;
  for (const Document::Part& part : document.parts()) {
    if (part.kind == Document::Kind::text) {
      const bool begins = static_cast<int>(s.ids.size()) == framing;
      const std::vector<int> ids = tokenizer.encode(part.text, {.begins = begins});
      put(ids, part.supervised);
      open = true;
      open_supervised = part.supervised;
      after_medium = false;
    } else {
      if (open) put(tags.end_of_chunk, open_supervised);
      open = false;
      const int joined = tags.joins && after_medium ? 1 : 0;
      places.push_back(static_cast<int>(s.ids.size()) + tags.announces - joined);
      put(std::span(tags.image).subspan(static_cast<std::size_t>(joined)), false);
      after_medium = true;
    }
  }
  if (open && options.end_last_chunk) put(tags.end_of_chunk, open_supervised);
  const int tokens = static_cast<int>(s.ids.size());
  check(tokens > framing, "document", "the prompt is empty: it has neither text nor media");
  check(tokens <= options.context, "document", "the document has ", tokens, " tokens, the context holds ",
        options.context);
  s.phi = phi_of(places, tokens);
  s.media = static_cast<int>(places.size());
  s.targets.assign(s.ids.size(), -1);
  for (std::size_t t = 0; t + 1 < s.ids.size(); ++t)
    if (asked[t + 1]) s.targets[t] = s.ids[t + 1];
  return s;
}

}  // namespace flamingo
