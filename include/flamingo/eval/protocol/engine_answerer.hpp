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
/// path blank_medium asks for a uniform picture.
template <class E, class Text, class Medium>
class EngineAnswerer {
 public:
  EngineAnswerer(E& engine, const Text& text, const PromptSet& set, Medium medium)
      : engine_(engine),
        text_(text),
        medium_(std::move(medium)),
        lead_(set.lead),
        image_(one_id(set.image)),
        end_(one_id(set.end_of_chunk)) {}

  /// Writes until the end of the chunk, by beam search.
  Answer write(const Prompt& prompt, const EvaluationSettings& s) {
    const TextState state = begin(prompt);
    const int length = state.length();
    const std::vector<Hypothesis> found = beam_search(engine_, state,
                                                      {.beams = s.beams,
                                                       .max_new_tokens = s.max_new_tokens,
                                                       .length_penalty = s.length_penalty,
                                                       .end_ids = {end_},
                                                       .banned = {image_}});
    check(!found.empty(), "evaluate", "a model wrote nothing");
    const std::int64_t read = length + static_cast<std::int64_t>(found[0].ids.size());
    return {std::string(trimmed(text_.decode(found[0].ids))), {}, {read, read}};
  }

  /// log p of each candidate after the prompt, in all or a token.
  Answer score(const Prompt& prompt, std::span<const std::string> candidates, const EvaluationSettings& s) {
    TextState state = begin(prompt);
    const int length = state.length();
    std::vector<std::vector<int>> ids;
    Answer answer;
    for (const std::string& candidate : candidates) {
      ids.push_back(encoded(lead_ + candidate, false));
      answer.tokens.one_by_one += length + static_cast<std::int64_t>(ids.back().size()) - 1;
    }
    answer.tokens.read = length - 1 + tree_tokens(ids);
    for (const Score& score : flamingo::score(engine_, state, ids))
      answer.scores.push_back(s.normalise_length ? score.mean() : score.sum);
    return answer;
  }

 private:
  std::vector<int> encoded(const std::string& text, bool begins) const {
    const auto ids = text_.encode(text, io::EncodeOptions{.parse_special = true, .begins = begins});
    return {ids.begin(), ids.end()};
  }
  int one_id(const std::string& tag) const {
    const std::vector<int> ids = encoded(tag, false);
    check(ids.size() == 1, "evaluate", "the tokenizer reads the tag '", tag, "' as ", ids.size(),
          " tokens, expected one");
    return ids[0];
  }
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
    Sequence sequence;
    sequence.ids = encoded(prompt.text, true);
    sequence.phi = phi_of_tags(sequence.ids, image_);
    sequence.media = sequence.phi.empty() ? 0 : sequence.phi.back();
    check(static_cast<std::size_t>(sequence.media) == prompt.media.size(), "evaluate", "a prompt has ", sequence.media,
          " image tags and ", prompt.media.size(), " media: an item's text has a tag in it");
    std::vector<CachedMedium> media;
    for (const TaskMedium& medium : prompt.media) media.push_back(medium_(medium));
    return engine_.begin(sequence, media);
  }

  E& engine_;
  const Text& text_;
  Medium medium_;
  std::string lead_;
  int image_, end_;
};

}  // namespace flamingo
