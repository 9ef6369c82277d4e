/// A model of any type as a Writer: an engine, a thread that drives it, and contexts of their own for pictures and for
/// attention, so that those who write do not wait for them, nor pictures for attention.
///
/// M is what a program knows of its model: shipped.cpp, tiny.cpp and checkpoint.cpp each have one.
#pragma once
#include <algorithm>
#include <cmath>
#include <exception>
#include <iostream>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "models.hpp"
#include "writer.hpp"

#include <flamingo/infer/cache.hpp>
#include <flamingo/infer/serve.hpp>
#include <flamingo/io/image_file.hpp>

namespace studio {

/// The scores of the token that is being chosen: on_token(id), which comes after, asks them.
class Scores {
 public:
  explicit Scores(int alternatives) : alternatives_(alternatives) {}
  void note(std::span<const double> scores) {
    scores_.assign(scores.begin(), scores.end());
    total_ = flamingo::detail::log_sum_exp<double>(scores);
  }
  Token of(int id) const {
    Token token{id, id < 0 || scores_.empty() ? 0 : log_p(static_cast<std::size_t>(id)), {}};
    std::vector<int> order(scores_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
    const std::size_t kept = std::min(order.size(), static_cast<std::size_t>(alternatives_));
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(), [&](int a, int b) {
      const double of_a = scores_[static_cast<std::size_t>(a)], of_b = scores_[static_cast<std::size_t>(b)];
      return of_a != of_b ? of_a > of_b : a < b;
    });
    for (std::size_t i = 0; i < kept; ++i)
      if (const double p = log_p(static_cast<std::size_t>(order[i])); std::isfinite(p))
        token.alternatives.push_back({order[i], p});
    return token;
  }

 private:
  double log_p(std::size_t id) const { return scores_[id] - total_; }
  int alternatives_;
  std::vector<double> scores_;
  double total_ = 0;
};

template <class M>
class Desk final : public Writer {
 public:
  using P = typename M::P;
  using Model = typename M::Model;
  using Engine = flamingo::Engine<Model, typename M::Connector, typename M::Lm>;
  static constexpr int width = Model::ResamplerLayer::E;
  static constexpr bool placed = Model::config.resampler.media > 0;  // latents depend on where the picture stands
  static constexpr bool looks = Model::config.resampler.kind == flamingo::ResamplerKind::perceiver;

  Desk(std::unique_ptr<const M> model, const DeskOptions& options)
      : model_(std::move(model)),
        options_(options),
        about_(model_->about()),
        ctx_(options.threads),
        beside_(options.threads),
        looking_(options.threads),
        engine_(ctx_, model_->connector(), model_->lm(),
                {.text_rows = std::max(Model::config.lm.context, options.text_rows), .media = options.media}),
        server_(engine_, {.running = options.running}),
        driver_([this] { drive(); }) {
    about_.context = Model::config.lm.context;
    about_.vocabulary = Engine::V;
    about_.gated_blocks = static_cast<int>(Model::gated_blocks);
    about_.heads = Model::Gated::Attend::shape().heads;
    about_.looks = looks && about_.grid_width > 0;
  }
  Desk(const Desk&) = delete;
  ~Desk() override {
    server_.close();
    driver_.join();
  }

  const About& about() const override { return about_; }

  std::shared_ptr<const Sight> see(std::string_view file, std::string_view name) override {
    const auto bytes = std::as_bytes(std::span(file));
    const std::uint64_t key = flamingo::content_key(bytes, 1, 0);
    const std::lock_guard turn(beside_mutex_);
    const auto known = std::find_if(seen_.begin(), seen_.end(), [&](const auto& entry) { return entry.first == key; });
    if (known != seen_.end()) {
      seen_.splice(seen_.end(), seen_, known);
      return known->second;
    }
    const auto picture = flamingo::io::decode_raw<typename M::Codec>(bytes, name, {.max_pixels = options_.max_pixels});
    seen_.emplace_back(key, std::make_shared<const Sight>(model_->encode(beside_, picture)));
    if (seen_.size() > static_cast<std::size_t>(options_.media)) seen_.pop_front();
    return seen_.back().second;
  }

  Prompt prompt(const Chat& chat) const override { return model_->prompt(chat); }

