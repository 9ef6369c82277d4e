/// JSON: a value, a strict parser and a writer. Our own, since the core depends on nothing but the standard library.
#pragma once
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/unicode.hpp>

namespace flamingo::io {

class Json;

/// A name and its value. A template only because it is laid out when Json is complete, not before.
template <class Value>
struct NamedValue {
  std::string name;
  Value value;
  friend bool operator==(const NamedValue&, const NamedValue&) = default;
};

/// A member of an object.
using JsonMember = NamedValue<Json>;

/// What a text may cost before it is refused: its bytes, how deep arrays and objects nest, how many values it has.
struct JsonLimits {
  std::size_t bytes = std::size_t{128} << 20;
  std::size_t depth = 64;
  std::size_t values = std::size_t{1} << 24;
};

/// A JSON value. Objects keep the order of their members; a number written without fraction and exponent is kept as an
/// exact std::int64_t where it fits, any other as double. Strings are valid UTF-8.
class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<JsonMember>;

  Json() = default;
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  Json(std::int64_t value) : value_(value) {}
  Json(int value) : value_(std::int64_t{value}) {}
  Json(double value) : value_(value) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  Json(Object value) : value_(std::move(value)) {}

  /// Parses a whole text. `source` names it in errors, which tell the byte, what was found and what was expected.
  static Json parse(std::string_view text, std::string_view source = "text", const JsonLimits& limits = {});

  /// The text of the value; with `indent` > 0 one member or element a line. Parsing it gives an equal value.
  std::string dump(int indent = 0) const;

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  /// Any number, integral or not.
  bool is_number() const { return is_integer() || std::holds_alternative<double>(value_); }
  /// A number written without fraction and exponent that fits std::int64_t.
  bool is_integer() const { return std::holds_alternative<std::int64_t>(value_); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }

  bool as_bool() const { return as<bool>("a boolean"); }
  const std::string& as_string() const { return as<std::string>("a string"); }
  const Array& as_array() const& { return as<Array>("an array"); }
  const Object& as_object() const& { return as<Object>("an object"); }
  // A range-for over a part of a temporary would walk what is gone.
  const Array& as_array() const&& = delete;
  const Object& as_object() const&& = delete;
  /// An integer, or a double that is exactly one below 2^53 in magnitude ("1e3").
  std::int64_t as_integer() const {
    if (const auto* real = std::get_if<double>(&value_)) {
      check(std::trunc(*real) == *real && std::abs(*real) <= 0x1p53, "json", "got the number ", *real,
            ", expected an integer");
      return static_cast<std::int64_t>(*real);
    }
    return as<std::int64_t>("an integer");
  }
  /// Any number; integers beyond 2^53 are rounded.
  double as_double() const {
    if (const auto* integer = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*integer);
    return as<double>("a number");
  }

  /// The member of that name, or null when there is none. An error when this is no object.
  const Json* find(std::string_view name) const;
  /// The member of that name. An error that lists the names when there is none.
  const Json& at(std::string_view name) const;

  /// What a value is, as errors say it.
  std::string_view type_name() const {
    constexpr std::array<std::string_view, 7> names{"null",     "a boolean", "an integer", "a number",
                                                    "a string", "an array",  "an object"};
    return names[value_.index()];
  }

  friend bool operator==(const Json&, const Json&);

 private:
  template <class T>
  const T& as(std::string_view expected) const {
    const T* value = std::get_if<T>(&value_);
    check(value != nullptr, "json", "got ", type_name(), ", expected ", expected);
    return *value;
  }
  void dump(std::string& out, int indent, int level) const;

  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> value_;
};

inline bool operator==(const Json& a, const Json& b) { return a.value_ == b.value_; }

inline const Json* Json::find(std::string_view name) const {
  for (const JsonMember& member : as_object())
    if (member.name == name) return &member.value;
  return nullptr;
}

inline const Json& Json::at(std::string_view name) const {
  if (const Json* found = find(name)) return *found;
  std::string names;
  for (const JsonMember& member : as_object()) {
    if (names.size() > 200) {
      names += ", ...";
      break;
    }
    names += (names.empty() ? "" : ", ") + member.name;
  }
  fail("json", "there is no member '", name, "', expected one of: ", names.empty() ? "(an empty object)" : names);
}

namespace detail {

/// Recursive descent over one text; every error goes through refuse().
class JsonParser {
 public:
  JsonParser(std::string_view text, std::string_view source, const JsonLimits& limits)
      : text_(text), source_(source), limits_(limits) {}

  Json whole() {
    check(text_.size() <= limits_.bytes, "json", source_, ": the text has ", text_.size(), " bytes, at most ",
          limits_.bytes, " are read");
    Json result = value(0);
    skip_space();
    if (at_ != text_.size()) refuse("the end of the text");
    return result;
  }

