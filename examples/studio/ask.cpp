#include "ask.hpp"

#include <cmath>
#include <initializer_list>
#include <limits>
#include <random>

#include "data_url.hpp"

namespace studio {
namespace {

using flamingo::io::Json;

[[noreturn]] void refuse(const std::string& place, const std::string& why, int status = 400,
                         const std::string& code = {}) {
  throw Refusal(status, place.empty() ? why : place + ": " + why).at(place).as("invalid_request_error", code);
}

/// Members of an object by name, each of its type or refused.
class Fields {
 public:
  explicit Fields(const Json& json, std::string place = {}) : json_(json), place_(std::move(place)) {
    if (!json.is_object()) refuse(place_, "expected an object, found " + std::string(json.type_name()));
  }
  std::string place(std::string_view name) const {
    return place_.empty() ? std::string(name) : place_ + "." + std::string(name);
  }
  /// Null and absent are the same, as OpenAI's clients have it.
  const Json* find(std::string_view name) const {
    const Json* found = json_.find(name);
    return found != nullptr && found->is_null() ? nullptr : found;
  }
  const Json& at(std::string_view name) const {
    const Json* found = find(name);
    if (found == nullptr) refuse(place(name), "is missing");
    return *found;
  }
  const std::string& text(std::string_view name) const {
    const Json& found = at(name);
    if (!found.is_string()) refuse(place(name), "expected a string, found " + std::string(found.type_name()));
    return found.as_string();
  }
  const Json::Array& array(std::string_view name) const {
    const Json& found = at(name);
    if (!found.is_array()) refuse(place(name), "expected an array, found " + std::string(found.type_name()));
    return found.as_array();
  }
  bool flag(std::string_view name) const {
    const Json* found = find(name);
    if (found == nullptr) return false;
    if (!found->is_bool()) refuse(place(name), "expected true or false, found " + std::string(found->type_name()));
    return found->as_bool();
  }
  double number(std::string_view name, double otherwise, double least, double most) const {
    const Json* found = find(name);
    if (found == nullptr) return otherwise;
    if (!found->is_number()) refuse(place(name), "expected a number, found " + std::string(found->type_name()));
    return within(name, found->as_double(), least, most);
  }
  int integer(std::string_view name, int otherwise, int least, int most) const {
    const double value = number(name, otherwise, least, most);
    if (value != std::floor(value)) refuse(place(name), "expected an integer, found " + Json(value).dump());
    return static_cast<int>(value);
  }
  /// Something that would change the answer and is not there: refused unless it says what is done anyway.
  void only(std::string_view name, std::initializer_list<Json> allowed) const {
    const Json* found = find(name);
    if (found == nullptr) return;
    for (const Json& value : allowed)
      if (*found == value || (found->is_number() && value.is_number() && found->as_double() == value.as_double()))
        return;
    refuse(place(name), "this server does not support it", 400, "unsupported_parameter");
  }

