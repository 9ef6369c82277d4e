#include "http.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "patience.hpp"
#include "service.hpp"

namespace studio {
namespace {

/// "localhost" of "localhost:8080", "::1" of "[::1]:8080".
std::string host_of(std::string_view authority) {
  if (authority.starts_with('[')) return std::string(authority.substr(1, authority.find(']') - 1));
  return std::string(authority.substr(0, authority.find(':')));
}

/// Pages of other sites run in the browser of whoever uses this machine, and could ask a server on it: by a form or
/// fetch() (then Origin is theirs), or by a name of theirs that leads to 127.0.0.1 (then Host is theirs).
bool is_ours(const httplib::Request& request, const std::string& bound, const std::vector<std::string>& names) {
  const std::string host = host_of(request.get_header_value("Host"));
  const auto is_local = [](const std::string& name) {
    return name == "127.0.0.1" || name == "localhost" || name == "::1";
  };
  // Where others are to reach it and its names are not told, any may be one.
  const bool knows = is_local(bound) || !names.empty();
  if (knows && !is_local(host) && std::find(names.begin(), names.end(), host) == names.end()) return false;
  if (!request.has_header("Origin")) return true;
  const std::string origin = request.get_header_value("Origin");
  return origin == "http://" + request.get_header_value("Host") ||
         origin == "https://" + request.get_header_value("Host");
}

}  // namespace

struct Http::Parts {
  static constexpr std::chrono::seconds head{10};  ///< to send a request's head, if a request may take as long
  static constexpr std::chrono::seconds rest{2};   ///< to be told that the time is over

  Service service;
  Patience patience;
  httplib::Server http;
  std::string host;
  std::vector<std::string> names;   ///< under which it is reached, besides those of this machine alone
  std::atomic<bool> ended = false;  ///< serve() has returned or thrown

  Parts(Writer& writer, const Limits& limits, std::vector<Shot> shots)
      : service(writer, limits, std::move(shots)),
        patience(std::min(head, limits.time), std::min(head, limits.time) + limits.time + rest) {}
};

Http::Http(Writer& writer, const Limits& limits, std::vector<Shot> shots)
    : parts_(std::make_unique<Parts>(writer, limits, std::move(shots))) {
  httplib::Server& http = parts_->http;
  // A thread for each that is served, and some that say at once that there is no room.
  const auto threads = static_cast<std::size_t>(limits.requests) + 8;
  http.new_task_queue = [threads] { return new httplib::ThreadPool(threads); };
  // A connection that lies idle would keep a thread, and what is left of a refused body would be the next request.
  http.set_keep_alive_max_count(1);
  http.set_read_timeout(10);
  http.set_write_timeout(10);
  http.set_tcp_nodelay(true);
  http.set_payload_max_length(limits.body);
  http.set_socket_options([](socket_t socket) {  // not SO_REUSEPORT: two servers would share a port
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  http.set_default_headers(
      {{"X-Content-Type-Options", "nosniff"},
       {"Referrer-Policy", "no-referrer"},
       {"Content-Security-Policy",
        "default-src 'self'; img-src 'self' data: blob:; base-uri 'none'; frame-ancestors 'none'"}});
  http.set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
    parts_->patience.head_of(request);
    if (is_ours(request, parts_->host, parts_->names)) return httplib::Server::HandlerResponse::Unhandled;
    answer(response, Refusal(403, "Pages of other sites, and other names of this machine, are refused.")
                         .as("invalid_request_error", "foreign_origin"));
    return httplib::Server::HandlerResponse::Handled;
  });
  http.set_error_handler([](const httplib::Request& request, httplib::Response& response) {
    if (!response.body.empty()) return;
    const int status = response.status;
    const std::string what = status == 404   ? "There is nothing at " + request.method + " this path."
                             : status == 413 ? "The body is too large."
                                             : "HTTP status " + std::to_string(status) + ".";
    answer(response, Refusal(status, what));
  });
  serve_openai(http, parts_->service);
  serve_page(http, parts_->service);
  // Whatever else is posted is not read.
  const auto nothing = [](const httplib::Request&, httplib::Response& response, const httplib::ContentReader&) {
    answer(response, Refusal(404, "There is nothing at this path."));
  };
  http.Post(".*", nothing).Put(".*", nothing).Patch(".*", nothing).Delete(".*", nothing);
}
Http::~Http() = default;

int Http::bind(const std::string& host, int port, std::vector<std::string> names) {
  parts_->host = host;
  parts_->names = std::move(names);
  const int bound = port == 0 ? parts_->http.bind_to_any_port(host) : parts_->http.bind_to_port(host, port) ? port : -1;
  flamingo::check(bound > 0, "studio", host, ':', port,
                  " cannot be listened at; is the port taken? --port 0 finds a free one");
  return bound;
}
void Http::serve() {
  struct Ended {
    std::atomic<bool>& ended;
    ~Ended() { ended = true; }  // also where no thread can be made
  } ended{parts_->ended};
  parts_->http.listen_after_bind();
}
void Http::stop() {
  parts_->service.closing = true;
  // cpp-httplib forgets a stop() that comes before it listens.
  while (!parts_->ended && !parts_->http.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  parts_->http.stop();
}

}  // namespace studio