 private:
  [[noreturn]] void refuse(std::string_view expected) const { refuse(at_, found(at_), expected); }
  [[noreturn]] void refuse(std::size_t at, std::string_view got, std::string_view expected) const {
    fail("json", source_, ", byte ", at, ": found ", got, ", expected ", expected);
  }

  std::string found(std::size_t at) const {
    if (at >= text_.size()) return "the end of the text";
    const auto byte = static_cast<unsigned char>(text_[at]);
    if (byte >= 0x20 && byte < 0x7f) return std::string("'") + text_[at] + '\'';
    constexpr std::string_view digits = "0123456789abcdef";
    return std::string("byte 0x") + digits[byte >> 4] + digits[byte & 15];
  }

  bool next_is(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool next_is_digit() const { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; }
  bool take(char c) {
    const bool is = next_is(c);
    at_ += is;
    return is;
  }
  void skip_space() {
    while (next_is(' ') || next_is('\n') || next_is('\r') || next_is('\t')) ++at_;
  }

  Json value(std::size_t depth) {
    skip_space();
    if (++values_ > limits_.values)
      refuse(at_, "value number " + std::to_string(values_), "at most " + std::to_string(limits_.values) + " values");
    if (at_ == text_.size()) refuse("a value");
    switch (text_[at_]) {
      case '{':
        return object(depth);
      case '[':
        return array(depth);
      case '"':
        return Json(string());
      case 't':
        return word("true", Json(true));
      case 'f':
        return word("false", Json(false));
      case 'n':
        return word("null", Json());
      default:
        return number();
    }
  }

  Json word(std::string_view name, Json meaning) {
    if (text_.substr(at_, name.size()) != name) refuse("a value");
    at_ += name.size();
    return meaning;
  }

  void check_depth(std::size_t depth) const {
    if (depth >= limits_.depth)
      refuse(at_, "nesting level " + std::to_string(depth + 1), "at most " + std::to_string(limits_.depth) + " levels");
  }

  Json array(std::size_t depth) {
    check_depth(depth);
    ++at_;
    Json::Array elements;
    skip_space();
    if (take(']')) return Json(std::move(elements));
    while (true) {
      elements.push_back(value(depth + 1));
      skip_space();
      if (take(']')) return Json(std::move(elements));
      if (!take(',')) refuse("',' or ']'");
    }
  }

  Json object(std::size_t depth) {
    check_depth(depth);
    ++at_;
    Json::Object members;
    std::vector<std::size_t> places;
    skip_space();
    if (take('}')) return Json(std::move(members));
    while (true) {
      skip_space();
      if (!next_is('"')) refuse(members.empty() ? "a member name in quotes or '}'" : "a member name in quotes");
      places.push_back(at_);
      std::string name = string();
      skip_space();
      if (!take(':')) refuse("':'");
      Json content = value(depth + 1);
      members.push_back({std::move(name), std::move(content)});
      skip_space();
      if (take('}')) break;
      if (!take(',')) refuse("',' or '}'");
    }
    refuse_repeated(members, places);
    return Json(std::move(members));
  }

  void refuse_repeated(const Json::Object& members, const std::vector<std::size_t>& places) const {
    std::vector<std::size_t> order(members.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      const int differs = members[a].name.compare(members[b].name);
      return differs ? differs < 0 : a < b;
    });
    for (std::size_t i = 1; i < order.size(); ++i)
      if (members[order[i - 1]].name == members[order[i]].name)
        refuse(places[order[i]], "the member name '" + members[order[i]].name + "' again", "each name once");
  }

  Json number() {
    const std::size_t start = at_;
    bool integral = true;
    take('-');
    if (!next_is_digit()) {
      if (at_ == start) refuse("a value");
      refuse("a digit");
    }
    if (take('0')) {
      if (next_is_digit()) refuse("no digit after a leading 0");
    }
    while (next_is_digit()) ++at_;
    if (take('.')) {
      integral = false;
      if (!next_is_digit()) refuse("a digit");
      while (next_is_digit()) ++at_;
    }
    if (take('e') || take('E')) {
      integral = false;
      if (!take('+')) take('-');
      if (!next_is_digit()) refuse("a digit");
      while (next_is_digit()) ++at_;
    }
    const char *first = text_.data() + start, *last = text_.data() + at_;
    std::int64_t exact = 0;
    if (integral && std::from_chars(first, last, exact).ec == std::errc{} && !(exact == 0 && *first == '-'))
      return Json(exact);
    double real = 0;
    if (std::from_chars(first, last, real).ec != std::errc{})
      refuse(start, "the number " + std::string(text_.substr(start, std::min<std::size_t>(at_ - start, 40))),
             "one that a double can hold");
    return Json(real);
  }