 private:
  double within(std::string_view name, double value, double least, double most) const {
    if (value >= least && value <= most) return value;
    const auto shown = [](double x) {
      return x == std::floor(x) && std::abs(x) < 1e15 ? std::to_string(static_cast<long long>(x)) : Json(x).dump();
    };
    refuse(place(name), "expected " + shown(least) + " to " + shown(most) + ", found " + shown(value));
  }
  const Json& json_;
  std::string place_;
};

std::uint64_t seed_of(const Fields& fields) {
  const Json* seed = fields.find("seed");
  if (seed == nullptr) return std::uint64_t{std::random_device{}()} << 32 | std::random_device{}();
  if (!seed->is_integer()) refuse(fields.place("seed"), "expected an integer, found " + std::string(seed->type_name()));
  return static_cast<std::uint64_t>(seed->as_integer());
}

std::vector<std::string> stops_of(const Fields& fields) {
  std::vector<std::string> stops;
  const Json* found = fields.find("stop");
  if (found == nullptr) return stops;
  if (!found->is_string() && !found->is_array())
    refuse(fields.place("stop"), "expected a string or an array of strings, found " + std::string(found->type_name()));
  const Json::Array all = found->is_string() ? Json::Array{*found} : found->as_array();
  if (all.size() > 4) refuse(fields.place("stop"), "expected at most 4, found " + std::to_string(all.size()));
  for (const Json& stop : all) {
    if (!stop.is_string() || stop.as_string().empty() || stop.as_string().size() > 256)
      refuse(fields.place("stop"), "expected texts of 1 to 256 bytes");
    stops.push_back(stop.as_string());
  }
  return stops;
}

Sampling sampling_of(const Fields& fields, const About& about, const Limits& limits) {
  const int most = std::min(limits.tokens, about.context);
  Sampling s;
  s.max_tokens = fields.integer("max_tokens", std::min(about.default_tokens, most), 1, most);
  s.max_tokens = fields.integer("max_completion_tokens", s.max_tokens, 1, most);
  s.temperature = static_cast<float>(fields.number("temperature", 0, 0, 2));
  s.top_p = static_cast<float>(fields.number("top_p", 1, 1e-6, 1));
  s.top_k = fields.integer("top_k", 0, 0, std::numeric_limits<int>::max());
  s.repetition_penalty = static_cast<float>(fields.number("repetition_penalty", 1, 0.1, 10));
  s.seed = seed_of(fields);
  s.stops = stops_of(fields);
  return s;
}

Part picture_of(std::string_view url, std::string place, int& pictures, const Limits& limits) {
  if (++pictures > limits.pictures)
    refuse(place, "a request has at most " + std::to_string(limits.pictures) + " pictures", 400, "too_many_images");
  return {true, bytes_of_data_url(url, place, limits), std::move(place)};
}

std::vector<Part> content_of(const Fields& message, int& pictures, const Limits& limits) {
  const Json& content = message.at("content");
  const std::string place = message.place("content");
  if (content.is_string()) return {{false, content.as_string(), place}};
  if (!content.is_array())
    refuse(place, "expected a string or an array of parts, found " + std::string(content.type_name()));
  std::vector<Part> parts;
  for (const Json& json : content.as_array()) {
    const Fields part(json, place + "[" + std::to_string(parts.size()) + "]");
    const std::string& type = part.text("type");
    if (type == "text") {
      parts.push_back({false, part.text("text"), part.place("text")});
    } else if (type == "image_url") {
      const Fields image(part.at("image_url"), part.place("image_url"));
      parts.push_back(picture_of(image.text("url"), image.place("url"), pictures, limits));
    } else {
      refuse(part.place("type"), "expected \"text\" or \"image_url\", found \"" + type + "\"");
    }
  }
  return parts;
}

}  // namespace

Json read_json(std::string_view body, const Limits& limits) {
  try {
    return Json::parse(body, "the body", {.bytes = limits.body, .depth = 32, .values = 1 << 20});
  } catch (const flamingo::Error& error) {
    throw Refusal(400, error.what()).as("invalid_request_error", "invalid_json");
  }
}

Asked read_completion(std::string_view body, const About& about, const Limits& limits) {
  const Json json = read_json(body, limits);
  const Fields fields(json);
  if (const std::string& model = fields.text("model"); model != about.name)
    throw Refusal(404, "There is no model \"" + model + "\"; this server has \"" + about.name + "\".")
        .at("model")
        .as("invalid_request_error", "model_not_found");
  fields.only("n", {1});
  fields.only("best_of", {1});
  fields.only("frequency_penalty", {0});
  fields.only("presence_penalty", {0});
  fields.only("logit_bias", {Json(Json::Object{})});
  fields.only("tools", {Json(Json::Array{})});
  fields.only("functions", {Json(Json::Array{})});
  fields.only("tool_choice", {"none", "auto"});
  fields.only("response_format", {Json(Json::Object{{"type", "text"}})});
  fields.only("modalities", {Json(Json::Array{"text"})});
  fields.only("audio", {});
  Asked asked;
  int pictures = 0;
  for (const Json& message : fields.array("messages")) {
    const Fields turn(message, "messages[" + std::to_string(asked.chat.size()) + "]");
    std::string role = turn.text("role");
    if (role == "developer") role = "system";
    if (role != "system" && role != "user" && role != "assistant")
      refuse(turn.place("role"), "expected \"system\", \"user\" or \"assistant\", found \"" + role + "\"");
    asked.chat.push_back({std::move(role), content_of(turn, pictures, limits)});
  }
  if (asked.chat.empty()) refuse("messages", "there is none");
  asked.sampling = sampling_of(fields, about, limits);
  asked.stream = fields.flag("stream");
  if (const Json* options = fields.find("stream_options"))
    asked.include_usage = Fields(*options, "stream_options").flag("include_usage");
  asked.log_p = fields.flag("logprobs");
  asked.top_log_p = fields.integer("top_logprobs", 0, 0, 20);
  if (asked.top_log_p > 0 && !asked.log_p) refuse("top_logprobs", "is there without \"logprobs\": true");
  asked.sampling.alternatives = asked.log_p ? std::max(1, asked.top_log_p) : 0;
  return asked;
}

Drawn read_drawn(std::string_view body, const About& about, const Limits& limits) {
  const Json json = read_json(body, limits);
  const Fields fields(json);
  Drawn drawn;
  drawn.shots = fields.integer("shots", 0, 0, 32);
  int pictures = drawn.shots;
  for (const Json& entry : fields.array("parts")) {
    const std::string place = "parts[" + std::to_string(drawn.parts.size()) + "]";
    const Fields part(entry, place);
    if (part.find("picture"))
      drawn.parts.push_back(picture_of(part.text("picture"), part.place("picture"), pictures, limits));
    else
      drawn.parts.push_back({false, part.text("text"), part.place("text")});
  }
  drawn.sampling = sampling_of(fields, about, limits);
  drawn.sampling.alternatives = fields.integer("alternatives", 8, 1, 20);
  return drawn;
}

}  // namespace studio
