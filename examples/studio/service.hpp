/// What all parts of the server share: the loaded model, its limits, and how a request is read and refused.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "refusal.hpp"
#include "run.hpp"
#include "shots.hpp"
#include "socket.hpp"
#include "writer.hpp"

#include <httplib.h>

namespace studio {

struct Service {
  Writer& writer;
  Limits limits;
  std::vector<Shot> shots;
  Gate gate;
  std::atomic<bool> closing = false;

  Service(Writer& of, const Limits& within, std::vector<Shot> examples)
      : writer(of), limits(within), shots(std::move(examples)), gate(within.requests) {}

  /// A place among those that are served.
  std::shared_ptr<Run> run_for(const httplib::Request& request) {
    return std::make_shared<Run>(
        gate, writer, limits, [client = Client(request)] { return client.gone(); }, closing);
  }
};

inline void answer(httplib::Response& response, const flamingo::io::Json& json, int status = 200) {
  response.status = status;
  response.set_content(json.dump(), "application/json");
}
inline void answer(httplib::Response& response, const Refusal& refusal) {
  if (refusal.retry_after > 0) response.set_header("Retry-After", std::to_string(refusal.retry_after));
  answer(response, refusal.json(), refusal.status);
}
/// Answers with what f throws.
template <class F>
void guarded(httplib::Response& response, const F& f) {
  try {
    f();
  } catch (const Refusal& refusal) {
    answer(response, refusal);
  } catch (const Gone&) {
    response.status = 499;  // read by nobody
  } catch (const std::exception& error) {
    answer(response, Refusal(500, error.what()).as("server_error", {}));
  }
}

using Body = std::string_view;
using Answering = std::function<void(const httplib::Request&, Body, httplib::Response&)>;

/// POST with a body of limited size: whatever the headers promise, no more is kept.
inline void post(httplib::Server& http, const std::string& path, const Service& service, Answering f) {
  http.Post(path, [&service, f = std::move(f)](const httplib::Request& request, httplib::Response& response,
                                               const httplib::ContentReader& read) {
    guarded(response, [&] {
      const std::size_t most = service.limits.body;
      std::string body;
      bool too_large = false;
      std::size_t dropped = 0;
      const bool whole = read([&](const char* data, std::size_t size) {
        too_large = too_large || size > most - body.size();
        if (!too_large) body.append(data, size);
        return !too_large || (dropped += size) < most;  // a client that has sent all reads our answer
      });
      if (too_large || response.status == 413)
        throw Refusal(413, "The body has more than " + std::to_string(most) + " bytes.")
            .as("invalid_request_error", "body_too_large");
      if (!whole) throw Refusal(400, "The body ended too early or could not be decompressed.");
      f(request, body, response);
    });
  });
}

/// An answer that grows, as server-sent events: `next` puts the text of the next ones into its argument, and tells
/// whether more will come. What it throws is told as a last event.
inline void stream(httplib::Response& response, std::function<bool(std::string&)> next) {
  response.set_header("Cache-Control", "no-store");
  response.set_chunked_content_provider(
      "text/event-stream", [next = std::move(next)](std::size_t, httplib::DataSink& sink) {
        std::string text;
        bool more = false;
        try {
          more = next(text);
        } catch (const Refusal& refusal) {
          text += "data: " + refusal.json().dump() + "\n\n";
        } catch (const Gone&) {
          return false;
        } catch (const std::exception& error) {
          text += "data: " + Refusal(500, error.what()).as("server_error", {}).json().dump() + "\n\n";
        }
        if (!text.empty() && !sink.write(text.data(), text.size())) return false;
        if (!more) sink.done();
        return true;
      });
}
inline void put_event(std::string& out, const flamingo::io::Json& json) { out += "data: " + json.dump() + "\n\n"; }

/// The endpoints under /v1.
void serve_openai(httplib::Server& http, Service& service);
/// The page, and the endpoints under /studio that it asks.
void serve_page(httplib::Server& http, Service& service);

}  // namespace studio
