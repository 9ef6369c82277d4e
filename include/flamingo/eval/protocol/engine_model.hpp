/// A model as plans ask it: an engine, a tokenizer, and whoever makes features of media.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/context.hpp>
#include <flamingo/eval/protocol/engine_answerer.hpp>
#include <flamingo/eval/protocol/gallery.hpp>
#include <flamingo/infer/attention_map.hpp>
#include <flamingo/infer/attention_overlay.hpp>
#include <flamingo/io/json.hpp>

namespace flamingo {

/// A medium's features: `count` rows, frames one after another, each a grid of columns × lines (0: no grid is known).
template <class R>
struct EncodedMedium {
  std::vector<R> rows;
  int count = 0, frames = 1;
  int visible = 0;  ///< rows of the medium that a text may see; 0: all
  int columns = 0, lines = 0;
};

/// Answers, features, attention and gates of one engine's model. `see(TaskMedium)` gives an EncodedMedium; it may keep
/// what it made, since it is asked for demonstrations again and again.
template <class E, class Text, class See>
class EngineModel {
 public:
  using Model = typename E::Model;
  using P = typename E::P;
  using Real = typename P::Real;

  /// `encoder` names what makes features: indexes of another one's are refused.
  EngineModel(E& engine, const Text& text, PromptSet set, std::string encoder, See see)
      : engine_(engine),
        text_(text),
        set_(std::move(set)),
        encoder_(std::move(encoder)),
        see_(std::move(see)),
        answerer_(engine, text, set_, Add{this}) {}
  EngineModel(const EngineModel&) = delete;
  EngineModel& operator=(const EngineModel&) = delete;

  const PromptSet& prompts() const { return set_; }
  const std::string& encoder() const { return encoder_; }
  Answer write(const Prompt& prompt, const EvaluationSettings& s) { return answerer_.write(prompt, s); }
  Answer score(const Prompt& prompt, std::span<const std::string> candidates, const EvaluationSettings& s) {
    return answerer_.score(prompt, candidates, s);
  }

  /// The mean over a medium's rows.
  std::vector<float> features(const TaskMedium& medium) {
    const auto& seen = see_(medium);
    std::vector<double> sums(static_cast<std::size_t>(Model::ResamplerLayer::E), 0.0);
    for (std::size_t i = 0; i < seen.rows.size(); ++i) sums[i % sums.size()] += static_cast<double>(seen.rows[i]);
    std::vector<float> mean;
    for (const double sum : sums) mean.push_back(static_cast<float>(sum / seen.count));
    return mean;
  }

  /// Where each word of `text` looked in the last medium of the prompt: the mean over its tokens, each of which is
  /// decided at the token before it. Of a video the sum over its frames. None where the model has no Perceiver or the
  /// features no grid.
  std::vector<LookedWord> look(const Prompt& prompt, std::string_view text) {
    std::vector<LookedWord> words;
    if constexpr (Model::config.resampler.kind == ResamplerKind::perceiver) {
      if (prompt.media.empty()) return words;
      Sequence document = answerer_.sequence_of(prompt.text);
      const std::vector<int> said = answerer_.encoded(set_.lead + std::string(text), false);
      std::vector<int> tokens;
      for (const int id : said) {
        tokens.push_back(static_cast<int>(document.ids.size()) - 1);
        document.ids.push_back(id);
        document.phi.push_back(document.media);
      }
      if (said.empty()) return words;
      std::vector<Real> rows;
      std::vector<Medium> media;
      EncodedMedium<Real> last;
      for (const TaskMedium& medium : prompt.media) {
        last = see_(medium);
        media.push_back({static_cast<int>(rows.size() / E_), last.count, last.frames, static_cast<int>(media.size())});
        if (last.columns <= 0) return words;
        rows.insert(rows.end(), last.rows.begin(), last.rows.end());
      }
      Context<P>& ctx = engine_.context();
      const auto scope = ctx.scope();
      const auto features = scratch<static_cast<int>(E_)>(ctx, static_cast<int>(rows.size() / E_));
      upload(ctx, rows.data(), rows.size(), features.data);
      const AttentionMaps maps =
          attention_maps<Model>(ctx, engine_.connector(), engine_.lm(), document, features, media, tokens);
      const auto cells = static_cast<std::size_t>(last.columns * last.lines);
      std::string before;
      double parts = 0;
      for (std::size_t t = 0; t < said.size(); ++t) {
        const std::string so_far = text_.decode(std::span(said).first(t + 1));
        const std::string piece = so_far.substr(std::min(before.size(), so_far.size()));
        if (words.empty() || piece.starts_with(' ')) {
          words.push_back({"", std::vector<double>(cells, 0.0), last.columns, last.lines});
          parts = 0;
        }
        words.back().word += trimmed(piece);
        const std::vector<double> heat = attention_heat(maps, static_cast<int>(t), maps.media - 1);
        for (double& x : words.back().heat) x *= parts / (parts + 1);
        parts += 1;
        for (std::size_t s = 0; s < heat.size(); ++s) words.back().heat[s % cells] += heat[s] / parts;
        before = so_far;
      }
    }
    return words;
  }

  /// {"gates": [{"layer", "attention", "dense"}]}: the mean of tanh of each gate.
  io::Json facts() {
    io::Json::Array gates;
    for (std::size_t i = 0; i <= Model::all_blocks; ++i) {
      const std::size_t j = Model::gated_before(i);
      if (j == Model::none) continue;
      io::Json::Object gate{{"layer", static_cast<std::int64_t>(i)}};
      const auto& weights = engine_.connector().gated[j];
      if constexpr (Model::Gated::gated) gate.push_back({"attention", open(weights.attention_gate)});
      if constexpr (Model::Gated::gated && Model::Gated::has_dense) gate.push_back({"dense", open(weights.dense_gate)});
      gates.push_back(std::move(gate));
    }
    return io::Json::Object{{"encoder", encoder_}, {"prompts", set_.name}, {"gates", std::move(gates)}};
  }

 private:
  static constexpr auto E_ = static_cast<std::size_t>(Model::ResamplerLayer::E);

  /// A medium of the engine.
  struct Add {
    EngineModel* model;
    CachedMedium operator()(const TaskMedium& medium) const {
      E& engine = model->engine_;
      const auto& seen = model->see_(medium);
      const auto scope = engine.context().scope();
      const auto features = scratch<static_cast<int>(E_)>(engine.context(), seen.count);
      upload(engine.context(), seen.rows.data(), seen.rows.size(), features.data);
      return engine.add_medium(features, seen.frames, 0, seen.visible);
    }
  };
  template <class Gate>
  double open(const Gate& gate) {
    const auto numbers = host_copy(engine_.context(), gate.data, static_cast<std::size_t>(Model::Gated::gate_size));
    double sum = 0;
    for (const auto x : numbers) sum += std::tanh(static_cast<double>(x));
    return sum / static_cast<double>(numbers.size());
  }

  E& engine_;
  const Text& text_;
  PromptSet set_;
  std::string encoder_;
  See see_;
  EngineAnswerer<E, Text, Add> answerer_;
};

}  // namespace flamingo
