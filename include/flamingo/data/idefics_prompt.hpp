/// Idefics' prompts as transformers' IdeficsProcessor writes them.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/document.hpp>
#include <flamingo/io/tokenizer.hpp>
#include <flamingo/model/media.hpp>

namespace flamingo {

/// The special tokens, as the tokenizer's file spells them.
struct IdeficsTags {
  std::string begin = "<s>", end = "</s>", around_image = "<fake_token_around_image>", image = "<image>",
              end_of_utterance = "<end_of_utterance>";
};

struct IdeficsPrompt {
  /// End each text that another text follows with end_of_utterance: the instructed models were trained so.
  bool end_utterances = false;
  bool end = false;  ///< close the prompt: a document for training
  IdeficsTags tags = {};
};

/// The text of a prompt, to be encoded with its special tokens recognised and none added. Spaces around a text are
/// taken away; an image stands between two around_image tokens, of which images side by side share one. Videos are
/// refused.
inline std::string idefics_prompt(const Document& document, const IdeficsPrompt& options = {}) {
  const IdeficsTags& tags = options.tags;
  std::string prompt = tags.begin;
  bool after_image = false, after_text = false;
  for (const Document::Part& part : document.parts()) {
    check(part.kind != Document::Kind::video, "idefics_prompt", "the document has a video, expected text and images");
    const bool image = part.kind == Document::Kind::image;
    if (image) {
      prompt += (after_image ? "" : tags.around_image) + tags.image + tags.around_image;
    } else {
      if (after_text && options.end_utterances) prompt += tags.end_of_utterance;
      const std::size_t first = part.text.find_first_not_of(' '), last = part.text.find_last_not_of(' ');
      if (first != std::string::npos) prompt += part.text.substr(first, last + 1 - first);
    }
    after_image = image;
    after_text = !image;
  }
  return options.end ? prompt + tags.end : prompt;
}

/// The prompt's tokens, and φ by its image tokens: what follows an end token sees nothing where XattnConfig's
/// end_of_document names it. No token is a target. Refuses texts that bring image tags of their own.
inline Sequence idefics_sequence(const Document& document, const io::Tokenizer& tokenizer,
                                 const IdeficsPrompt& options = {}) {
  const auto image = tokenizer.find(options.tags.image);
  check(image.has_value(), "idefics_prompt", "the tokenizer has no token ", options.tags.image);
  Sequence s{.ids = tokenizer.encode(idefics_prompt(document, options), {.parse_special = true})};
  s.media = static_cast<int>(document.media().size());
  s.phi = phi_of_tags(s.ids, *image);
  const int tagged = s.phi.empty() ? 0 : s.phi.back();
  check(tagged == s.media, "idefics_prompt", "the prompt has ", tagged, " image tokens and the document ", s.media,
        " images: one token is expected for each");
  s.targets.assign(s.ids.size(), -1);
  return s;
}

}  // namespace flamingo
