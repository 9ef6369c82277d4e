/// Answers of a model: an engine, a tokenizer, and whoever opens pictures.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/eval/protocol/evaluate.hpp>
#include <flamingo/infer/beam.hpp>
#include <flamingo/infer/score.hpp>
#include <flamingo/io/tokenizer.hpp>
#include <flamingo/model/media.hpp>

namespace flamingo {

/// Text is a tokenizer: encode(text, options) and decode(ids). `medium` gives the engine's medium of a TaskMedium; the
/// path blank_medium asks for a uniform picture, those before the path of a video for frames of it.
///
/// Tags may be any number of tokens. One of a single token is found among those of the whole prompt, as published
/// programs do; of one that the tokenizer spells, the text on both sides is tokenised by itself.
template <class E, class Text, class Medium>
class EngineAnswerer {
 public:
  EngineAnswerer(E& engine, const Text& text, const PromptSet& set, Medium medium)
      : engine_(engine),
        text_(text),
        medium_(std::move(medium)),
        set_(set),
        image_(tag_ids(set.image)),
        end_(tag_ids(set.end_of_chunk)) {}

  /// Writes until the end of the chunk, by beam search. An end of several tokens ends nothing by itself: what was
  /// written is cut there.
  Answer write(const Prompt& prompt, const EvaluationSettings& s) {
    const TextState state = begin(prompt);
    const int length = state.length();
    const std::vector<Hypothesis> found = beam_search(engine_, state,
                                                      {.beams = s.beams,
                                                       .max_new_tokens = s.max_new_tokens,
                                                       .length_penalty = s.length_penalty,
                                                       .end_ids = alone(end_),
                                                       .banned = alone(image_)});
    check(!found.empty(), "evaluate", "a model wrote nothing");
    const std::int64_t read = length + static_cast<std::int64_t>(found[0].ids.size());
    std::string text = text_.decode(found[0].ids);
    text.resize(std::min({text.size(), text.find(set_.end_of_chunk), text.find(set_.image)}));
    return {std::string(trimmed(text)), {}, {read, read}};
  }

  /// log p of each candidate after the prompt, in all or a token.
  Answer score(const Prompt& prompt, std::span<const std::string> candidates, const EvaluationSettings& s) {
    TextState state = begin(prompt);
    const int length = state.length();
    std::vector<std::vector<int>> ids;
    Answer answer;
    for (const std::string& candidate : candidates) {
      ids.push_back(encoded(set_.lead + candidate, false));
      if (set_.closes_candidates) ids.back().insert(ids.back().end(), end_.begin(), end_.end());
      answer.tokens.one_by_one += length + static_cast<std::int64_t>(ids.back().size()) - 1;
    }
    if (s.best > 0 && !s.normalise_length) {
      const BestScores found = score_best(engine_, state, ids, s.best);
      answer.tokens.read = length - 1 + found.tokens;
      for (const Score& score : found.scores) answer.scores.push_back(score.sum);
      return answer;
    }
    answer.tokens.read = length - 1 + tree_tokens(ids);
    for (const Score& score : flamingo::score(engine_, state, ids))
      answer.scores.push_back(s.normalise_length ? score.mean() : score.sum);
    return answer;
  }

  /// The tokens of a prompt, and φ: a tag's first token already sees its medium.
  Sequence sequence_of(const std::string& text) const {
    Sequence sequence;
    if (image_.size() == 1 && !set_.image_is_a_word) {
      sequence.ids = encoded(text, true);
      sequence.phi = phi_of_tags(sequence.ids, image_[0]);
    } else {
      std::vector<int> places;
      for (std::size_t at = 0; at <= text.size();) {
        const std::size_t next = std::min(text.find(set_.image, at), text.size());
        const std::vector<int> piece = encoded(text.substr(at, next - at), at == 0);
        sequence.ids.insert(sequence.ids.end(), piece.begin(), piece.end());
        if (next == text.size()) break;
        places.push_back(static_cast<int>(sequence.ids.size()));
        sequence.ids.insert(sequence.ids.end(), image_.begin(), image_.end());
        at = next + set_.image.size();
      }
      sequence.phi = phi_of(places, static_cast<int>(sequence.ids.size()));
    }
    sequence.media = sequence.phi.empty() ? 0 : sequence.phi.back();
    return sequence;
  }
  /// A text's tokens; `begins`: it is the prompt's first.
  std::vector<int> encoded(const std::string& text, bool begins) const {
    const auto ids = text_.encode(text, io::EncodeOptions{.parse_special = true, .begins = begins});
    return {ids.begin(), ids.end()};
  }

 private:
  std::vector<int> tag_ids(const std::string& tag) const {
    std::vector<int> ids = encoded(tag, false);
    check(!ids.empty(), "evaluate", "the tokenizer reads the tag '", tag, "' as no token");
    return ids;
  }
  static std::vector<int> alone(const std::vector<int>& tag) { return tag.size() == 1 ? tag : std::vector<int>(); }
  /// What score() reads of candidates: the nodes of the trees of its passes, whose root is the prompt's last token.
  static std::int64_t tree_tokens(std::span<const std::vector<int>> candidates) {
    std::vector<std::size_t> order(candidates.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return candidates[a] < candidates[b]; });
    std::int64_t tokens = 0;
    for (std::size_t from = 0; from < order.size();)
      tokens += static_cast<std::int64_t>(
          CandidateTree::of(0, candidates, order, from, ScoreOptions{}.tokens_a_pass).ids.size());
    return tokens;
  }
  TextState begin(const Prompt& prompt) {
    const Sequence sequence = sequence_of(prompt.text);
    check(static_cast<std::size_t>(sequence.media) == prompt.media.size(), "evaluate", "a prompt has ", sequence.media,
          " image tags and ", prompt.media.size(), " media: an item's text has a tag in it");
    std::vector<CachedMedium> media;
    for (const TaskMedium& medium : prompt.media) media.push_back(medium_(medium));
    return engine_.begin(sequence, media);
  }

  E& engine_;
  const Text& text_;
  Medium medium_;
  PromptSet set_;
  std::vector<int> image_, end_;
};

}  // namespace flamingo
