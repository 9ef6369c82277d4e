/// Addresses: a reference on a page to an absolute one (RFC 3986, with what browsers forgive), and what a data: address
/// holds.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace flamingo::web {

/// The parts of an address; `scheme` without its colon, `authority` without its slashes. A part that is absent and one
/// that is empty are told apart where that matters.
struct UrlParts {
  std::string_view scheme, authority, path, query;
  bool has_authority = false, has_query = false;
};

namespace detail {

/// Without the white space around, line ends and tabs inside, and the fragment.
inline std::string clean_reference(std::string_view reference) {
  std::string clean;
  clean.reserve(reference.size());
  while (!reference.empty() && static_cast<unsigned char>(reference.front()) <= ' ') reference.remove_prefix(1);
  while (!reference.empty() && static_cast<unsigned char>(reference.back()) <= ' ') reference.remove_suffix(1);
  for (const char c : reference.substr(0, reference.find('#'))) {
    if (c == '\t' || c == '\n' || c == '\r') continue;
    if (c == ' ')
      clean += "%20";
    else if (c != '\0')
      clean += c;
  }
  return clean;
}

inline bool scheme_letter(char c, bool first) {
  const bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
  return letter || (!first && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'));
}

/// A path without `.` and `..`; `..` never leaves the root.
inline std::string without_dots(std::string_view path) {
  std::vector<std::string_view> kept;
  bool folder = false;
  const bool rooted = path.starts_with('/');
  for (std::size_t at = rooted ? 1 : 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view segment = path.substr(at, end - at);
    folder = segment == "." || segment == "..";
    if (segment == ".." && !kept.empty()) kept.pop_back();
    if (!folder) kept.push_back(segment);
    at = end + 1;
  }
  std::string result = rooted ? "/" : "";
  for (std::size_t i = 0; i < kept.size(); ++i) (result += i ? "/" : "") += kept[i];
  if (folder && !kept.empty()) result += '/';
  return result;
}

inline int hexadecimal_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 32);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace detail

inline UrlParts split_url(std::string_view url) {
  UrlParts parts;
  std::size_t colon = 0;
  while (colon < url.size() && detail::scheme_letter(url[colon], colon == 0)) ++colon;
  if (colon > 0 && colon < url.size() && url[colon] == ':') {
    parts.scheme = url.substr(0, colon);
    url.remove_prefix(colon + 1);
  }
  url = url.substr(0, url.find('#'));
  if (url.starts_with("//")) {
    parts.has_authority = true;
    const std::size_t end = std::min(url.find_first_of("/?", 2), url.size());
    parts.authority = url.substr(2, end - 2);
    url.remove_prefix(end);
  }
  if (const std::size_t question = url.find('?'); question != std::string_view::npos) {
    parts.has_query = true;
    parts.query = url.substr(question + 1);
    url = url.substr(0, question);
  }
  parts.path = url;
  return parts;
}

/// `reference` as seen from the page `base`, absolute, without fragment; empty where there is nothing to find (an empty
/// reference). data: comes back as it is.
inline std::string resolve_url(std::string_view base, std::string_view reference) {
  const std::string clean = detail::clean_reference(reference);
  if (clean.empty()) return {};
  const UrlParts r = split_url(clean), b = split_url(base);
  std::string scheme(r.scheme);
  for (char& c : scheme) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c | 32 : c);
  const bool hierarchical = scheme.empty() || scheme == "http" || scheme == "https" || scheme == "file";
  if (!hierarchical) return clean;
  // A Windows habit that browsers forgive.
  std::string path(r.path);
  for (char& c : path)
    if (c == '\\') c = '/';
  std::string_view authority = r.authority, query = r.query;
  bool has_query = r.has_query;
  if (r.scheme.empty()) {
    scheme = b.scheme;
    if (!r.has_authority) {
      authority = b.authority;
      if (path.empty()) {
        path = b.path;
        if (!has_query) {
          query = b.query;
          has_query = b.has_query;
        }
      } else if (!path.starts_with('/')) {
        const std::size_t slash = b.path.rfind('/');
        path.insert(0, slash == std::string_view::npos ? "/" : b.path.substr(0, slash + 1));
      }
    }
  }
  std::string result = scheme;
  if (!result.empty()) result += ':';
  if (!authority.empty() || scheme == "file" || !scheme.empty()) (result += "//") += authority;
  std::string flat = detail::without_dots(path);
  if (!flat.starts_with('/')) flat.insert(0, 1, '/');
  result += flat;
  if (has_query) (result += '?') += query;
  return result;
}

/// %41 is A; a % without two digits stays.
inline std::string percent_decoded(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    const int high = text[at] == '%' && at + 2 < text.size() ? detail::hexadecimal_digit(text[at + 1]) : -1;
    const int low = high >= 0 ? detail::hexadecimal_digit(text[at + 2]) : -1;
    if (low >= 0) {
      result += static_cast<char>(high * 16 + low);
      at += 2;
    } else {
      result += text[at];
    }
  }
  return result;
}

/// The bytes of "data:[<type>][;base64],<data>"; nothing where this is no such address or damaged.
inline std::optional<std::string> data_url_bytes(std::string_view url) {
  constexpr std::string_view scheme = "data:";
  if (url.size() < scheme.size()) return std::nullopt;
  for (std::size_t i = 0; i < scheme.size(); ++i)
    if ((i < 4 ? url[i] | 32 : url[i]) != scheme[i]) return std::nullopt;
  const std::size_t comma = url.find(',');
  if (comma == std::string_view::npos) return std::nullopt;
  const std::string decoded = percent_decoded(url.substr(comma + 1));
  if (!url.substr(0, comma).ends_with("base64")) return decoded;
  std::string bytes;
  bytes.reserve(decoded.size() * 3 / 4);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : decoded) {
    std::uint32_t six = 64;
    if (c >= 'A' && c <= 'Z') six = static_cast<std::uint32_t>(c - 'A');
    if (c >= 'a' && c <= 'z') six = static_cast<std::uint32_t>(c - 'a' + 26);
    if (c >= '0' && c <= '9') six = static_cast<std::uint32_t>(c - '0' + 52);
    if (c == '+' || c == '-') six = 62;
    if (c == '/' || c == '_') six = 63;
    if (c == '=') break;
    if (static_cast<unsigned char>(c) <= ' ') continue;
    if (six == 64) return std::nullopt;
    bits = bits << 6 | six;
    if ((count += 6) >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 255);
    }
  }
  return bytes;
}

}  // namespace flamingo::web
