// The endpoints of OpenAI's clients: /v1/models and /v1/chat/completions.
#include <ctime>
#include <random>

#include "ask.hpp"
#include "run.hpp"
#include "service.hpp"
#include "text.hpp"

namespace studio {
namespace {

using flamingo::io::Json;
using Object = Json::Object;

Json model_json(const About& about, std::int64_t created) {
  return Object{{"id", about.name}, {"object", "model"}, {"created", created}, {"owned_by", "flamingo"}};
}

Json bytes_json(std::string_view bytes) {
  Json::Array all;
  for (const char byte : bytes) all.emplace_back(int{static_cast<unsigned char>(byte)});
  return all;
}
/// -inf is no JSON; OpenAI has -9999 for it.
Json log_p_json(double log_p) { return std::max(log_p, -9999.0); }

Json token_json(const Writer& writer, const Token& token, int alternatives) {
  const auto named = [&](int id, double log_p) {
    return Object{
        {"token", as_text(writer.bytes(id))}, {"logprob", log_p_json(log_p)}, {"bytes", bytes_json(writer.bytes(id))}};
  };
  Json::Array top;
  for (const auto& choice : token.alternatives)
    if (top.size() < static_cast<std::size_t>(alternatives)) top.emplace_back(named(choice.id, choice.log_p));
  Object json = named(token.id, token.log_p);
  json.push_back({"top_logprobs", std::move(top)});
  return json;
}

/// One completion: from its run's events to the objects that OpenAI's clients read.
class Completion {
 public:
  Completion(const Writer& writer, Asked asked, std::shared_ptr<Run> run)
      : writer_(writer), asked_(std::move(asked)), run_(std::move(run)) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::random_device random;
    for (int i = 0; i < 24; ++i) id_ += digits[random() % 16];
  }

  /// The whole answer.
  Json whole() {
    while (next()) {
    }
    Object message{{"role", "assistant"}, {"content", text_}, {"refusal", nullptr}};
    Object choice{{"index", 0}, {"message", std::move(message)}, {"logprobs", log_p()}, {"finish_reason", finish_}};
    Object json = head("chat.completion");
    json.push_back({"choices", Json::Array{std::move(choice)}});
    json.push_back({"usage", usage()});
    return json;
  }
  /// The next events of a streamed answer; false: these were the last.
  bool chunk(std::string& out) {
    if (!begun_) {
      begun_ = true;
      put(out, Object{{"role", "assistant"}, {"content", ""}}, nullptr);
      return true;
    }
    text_.clear();
    tokens_.clear();
    bool more = true;
    while (more && text_.empty()) more = next();
    if (!text_.empty() || !tokens_.empty()) put(out, Object{{"content", text_}}, nullptr);
    if (more) return true;
    tokens_.clear();
    put(out, Object{}, finish_);
    if (asked_.include_usage) {
      Object json = head("chat.completion.chunk");
      json.push_back({"choices", Json::Array{}});
      json.push_back({"usage", usage()});
      put_event(out, json);
    }
    out += "data: [DONE]\n\n";
    return false;
  }

 private:
  bool next() {
    const Event event = run_->next();
    if (event.kind == Event::Kind::token && asked_.log_p)
      tokens_.push_back(token_json(writer_, event.token, asked_.top_log_p));
    if (event.kind == Event::Kind::text) text_ += as_text(event.text);
    if (event.kind != Event::Kind::ended) return true;
    const bool cut = event.why == flamingo::StopReason::length || event.why == flamingo::StopReason::context;
    finish_ = cut ? "length" : "stop";
    return false;
  }
  Object head(const char* object) const {
    return {{"id", "chatcmpl-" + id_},
            {"object", object},
            {"created", created_},
            {"model", writer_.about().name},
            {"system_fingerprint", nullptr}};
  }
  void put(std::string& out, Object delta, const Json& finish) const {
    Object json = head("chat.completion.chunk");
    json.push_back(
        {"choices", Json::Array{Object{
                        {"index", 0}, {"delta", std::move(delta)}, {"logprobs", log_p()}, {"finish_reason", finish}}}});
    if (asked_.include_usage) json.push_back({"usage", nullptr});
    put_event(out, json);
  }
  Json log_p() const {
    if (!asked_.log_p) return nullptr;
    return Object{{"content", tokens_}, {"refusal", nullptr}};
  }
  Json usage() const {
    const auto read = static_cast<std::int64_t>(run_->prompt().sequence.ids.size()),
               written = static_cast<std::int64_t>(run_->written().size());
    return Object{{"prompt_tokens", read}, {"completion_tokens", written}, {"total_tokens", read + written}};
  }

  const Writer& writer_;
  Asked asked_;
  std::shared_ptr<Run> run_;
  std::string id_, text_;
  Json::Array tokens_;
  Json finish_;
  std::int64_t created_ = std::time(nullptr);
  bool begun_ = false;
};

}  // namespace

void serve_openai(httplib::Server& http, Service& service) {
  const std::int64_t created = std::time(nullptr);
  http.Get("/v1/models", [&service, created](const httplib::Request&, httplib::Response& response) {
    answer(response, Object{{"object", "list"}, {"data", Json::Array{model_json(service.writer.about(), created)}}});
  });
  http.Get("/v1/models/(.+)", [&service, created](const httplib::Request& request, httplib::Response& response) {
    guarded(response, [&] {
      const std::string name = request.matches[1];
      if (name != service.writer.about().name)
        throw Refusal(404, "There is no model \"" + as_text(name) + "\".")
            .at("model")
            .as("invalid_request_error", "model_not_found");
      answer(response, model_json(service.writer.about(), created));
    });
  });
  http.Get("/v1/chat/completions", [](const httplib::Request&, httplib::Response& response) {
    response.set_header("Allow", "POST");
    answer(response, Refusal(405, "Send a POST."));
  });
  post_visit(http, "/v1/chat/completions", service,
             [&service](std::shared_ptr<const Visit> visit, std::string body, httplib::Response& response) {
               Asked asked = read_completion(std::exchange(body, {}), service.writer.about(), service.limits);
               auto run = std::make_shared<Run>(std::move(visit), service.writer);
               run->begin(asked.chat, asked.sampling);
               asked.chat.clear();
               const bool streams = asked.stream;
               const auto completion = std::make_shared<Completion>(service.writer, std::move(asked), run);
               if (!streams) return answer(response, completion->whole());
               run->wait_for_first();
               stream(response, [completion](std::string& out) { return completion->chunk(out); });
             });
}

}  // namespace studio
