/// What all parts of the server share: the loaded model, its limits, and how a request is read and refused.
#pragma once
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "refusal.hpp"
#include "shots.hpp"
#include "socket.hpp"
#include "visit.hpp"
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

  /// A place among those that are served, from now on.
  std::shared_ptr<const Visit> visit(const httplib::Request& request) {
    return std::make_shared<const Visit>(
        gate, limits, [client = Client(request)] { return client.gone(); }, closing);
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

/// Reads a body of at most `most` bytes: whatever the headers promise, no more is kept. `check` throws where it is to
/// be read no further; the time between two bytes alone does not bound a slow client's.
template <class Check>
std::string read_body(const httplib::ContentReader& read, const httplib::Response& response, std::size_t most,
                      const Check& check) {
  std::string body;
  bool too_large = false;
  std::size_t dropped = 0;
  std::exception_ptr ended;
  const bool whole = read([&](const char* data, std::size_t size) {
    try {
      check();
    } catch (...) {
      ended = std::current_exception();
      return false;
    }
    too_large = too_large || size > most - body.size();
    if (!too_large) body.append(data, size);
    return !too_large || (dropped += size) < most;  // a client that has sent all reads our answer
  });
  if (ended) std::rethrow_exception(ended);
  if (too_large || response.status == 413)
    throw Refusal(413, "The body has more than " + std::to_string(most) + " bytes.")
        .as("invalid_request_error", "body_too_large");
  if (!whole) throw Refusal(400, "The body ended too early or could not be decompressed.");
  return body;
}
/// Drops a body, for a second at most, so that a client that sends it all reads why it is refused.
inline void drop_body(const httplib::ContentReader& read, std::size_t most) {
  const auto until = Clock::now() + std::chrono::seconds(1);
  std::size_t dropped = 0;
  read([&](const char*, std::size_t size) { return (dropped += size) <= most && Clock::now() < until; });
}

/// POST to what costs time: it takes a place before its body is read, and has the time limit from there on.
template <class F>  // f(visit, body, response); the body is its own, to be dropped once it is parsed
void post_visit(httplib::Server& http, const std::string& path, Service& service, F f) {
  http.Post(path, [&service, f = std::move(f)](const httplib::Request& request, httplib::Response& response,
                                               const httplib::ContentReader& read) {
    guarded(response, [&] {
      std::shared_ptr<const Visit> visit;
      try {
        visit = service.visit(request);
      } catch (const Refusal&) {
        drop_body(read, service.limits.body);
        throw;
      }
      std::string body = read_body(read, response, service.limits.body, [&] { visit->check(Visit::Doing::reading); });
      f(std::move(visit), std::move(body), response);
    });
  });
}
/// POST of a word, which is answered at once though all places be taken: a kilobyte in ten seconds.
template <class F>  // f(body, response)
void post_word(httplib::Server& http, const std::string& path, F f) {
  http.Post(path, [f = std::move(f)](const httplib::Request&, httplib::Response& response,
                                     const httplib::ContentReader& read) {
    guarded(response, [&] {
      const auto until = Clock::now() + std::chrono::seconds(10);
      const std::string body = read_body(read, response, 1024, [&] {
        if (Clock::now() >= until) throw Refusal(408, "The request took more than 10 s.");
      });
      f(Body(body), response);
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
