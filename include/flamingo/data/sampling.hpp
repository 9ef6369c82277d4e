/// Windows of documents, as the paper trains on them: at most L tokens with at most N media, each token seeing the
/// medium before it or, in some windows, the next one (Alayrac et al. 2022, appendix A).
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/data/document.hpp>
#include <flamingo/io/tokenizer.hpp>
#include <flamingo/model/media.hpp>

namespace flamingo {

/// How windows are drawn from the documents of one dataset.
struct WindowOptions {
  int tokens = 256;         ///< L: most tokens
  int media = 5;            ///< N: most images or videos; later ones of the window are discarded
  float next = 0.5f;        ///< p_next: how often all texts of a window see the next medium instead of the last
  float leading_space = 0;  ///< how often a space is put before the first text
  bool anywhere = true;     ///< longer documents are cut at a random token; else their beginning is taken

  /// Webpages: M3W.
  static constexpr WindowOptions pages(int tokens = 256, int media = 5) { return {.tokens = tokens, .media = media}; }
  /// Captions of one image or video: ALIGN, LTIP, VTP. The paper uses L = 32 or 64 and does not say which where.
  static constexpr WindowOptions pairs(int tokens = 64) {
    return {.tokens = tokens, .media = 1, .next = 0, .leading_space = 0.5f, .anywhere = false};
  }
};

/// A part of a document as a sequence: its media are first_medium .. first_medium + sequence.media - 1 of the
/// document's.
struct DocumentWindow {
  Sequence sequence;
  int first_medium = 0;
};

/// The window that begins at a token of the document. φ counts the media that the window itself announces, from 1; 0 is
/// what sees nothing: text whose medium lies before the window or was discarded. With `next`, all but image tags see
/// the medium announced after them, and nothing where that one is discarded, behind the window, or there is none.
inline DocumentWindow window_of(const DocumentTokens& document, int first, int tokens, int media, bool next) {
  check(first >= 0 && first < document.size() && tokens > 0 && media >= 0, "window", "got token ", first, " of ",
        document.size(), ", ", tokens, " tokens and ", media, " media");
  const int count = std::min(tokens, document.size() - first);
  const auto before = [&](int token) {
    return static_cast<int>(std::lower_bound(document.places.begin(), document.places.end(), token) -
                            document.places.begin());
  };
  DocumentWindow window;
  window.first_medium = before(first);
  window.sequence.media = std::min(media, before(first + count) - window.first_medium);
  const auto begin = document.ids.begin() + first;
  window.sequence.ids.assign(begin, begin + count);
  window.sequence.targets = document.targets(first, count);
  for (int t = first; t < first + count; ++t) {
    const bool tag = document.tag[static_cast<std::size_t>(t)] != 0;
    const int sees = before(t + 1) - window.first_medium + (next && !tag ? 1 : 0);
    window.sequence.phi.push_back(sees <= window.sequence.media ? sees : 0);
  }
  return window;
}

/// A document with a space before its first text.
inline Document with_leading_space(const Document& document) {
  Document result;
  bool done = false;
  for (const Document::Part& part : document.parts()) {
    const std::string text = (part.kind == Document::Kind::text && !done ? " " : "") + part.text;
    if (part.kind == Document::Kind::image) {
      result.image(part.frames.front());
    } else if (part.kind == Document::Kind::video) {
      result.video(part.frames);
    } else {
      part.supervised ? result.text(text) : result.given(text);
      done = true;
    }
  }
  return result;
}

/// A window drawn from a document: whether a space leads, where it begins, whether its texts see the next medium. Takes
/// three numbers of `random`, whatever the document. The frame is <BOS> ... <EOC><image> ... <EOC><EOS>: an <EOC>
/// before every image but one that begins the document, and at the end.
inline DocumentWindow sample_window(const Document& document, const io::Tokenizer& tokenizer, const Tags& tags,
                                    const WindowOptions& options, Random& random) {
  const bool space = random.uniform() < options.leading_space;
  const std::uint64_t place = random.bits();
  const bool next = random.uniform() < options.next;
  const DocumentTokens tokens = tokens_of(space ? with_leading_space(document) : document, tokenizer, tags,
                                          {.end_empty_chunks = true, .end = true});
  const std::uint64_t starts = static_cast<std::uint64_t>(std::max(0, tokens.size() - options.tokens)) + 1;
  const int first = options.anywhere ? static_cast<int>((place * starts) >> 32) : 0;
  return window_of(tokens, first, options.tokens, options.media, next);
}

}  // namespace flamingo
