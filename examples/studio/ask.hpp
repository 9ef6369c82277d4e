/// Requests as JSON: what OpenAI's chat completions say, and what the page says.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "visit.hpp"
#include "writer.hpp"

namespace studio {

/// A chat completion that is asked for.
struct Asked {
  Chat chat;
  Sampling sampling;
  bool stream = false, include_usage = false;
  bool log_p = false;
  int top_log_p = 0;
};

/// Reads the body of POST /v1/chat/completions. Throws Refusal, with the place, for what is wrong or is not there, and
/// for what would have to be ignored though it matters (tools, n > 1, ...).
Asked read_completion(std::string_view body, const About& about, const Limits& limits);

/// What the page asks for: parts in their order after `shots` examples.
struct Drawn {
  std::vector<Part> parts;
  int shots = 0;
  Sampling sampling;
};
Drawn read_drawn(std::string_view body, const About& about, const Limits& limits);

/// JSON of a body; 400 with the byte where it is none.
flamingo::io::Json read_json(std::string_view body, const Limits& limits);

}  // namespace studio
