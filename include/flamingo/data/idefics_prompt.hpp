/// Idefics' prompts as transformers' IdeficsProcessor writes them: the text of a document, and which image each token
/// sees.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/document.hpp>

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
/// taken away; an image stands between two around_image tokens, of which images side by side share one. Tags written
/// in a text count as tags, as in the reference. Videos are refused.
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

/// φ of a prompt's ids: the number of the last image before or at a token, 0 where there is none. What follows an end
/// token sees none until the next image, and so does what belongs to an image beyond `images`. A model whose config
/// names the end of a document sees the same by itself.
inline std::vector<int> idefics_phi(std::span<const int> ids, int image_token, int end_token, int images) {
  int closed = -1;
  std::vector<int> phi =
      seen_phi(XattnConfig{.end_of_document = end_token}, ids, phi_of_tags(ids, image_token), closed);
  std::replace_if(
      phi.begin(), phi.end(), [images](int p) { return p > images; }, 0);
  return phi;
}

}  // namespace flamingo
