/// Annotation files in the official layouts, made up: all fields that the originals have, whether we read them or not.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/function.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>

#include "io/files.hpp"

namespace flamingo::test {

using io::Json;
using tests::error_of;
using tests::TemporaryFolder;

constexpr int made_up = 53;  ///< items of each file

inline std::string number(int i) { return std::to_string(i); }
/// Texts that quoting must survive.
inline std::string odd_text(int i) {
  constexpr std::string_view tails[] = {"",      " \"quoted\"", ", with a comma", " and a \\ backslash", " ümläut 日本",
                                        "\nline"};
  return "text " + number(i) + std::string(tails[i % 6]);
}
inline Json parsed(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  return Json::parse(file.text(), path.string());
}
inline Json list_of(int count, const Function<Json(int)>& element) {
  Json::Array all;
  for (int i = 0; i < count; ++i) all.push_back(element(i));
  return Json(std::move(all));
}

}  // namespace flamingo::test