  Id write(const Prompt& prompt, const Sampling& s, std::shared_ptr<Line> line) override {
    const auto scores = std::make_shared<Scores>(s.alternatives);
    flamingo::GenerateOptions o{.max_new_tokens = s.max_tokens,
                                .temperature = s.temperature,
                                .top_k = s.top_k,
                                .top_p = s.top_p,
                                .seed = s.seed,
                                .stop_ids = prompt.stop,
                                .banned = prompt.banned,
                                .repetition_penalty = s.repetition_penalty,
                                .stop_texts = s.stops};
    o.bytes_of = [this](int id) { return bytes(id); };
    o.on_text = [line](std::string_view text) { line->put({Event::Kind::text, {}, std::string(text)}); };
    if (s.alternatives > 0) o.hook = [scores](std::span<const int>, std::span<double> all) { scores->note(all); };
    return server_.submit({.prompt = [prompt, line](Engine& engine) { return begin(engine, prompt, *line); },
                           .options = std::move(o),
                           .on_token =
                               [line, scores](int id) {
                                 line->put({Event::Kind::token, scores->of(id)});
                               },
                           .on_end =
                               [line, scores](flamingo::Served& served) {
                                 const auto why = served.written.stopped;
                                 const bool chosen = why == flamingo::StopReason::stop_id;
                                 line->put({Event::Kind::ended, chosen ? scores->of(served.state.ids.back()) : Token{},
                                            std::move(served.error), why});
                               }});
  }
  void cancel(Id id) override { server_.cancel(id); }

  flamingo::AttentionMaps look(const Prompt& prompt, std::span<const int> written) override {
    if constexpr (looks) {
      check_look(prompt, written.size());
      std::vector<float> rows;
      std::vector<flamingo::Medium> media;
      for (const auto& sight : prompt.sights) {
        media.push_back({static_cast<int>(rows.size()) / width, sight->count, 1, static_cast<int>(media.size())});
        rows.insert(rows.end(), sight->rows.begin(), sight->rows.end());
      }
      flamingo::Sequence document = prompt.sequence;
      std::vector<int> from;  // a token was chosen where the one before it was read
      for (std::size_t i = 0; i <= written.size(); ++i)
        from.push_back(static_cast<int>(prompt.sequence.ids.size() + i) - 1);
      document.ids.insert(document.ids.end(), written.begin(), written.end());
      document.phi.resize(document.ids.size(), document.phi.back());
      document.targets.clear();
      const std::lock_guard turn(looking_mutex_);
      return flamingo::attention_maps<Model>(
          looking_, model_->connector(), model_->lm(), document,
          flamingo::Rows<P, width, const float>{rows.data(), static_cast<int>(rows.size()) / width, {}},
          std::span<const flamingo::Medium>(media), std::span<const int>(from));
    } else {
      flamingo::fail("attention", "this model has no Resampler: where a latent comes from is not known");
    }
  }
  std::string_view bytes(int id) const override {
    return id < model_->tokenizer().size() ? model_->tokenizer().bytes(id) : std::string_view();
  }

 private:
  /// Every token's attention in every block and head to every picture's latents is kept: bounded before it is computed.
  void check_look(const Prompt& prompt, std::size_t written) const
    requires looks
  {
    constexpr auto& resampler = Model::config.resampler;
    const auto latents = static_cast<std::size_t>(resampler.latents),
               each_token = static_cast<std::size_t>(Model::gated_blocks) *
                            static_cast<std::size_t>(Model::Gated::Attend::shape().heads) * latents,
               each_row =
                   static_cast<std::size_t>(resampler.layers) * static_cast<std::size_t>(resampler.heads) * latents;
    std::size_t rows = 0;
    for (const auto& sight : prompt.sights) rows += static_cast<std::size_t>(sight->count);
    const std::size_t pictures = prompt.sights.size(),
                      bytes = ((written + 1) * pictures * each_token + rows * each_row) * sizeof(double);
    flamingo::check(bytes <= options_.attention, "attention", "that of ", written + 1, " tokens to ", pictures,
                    " pictures takes ", bytes, " bytes, at most ", options_.attention,
                    " are kept; ask for fewer tokens, pictures or examples");
  }
  static flamingo::TextState begin(Engine& engine, const Prompt& prompt, Line& line) {
    std::vector<flamingo::CachedMedium> media;
    for (const auto& sight : prompt.sights)
      media.push_back(engine.add_medium(flamingo::Rows<P, width, const float>{sight->rows.data(), sight->count, {}}, 1,
                                        placed ? static_cast<int>(media.size()) : 0, sight->visible));
    line.put({Event::Kind::begun});
    return engine.begin(prompt.sequence, media);
  }
  void drive() {
    while (server_.wait()) try {
        server_.step();
      } catch (const std::exception& error) {
        std::cerr << "studio: " << error.what() << '\n';
      }
  }

  std::unique_ptr<const M> model_;
  DeskOptions options_;
  About about_;
  flamingo::Context<P> ctx_, beside_, looking_;
  std::mutex looking_mutex_;
  std::mutex beside_mutex_;                                                 ///< of `beside_` and of what follows
  std::list<std::pair<std::uint64_t, std::shared_ptr<const Sight>>> seen_;  ///< the one asked for last at the end
  Engine engine_;
  flamingo::Server<Engine> server_;
  std::thread driver_;
};

}  // namespace studio
