/// Comma-separated values (RFC 4180) with a line of names: how video data sets are annotated.
#pragma once
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo {

class Csv {
 public:
  /// Reads a whole file. Throws with the line where a quote stays open or a row has more or fewer fields than names.
  explicit Csv(const std::filesystem::path& path, char separator = ',') : path_(path.string()) {
    const io::MappedFile file(path);
    std::string_view text = file.text();
    if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
    std::size_t line = 1;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t began = line;
      std::vector<std::string> fields = row(text, at, line, separator);
      if (fields.size() == 1 && fields[0].empty()) continue;
      if (names_.empty()) {
        names_ = std::move(fields);
        continue;
      }
      check(fields.size() == names_.size(), "csv", path_, ", line ", began, ": found ", fields.size(),
            " fields, expected ", names_.size());
      rows_.push_back({std::move(fields), began});
    }
    check(!names_.empty(), "csv", path_, ": found an empty file, expected a line of names");
  }

  std::size_t rows() const { return rows_.size(); }
  bool has(std::string_view name) const {
    for (const std::string& column : names_)
      if (column == name) return true;
    return false;
  }
  /// A field. Throws where there is no column of that name.
  const std::string& text(std::size_t row, std::string_view name) const {
    for (std::size_t column = 0; column < names_.size(); ++column)
      if (names_[column] == name) return rows_[row].fields[column];
    std::string all;
    for (const std::string& column : names_) all += (all.empty() ? "" : ", ") + column;
    fail("csv", path_, ": found no column '", name, "', the columns are ", all);
  }
  double number(std::size_t row, std::string_view name) const { return parsed<double>(row, name, "a number"); }
  int integer(std::size_t row, std::string_view name) const { return parsed<int>(row, name, "an integer"); }
  /// "FILE, line N", for errors.
  std::string where(std::size_t row) const { return path_ + ", line " + std::to_string(rows_[row].line); }

 private:
  struct Row {
    std::vector<std::string> fields;
    std::size_t line;
  };

  std::vector<std::string> row(std::string_view text, std::size_t& at, std::size_t& line, char separator) const {
    std::vector<std::string> fields(1);
    const std::size_t began = line;
    while (at < text.size()) {
      const char c = text[at++];
      if (c == '"' && fields.back().empty()) {
        for (bool open = true; open; ++at) {
          check(at < text.size(), "csv", path_, ", line ", began, ": found the end of the file, expected a quote");
          line += text[at] == '\n';
          if (text[at] != '"') {
            fields.back() += text[at];
          } else if (at + 1 < text.size() && text[at + 1] == '"') {
            fields.back() += text[at++];
          } else {
            open = false;
          }
        }
      } else if (c == separator) {
        fields.emplace_back();
      } else if (c == '\n') {
        ++line;
        break;
      } else if (c != '\r' || at == text.size() || text[at] != '\n') {
        fields.back() += c;
      }
    }
    return fields;
  }
  template <class Number>
  Number parsed(std::size_t row, std::string_view name, std::string_view expected) const {
    const std::string& field = text(row, name);
    Number value{};
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    check(error == std::errc() && end == field.data() + field.size(), "csv", where(row), ", column ", name, ": found '",
          field, "', expected ", expected);
    return value;
  }

  std::string path_;
  std::vector<std::string> names_;
  std::vector<Row> rows_;
};

/// A field as it is written: in quotes where it needs them.
inline std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) (quoted += c) += c == '"' ? "\"" : "";
  return quoted + '"';
}

}  // namespace flamingo
