// The page, and what it asks: a model's description, examples, tokens as they are written, where they looked.
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ask.hpp"
#include "names.hpp"
#include "page_files.hpp"
#include "run.hpp"
#include "service.hpp"
#include "text.hpp"

#include <flamingo/infer/attention_overlay.hpp>

namespace studio {
namespace {

using flamingo::io::Json;
using Object = Json::Object;

/// The last answers, whose attention may be asked for.
class Answers {
 public:
  struct Answer {
    Prompt prompt;
    std::vector<int> written;
    int shots = 0;  ///< pictures before those of the page
  };
  void keep(const std::string& name, std::shared_ptr<const Answer> answer) {
    const std::lock_guard lock(mutex_);
    all_.emplace_back(name, std::move(answer));
    if (all_.size() > 16) all_.pop_front();
  }
  std::shared_ptr<const Answer> find(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [known, answer] : all_)
      if (known == name) return answer;
    throw Refusal(404, "There is no such answer any more; write it again.").at("run");
  }

 private:
  mutable std::mutex mutex_;
  std::list<std::pair<std::string, std::shared_ptr<const Answer>>> all_;
};

/// Where one answer looked, the one that was asked about last: much larger than the answer.
class Looks {
 public:
  /// Calls f(maps). One at a time: throws what `visit` does while it waits for its turn, and Refusal where the maps are
  /// more than is kept.
  template <class F>
  void with(const std::shared_ptr<const Answers::Answer>& answer, Writer& writer, const Visit& visit, const F& f) {
    std::unique_lock turn(mutex_, std::defer_lock);
    do visit.check(Visit::Doing::waiting);
    while (!turn.try_lock_for(std::chrono::milliseconds(100)));
    if (of_ != answer) {
      maps_.reset();
      of_.reset();
      try {
        maps_ = writer.look(answer->prompt, answer->written);
      } catch (const flamingo::Error& error) {
        throw Refusal(413, error.what()).at("run").as("invalid_request_error", "attention_too_large");
      }
      of_ = answer;
    }
    visit.check(Visit::Doing::writing);
    f(*maps_);
  }

 private:
  std::timed_mutex mutex_;
  std::shared_ptr<const Answers::Answer> of_;
  std::optional<flamingo::AttentionMaps> maps_;
};

Json about_json(const Service& service) {
  const About& about = service.writer.about();
  const auto fit = about.fit == Fit::pad ? "pad" : about.fit == Fit::crop ? "crop" : "stretch";
  Json::Array shots;
  for (const Shot& shot : service.shots) shots.emplace_back(Object{{"name", shot.name}, {"caption", shot.caption}});
  return Object{{"name", about.name},
                {"description", about.description},
                {"advice", about.advice},
                {"context", about.context},
                {"vocabulary", about.vocabulary},
                {"grid", Json::Array{about.grid_width, about.grid_height}},
                {"fit", fit},
                {"looks", about.looks},
                {"blocks", about.gated_blocks},
                {"heads", about.heads},
                {"tokens", about.default_tokens},
                {"limits", Object{{"tokens", std::min(service.limits.tokens, about.context)},
                                  {"pictures", service.limits.pictures},
                                  {"picture_bytes", static_cast<std::int64_t>(service.limits.picture)},
                                  {"seconds", static_cast<std::int64_t>(service.limits.time.count())}}},
                {"shots", std::move(shots)}};
}

int number_of(const httplib::Request& request, const char* name, int otherwise, int most) {
  if (!request.has_param(name)) return otherwise;
  const std::string text = request.get_param_value(name);
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value >= most)
    throw Refusal(400, std::string(name) + ": expected a number below " + std::to_string(most) + ", found \"" +
                           as_text(text.substr(0, 40)) + "\"")
        .at(name);
  return value;
}
Json choice_json(const Writer& writer, int id, double log_p) {
  return Object{{"id", id}, {"text", as_text(writer.bytes(id))}, {"p", std::exp(log_p)}};
}
Json token_json(const Writer& writer, const Token& token) {
  Json::Array alternatives;
  for (const auto& choice : token.alternatives) alternatives.push_back(choice_json(writer, choice.id, choice.log_p));
  return Object{{"chosen", choice_json(writer, token.id, token.log_p)}, {"alternatives", std::move(alternatives)}};
}
Json times_json(const Run& run) {
  const Run::Times times = run.times();
  return Object{{"encode_ms", times.encode},
                {"wait_ms", times.wait},
                {"prefill_ms", times.prefill},
                {"write_ms", times.write},
                {"tokens_a_second", times.tokens_a_second()},
                {"read", static_cast<std::int64_t>(run.prompt().sequence.ids.size())},
                {"pictures", static_cast<std::int64_t>(run.prompt().sights.size())},
                {"written", static_cast<std::int64_t>(run.written().size())}};
}
const char* name_of(flamingo::StopReason why) {
  constexpr std::array names{"length", "context", "stop_id", "stop_text", "cancelled", "failed"};
  return names[static_cast<std::size_t>(why)];
}

/// Streams a run to the page, and keeps its answer.
class Telling {
 public:
  Telling(Service& service, std::shared_ptr<Run> run, std::shared_ptr<const Names::Name> name, int shots,
          std::shared_ptr<Answers> answers)
      : service_(service), run_(std::move(run)), name_(std::move(name)), shots_(shots), answers_(std::move(answers)) {}

