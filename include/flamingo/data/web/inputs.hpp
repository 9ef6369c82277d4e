/// What an extraction reads: files, folders and archives, in pieces whose order and content depend on the input alone.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/web/charset.hpp>
#include <flamingo/data/web/image_loader.hpp>

namespace flamingo::web {

/// A piece of the input that one process takes at a time: an archive, or some pages of a folder.
struct InputShard {
  std::filesystem::path archive{};  ///< or
  std::filesystem::path folder{};
  std::string prefix{};              ///< the address of the folder: file://name/
  std::vector<std::string> pages{};  ///< paths below the folder
};

struct Inputs {
  std::vector<InputShard> shards;
  std::vector<Site> sites;  ///< the folders, by the addresses that their pages have
};

namespace detail {

inline bool ends_with_any(std::string_view name, std::span<const std::string_view> endings) {
  const std::string low = lowered(name);
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view e) { return low.ends_with(e); });
}
inline bool is_page_name(std::string_view name) {
  constexpr std::array<std::string_view, 3> endings{".html", ".htm", ".xhtml"};
  return ends_with_any(name, endings);
}
inline bool is_archive_name(std::string_view name) {
  constexpr std::array<std::string_view, 2> endings{".warc", ".warc.gz"};
  return ends_with_any(name, endings);
}

/// A path as a part of an address.
inline std::string percent_encoded(std::string_view path) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string result;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte >= 0x7f || c == '%' || c == '?' || c == '#' || c == '"' || c == '<' || c == '>' ||
        c == '\\')
      ((result += '%') += digits[byte >> 4]) += digits[byte & 15];
    else
      result += c;
  }
  return result;
}

}  // namespace detail

/// Lists files (.html, .htm, .xhtml; .warc, .warc.gz) and what lies in folders, in alphabetical order. The pages of
/// folder `manual` get the addresses file://manual/..., whatever lies above it.
inline Inputs list_inputs(std::span<const std::filesystem::path> inputs, std::size_t pages_a_shard = 512) {
  check(!inputs.empty(), "extract", "there is no input, expected files, folders or WARC archives");
  check(pages_a_shard > 0, "extract", "0 pages a shard");
  Inputs result;
  const auto add_folder = [&](const std::filesystem::path& folder, std::vector<std::string> pages) {
    std::string name = std::filesystem::absolute(folder).lexically_normal().filename().string();
    if (name.empty()) name = std::filesystem::absolute(folder).lexically_normal().parent_path().filename().string();
    const auto taken = [&](const std::string& n) {
      return std::any_of(result.sites.begin(), result.sites.end(),
                         [&](const Site& s) { return s.prefix == "file://" + detail::percent_encoded(n) + '/'; });
    };
    std::string unique = name;
    for (int n = 2; taken(unique); ++n) unique = name + '-' + std::to_string(n);
    const std::string prefix = "file://" + detail::percent_encoded(unique) + '/';
    result.sites.push_back({prefix, folder});
    std::sort(pages.begin(), pages.end());
    for (std::size_t at = 0; at < pages.size(); at += pages_a_shard) {
      const auto begin = pages.begin() + static_cast<std::ptrdiff_t>(at);
      const auto end = pages.begin() + static_cast<std::ptrdiff_t>(std::min(at + pages_a_shard, pages.size()));
      result.shards.push_back({.folder = folder, .prefix = prefix, .pages = {begin, end}});
    }
  };
  for (const std::filesystem::path& input : inputs) {
    std::error_code error;
    if (std::filesystem::is_directory(input, error)) {
      std::vector<std::string> pages, archives;
      for (const auto& entry : std::filesystem::recursive_directory_iterator(input)) {
        if (!entry.is_regular_file(error)) continue;
        const std::string inside = entry.path().lexically_relative(input).generic_string();
        if (detail::is_page_name(inside)) pages.push_back(inside);
        if (detail::is_archive_name(inside)) archives.push_back(inside);
      }
      check(!pages.empty() || !archives.empty(), "extract", input.string(),
            ": there is no .html, .htm, .xhtml, .warc or .warc.gz file in it");
      std::sort(archives.begin(), archives.end());
      if (!pages.empty()) add_folder(input, std::move(pages));
      for (const std::string& inside : archives) result.shards.push_back({.archive = input / inside});
    } else if (std::filesystem::is_regular_file(input, error)) {
      if (detail::is_archive_name(input.filename().string())) {
        result.shards.push_back({.archive = input});
      } else {
        check(detail::is_page_name(input.filename().string()), "extract", input.string(),
              ": its name is that of no page or archive, expected .html, .htm, .xhtml, .warc or .warc.gz");
        add_folder(input.has_parent_path() ? input.parent_path() : ".", {input.filename().string()});
      }
    } else {
      fail("extract", input.string(), ": there is no such file or folder");
    }
  }
  return result;
}

}  // namespace flamingo::web
