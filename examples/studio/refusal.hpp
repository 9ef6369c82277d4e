/// Why a request is not served: what the client is told, and under which status.
#pragma once
#include <stdexcept>
#include <string>
#include <utility>

#include <flamingo/io/json.hpp>

namespace studio {

/// Thrown by whatever finds it. Names are those of OpenAI's error objects.
struct Refusal : std::runtime_error {
  int status;                                  ///< of HTTP
  std::string type = "invalid_request_error";  ///< which kind of fault
  std::string param{};                         ///< where in the request: "messages[0].content[1]"
  std::string code{};                          ///< for programs
  int retry_after = 0;                         ///< seconds until it makes sense to ask again; 0: not said

  Refusal(int http_status, const std::string& message) : std::runtime_error(message), status(http_status) {}
  Refusal& at(std::string where) {
    param = std::move(where);
    return *this;
  }
  Refusal& as(std::string of_type, std::string with_code) {
    type = std::move(of_type);
    code = std::move(with_code);
    return *this;
  }
  Refusal& after(int seconds) {
    retry_after = seconds;
    return *this;
  }

  flamingo::io::Json json() const {
    using flamingo::io::Json;
    const auto or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
    return Json::Object{
        {"error",
         Json::Object{{"message", what()}, {"type", type}, {"param", or_null(param)}, {"code", or_null(code)}}}};
  }
};

}  // namespace studio