  bool operator()(std::string& out) {
    if (!begun_) {
      begun_ = true;
      put_event(out, Object{{"run", name_->text()}, {"times", times_json(*run_)}});
      return true;
    }
    const Event event = run_->next();
    if (event.kind == Event::Kind::token) put_event(out, Object{{"token", token_json(service_.writer, event.token)}});
    if (event.kind == Event::Kind::text) put_event(out, Object{{"text", as_text(event.text)}});
    if (event.kind != Event::Kind::ended) return true;
    auto answer = std::make_shared<Answers::Answer>();
    answer->prompt = run_->prompt();
    answer->written = run_->written();
    answer->shots = shots_;
    answers_->keep(name_->text(), std::move(answer));
    Object end{{"why", name_of(event.why)}, {"times", times_json(*run_)}};
    if (event.token.id >= 0) end.push_back({"token", token_json(service_.writer, event.token)});
    put_event(out, Object{{"end", std::move(end)}});
    return false;
  }

 private:
  Service& service_;
  std::shared_ptr<Run> run_;
  std::shared_ptr<const Names::Name> name_;
  int shots_;
  std::shared_ptr<Answers> answers_;
  bool begun_ = false;
};

/// For each token, the pictures of the page that it saw: their heat from 0 to 255, the hottest cell of them at 255.
Json looks_json(const flamingo::AttentionMaps& maps, int shots, int before_cells, int block, int head) {
  Json::Array tokens;
  for (int i = 0; i < static_cast<int>(maps.tokens.size()); ++i) {
    Json::Array seen;
    for (int medium = shots; medium < maps.media; ++medium) {
      std::vector<double> heat = flamingo::attention_heat(maps, i, medium, {.block = block, .head = head});
      heat.erase(heat.begin(), heat.begin() + before_cells);
      const double most = heat.empty() ? 0 : *std::max_element(heat.begin(), heat.end());
      if (most <= 0) continue;
      Json::Array cells;
      for (const double x : heat) cells.emplace_back(static_cast<int>(255 * x / most + 0.5));
      seen.emplace_back(Object{{"picture", medium - shots}, {"heat", std::move(cells)}});
    }
    tokens.emplace_back(std::move(seen));
  }
  return Object{{"tokens", std::move(tokens)}};
}

}  // namespace

void serve_page(httplib::Server& http, Service& service) {
  for (const PageFile& file : page_files)
    http.Get(std::string(file.path), [&file](const httplib::Request&, httplib::Response& response) {
      response.set_header("Cache-Control", "no-cache");
      response.set_content(file.content.data(), file.content.size(), std::string(file.type));
    });
  http.Get("/studio/about", [&service](const httplib::Request&, httplib::Response& response) {
    guarded(response, [&] { answer(response, about_json(service)); });
  });
  http.Get("/studio/shots/(\\d{1,4})", [&service](const httplib::Request& request, httplib::Response& response) {
    guarded(response, [&] {
      const auto at = static_cast<std::size_t>(std::stoi(request.matches[1]));
      if (at >= service.shots.size())
        throw Refusal(404, "There are " + std::to_string(service.shots.size()) + " examples.");
      const Shot& shot = service.shots[at];
      response.set_header("Cache-Control", "max-age=3600");
      response.set_content(shot.bytes, shot.type);
    });
  });
  const auto answers = std::make_shared<Answers>();
  const auto names = std::make_shared<Names>();
  post_visit(
      http, "/studio/write", service,
      [&service, answers, names](std::shared_ptr<const Visit> visit, std::string body, httplib::Response& response) {
        Drawn drawn = read_drawn(std::exchange(body, {}), service.writer.about(), service.limits);
        if (static_cast<std::size_t>(drawn.shots) > service.shots.size())
          throw Refusal(400, "shots: there are " + std::to_string(service.shots.size()) + " examples").at("shots");
        auto run = std::make_shared<Run>(std::move(visit), service.writer);
        const Chat chat = with_shots(service.shots, drawn.shots, std::move(drawn.parts));
        run->begin(chat, drawn.sampling);
        const auto shots = static_cast<int>(chat.size() - 1) / 2;
        auto name = std::make_shared<const Names::Name>(names, run->id());
        stream(response, Telling(service, std::move(run), std::move(name), shots, answers));
      });
  post_word(http, "/studio/cancel", [&service, names](Body body, httplib::Response& response) {
    const Json json = read_json(body, service.limits);
    const Json* run = json.is_object() ? json.find("run") : nullptr;
    if (run == nullptr || !run->is_string()) throw Refusal(400, "run: expected a string").at("run");
    const auto id = names->find(run->as_string());
    if (!id) throw Refusal(404, "There is no such run any more.").at("run");
    service.writer.cancel(*id);
    answer(response, Object{{"cancelled", *run}});
  });
  const auto looks = std::make_shared<Looks>();
  http.Get("/studio/attention",
           [&service, answers, looks](const httplib::Request& request, httplib::Response& response) {
             guarded(response, [&] {
               const About& about = service.writer.about();
               if (!about.looks) throw Refusal(404, "This model does not tell where it looked.");
               const int block = number_of(request, "block", -1, about.gated_blocks),
                         head = number_of(request, "head", -1, about.heads);
               const auto kept = answers->find(request.get_param_value("run"));
               const auto visit = service.visit(request);
               looks->with(kept, service.writer, *visit, [&](const flamingo::AttentionMaps& maps) {
                 answer(response, looks_json(maps, kept->shots, about.before_cells, block, head));
               });
             });
           });
}

}  // namespace studio