  std::string string() {
    const std::size_t start = at_++;
    std::string result;
    while (true) {
      if (at_ == text_.size())
        refuse(at_, "the end of the text", "'\"' to end the string of byte " + std::to_string(start));
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return result;
      }
      if (c == '\\') {
        escape(result);
        continue;
      }
      if (static_cast<unsigned char>(c) < 0x20) refuse("no control character inside a string");
      const CodePoint point = decode_utf8(text_, at_);
      if (!point.valid) refuse("valid UTF-8");
      result.append(text_.substr(at_, point.length));
      at_ += point.length;
    }
  }

  void escape(std::string& result) {
    ++at_;
    constexpr std::string_view letters_of_escapes = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    if (take('u')) {
      const std::size_t start = at_ - 2;
      char32_t point = hex4();
      if (point >= 0xdc00 && point < 0xe000) refuse(start, "a low surrogate", "a high surrogate before it");
      if (point >= 0xd800 && point < 0xdc00) {
        if (!take('\\') || !take('u')) refuse("'\\u' and a low surrogate after the high one");
        const char32_t low = hex4();
        if (low < 0xdc00 || low >= 0xe000) refuse(start, "a high surrogate", "a low surrogate after it");
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
      }
      return append_utf8(result, point);
    }
    const std::size_t which = at_ < text_.size() ? letters_of_escapes.find(text_[at_]) : std::string_view::npos;
    if (which == std::string_view::npos) refuse("one of \"\\/bfnrtu after a backslash");
    result += meanings[which];
    ++at_;
  }

  char32_t hex4() {
    char32_t value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = at_ < text_.size() ? text_[at_] : '\0';
      int digit = -1;
      if (c >= '0' && c <= '9') digit = c - '0';
      if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
      if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
      if (digit < 0) refuse("four hexadecimal digits");
      value = value * 16 + static_cast<char32_t>(digit);
    }
    return value;
  }

  std::string_view text_, source_;
  JsonLimits limits_;
  std::size_t at_ = 0, values_ = 0;
};

inline void write_json_string(std::string& out, std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  out += '"';
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = decode_utf8(text, at);
    check(point.valid, "json", "cannot write a string whose byte ", at, " is not UTF-8");
    if (point.value == '"' || point.value == '\\') {
      (out += '\\') += text[at];
    } else if (point.value == '\n') {
      out += "\\n";
    } else if (point.value < 0x20) {
      ((out += "\\u00") += digits[point.value >> 4]) += digits[point.value & 15];
    } else {
      out.append(text.substr(at, point.length));
    }
    at += point.length;
  }
  out += '"';
}

template <class Number>
void write_json_number(std::string& out, Number value) {
  std::array<char, 40> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

}  // namespace detail

inline Json Json::parse(std::string_view text, std::string_view source, const JsonLimits& limits) {
  return detail::JsonParser(text, source, limits).whole();
}

inline std::string Json::dump(int indent) const {
  std::string out;
  dump(out, indent, 0);
  return out;
}

inline void Json::dump(std::string& out, int indent, int level) const {
  const auto line = [&](int at) {
    if (indent > 0) out.append(1, '\n').append(static_cast<std::size_t>(indent) * static_cast<std::size_t>(at), ' ');
  };
  const auto list = [&](char open, char close, const auto& items, const auto& each) {
    out += open;
    bool first = true;
    for (const auto& item : items) {
      if (!first) out += ',';
      first = false;
      line(level + 1);
      each(item);
    }
    if (!first) line(level);
    out += close;
  };
  if (is_null()) {
    out += "null";
  } else if (is_bool()) {
    out += as_bool() ? "true" : "false";
  } else if (is_integer()) {
    detail::write_json_number(out, as_integer());
  } else if (is_number()) {
    const double value = as_double();
    check(std::isfinite(value), "json", "cannot write the number ", value, ": JSON has finite numbers only");
    const std::size_t start = out.size();
    detail::write_json_number(out, value);
    // Without this, 3.0 would come back as the integer 3.
    if (out.find_first_of(".e", start) == std::string::npos) out += ".0";
  } else if (is_string()) {
    detail::write_json_string(out, as_string());
  } else if (is_array()) {
    list('[', ']', as_array(), [&](const Json& element) { element.dump(out, indent, level + 1); });
  } else {
    list('{', '}', as_object(), [&](const JsonMember& member) {
      detail::write_json_string(out, member.name);
      out += indent > 0 ? ": " : ":";
      member.value.dump(out, indent, level + 1);
    });
  }
}

}  // namespace flamingo::io
