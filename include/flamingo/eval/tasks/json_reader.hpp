/// Annotation files in JSON, one element at a time: the largest hold millions of values and are never all in memory.
#pragma once
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/function.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo {

/// A value and where it stands: "FILE: annotations[3].answers[0]", for errors.
class TaskJson {
 public:
  TaskJson(const io::Json& value, std::string where) : value_(&value), where_(std::move(where)) {}

  const std::string& where() const { return where_; }
  const io::Json& value() const { return *value_; }

  /// The member of that name. Throws where there is none.
  TaskJson at(std::string_view name) const {
    expect(value_->is_object(), "an object");
    const io::Json* found = value_->find(name);
    if (!found) fail("task", where_, ": found no member '", name, "', expected one");
    return {*found, where_ + "." + std::string(name)};
  }
  bool has(std::string_view name) const {
    expect(value_->is_object(), "an object");
    const io::Json* found = value_->find(name);
    return found && !found->is_null();
  }
  std::vector<TaskJson> list() const {
    expect(value_->is_array(), "an array");
    std::vector<TaskJson> all;
    for (std::size_t i = 0; i < value_->as_array().size(); ++i)
      all.emplace_back(value_->as_array()[i], where_ + "[" + std::to_string(i) + "]");
    return all;
  }
  const std::string& text() const {
    expect(value_->is_string(), "a string");
    return value_->as_string();
  }
  std::int64_t integer() const {
    expect(value_->is_integer(), "an integer");
    return value_->as_integer();
  }
  double number() const {
    expect(value_->is_number(), "a number");
    return value_->as_double();
  }
  /// An id: a string, or an integer's digits.
  std::string id() const {
    if (value_->is_integer()) return std::to_string(value_->as_integer());
    expect(value_->is_string(), "a string or an integer");
    return value_->as_string();
  }
  /// An integer of 0 .. count - 1.
  int index(std::size_t count) const {
    const std::int64_t i = integer();
    if (i < 0 || i >= static_cast<std::int64_t>(count))
      fail("task", where_, ": found ", i, ", expected 0 to ", static_cast<std::int64_t>(count) - 1);
    return static_cast<int>(i);
  }
  std::vector<std::string> texts() const {
    std::vector<std::string> all;
    for (const TaskJson& element : list()) all.push_back(element.text());
    return all;
  }

 private:
  void expect(bool is, std::string_view what) const {
    if (!is) fail("task", where_, ": found ", value_->type_name(), ", expected ", what);
  }

  const io::Json* value_;
  std::string where_;
};

namespace detail {

/// Steps over JSON without building it: strings and brackets, no more. What it steps over, Json::parse has read or
/// will.
class JsonSteps {
 public:
  JsonSteps(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {
    if (text_.substr(0, 3) == "\xef\xbb\xbf") at_ = 3;
  }

  char peek() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    const bool is = peek() == c;
    at_ += is;
    return is;
  }
  void need(char c, const std::string& where) {
    if (!take(c)) refuse(where, std::string("'") + c + "'");
  }
  /// The text of one value.
  std::string_view value(const std::string& where) {
    const char first = peek();
    const std::size_t begin = at_;
    if (first == '\0' || first == ',' || first == ']' || first == '}' || first == ':') refuse(where, "a value");
    if (first == '"') {
      string(where);
    } else if (first == '[' || first == '{') {
      std::size_t depth = 0;
      do {
        const char c = peek();
        if (c == '\0') refuse(where, "the end of what began at byte " + std::to_string(begin));
        if (c == '"') {
          string(where);
          continue;
        }
        depth += c == '[' || c == '{' ? 1u : 0u;
        depth -= c == ']' || c == '}' ? 1u : 0u;
        ++at_;
      } while (depth > 0);
    } else {
      while (at_ < text_.size() && text_.find_first_of(",]} \t\r\n", at_) != at_) ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }
  [[noreturn]] void refuse(const std::string& where, const std::string& expected) {
    const char found = peek();
    fail("task", where.empty() ? file_ : where, ", byte ", at_, ": found ",
         found == '\0' ? std::string("the end of the file") : std::string("'") + found + "'", ", expected ", expected);
  }
  const std::string& file() const { return file_; }

 private:
  void string(const std::string& where) {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) at_ += text_[at_] == '\\';
    if (at_ >= text_.size()) refuse(where, "the end of a string");
    ++at_;
  }

  std::string_view text_;
  std::string file_;
  std::size_t at_ = 0;
};

}  // namespace detail

/// Calls f(element) for each element of the array that is the whole file, or of the member `name` of the object that it
/// is. Throws where there is no such array.
template <class F>
void each_element(const std::filesystem::path& path, std::string_view name, const F& f) {
  const io::MappedFile file(path);
  detail::JsonSteps steps(file.text(), path.string());
  const auto elements = [&] {
    const std::string list = steps.file() + ": " + std::string(name);
    steps.need('[', list);
    for (std::size_t i = 0; !steps.take(']'); ++i) {
      if (i > 0) steps.need(',', list);
      const std::string where = list + "[" + std::to_string(i) + "]";
      const io::Json element = io::Json::parse(steps.value(where), where);
      f(TaskJson(element, where));
    }
  };
  if (name.empty()) {
    elements();
  } else {
    bool found = false;
    steps.need('{', "");
    for (bool first = true; !steps.take('}'); first = false) {
      if (!first) steps.need(',', "");
      if (steps.peek() != '"') steps.refuse("", "the name of a member");
      const std::string member = io::Json::parse(steps.value(""), steps.file()).as_string();
      steps.need(':', "");
      if (member == name) {
        check(!found, "task", path.string(), ": the member '", name, "' is there twice");
        found = true;
        elements();
      } else {
        steps.value(steps.file() + ": " + member);
      }
    }
    check(found, "task", path.string(), ": found no member '", name, "', expected an array of that name");
  }
  if (steps.peek() != '\0') steps.refuse("", "the end of the file");
}

/// Calls f(line) for each line of a JSON-lines file; empty lines are passed over.
template <class F>
void each_line(const std::filesystem::path& path, const F& f) {
  const io::MappedFile file(path);
  const std::string_view text = file.text();
  for (std::size_t at = 0, number = 1; at < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    const std::string where = path.string() + ": line " + std::to_string(number);
    const io::Json json = io::Json::parse(line, where);
    f(TaskJson(json, where));
  }
}

/// A whole file.
template <class F>
void with_json(const std::filesystem::path& path, const F& f) {
  const io::MappedFile file(path);
  const io::Json json = io::Json::parse(file.text(), path.string(), {.bytes = std::size_t{1} << 32});
  f(TaskJson(json, path.string() + ": top"));
}

}  // namespace flamingo
