/// The encoding of a webpage, as browsers find it, and its text as UTF-8. What is no page's fault (a wrong label, a
/// broken byte) becomes U+FFFD, never an error.
#pragma once
#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include <flamingo/core/check.hpp>
#include <flamingo/io/unicode.hpp>

namespace flamingo::web {

namespace detail {

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r' && c != '\v'); }

inline std::string lowered(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}
inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}
/// `needle` is lower case.
inline std::size_t find_ignoring_case(std::string_view text, std::string_view needle, std::size_t from = 0) {
  if (from > text.size()) return std::string_view::npos;
  const auto at = std::search(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(), needle.begin(),
                              needle.end(), [](char a, char b) { return lower(a) == b; });
  return at == text.end() ? std::string_view::npos : static_cast<std::size_t>(at - text.begin());
}

/// The code points of bytes 0x80 to 0x9f in windows-1252; 0xa0 to 0xff are their own.
constexpr std::array<char16_t, 32> windows_1252{0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                                0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d,   0x017d, 0x8f,
                                                0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                                0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178};

inline std::string from_windows_1252(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() + bytes.size() / 8);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80)
      text += c;
    else
      io::append_utf8(text, byte < 0xa0 ? char32_t{windows_1252[byte - 0x80u]} : char32_t{byte});
  }
  return text;
}

inline std::string from_utf16(std::string_view bytes, bool big_endian) {
  std::string text;
  text.reserve(bytes.size());
  const auto unit = [&](std::size_t at) {
    const auto a = static_cast<unsigned char>(bytes[at]), b = static_cast<unsigned char>(bytes[at + 1]);
    return static_cast<char32_t>(big_endian ? a << 8 | b : b << 8 | a);
  };
  std::size_t at = 0;
  for (; at + 1 < bytes.size(); at += 2) {
    char32_t point = unit(at);
    if (point >= 0xd800 && point < 0xe000) {
      const char32_t low = point < 0xdc00 && at + 3 < bytes.size() ? unit(at + 2) : 0;
      if (low >= 0xdc00 && low < 0xe000) {
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        at += 2;
      } else {
        point = 0xfffd;
      }
    }
    io::append_utf8(text, point);
  }
  if (at < bytes.size()) io::append_utf8(text, 0xfffd);
  return text;
}

/// Nothing where the system does not know the encoding.
inline std::optional<std::string> by_iconv(std::string_view bytes, const std::string& encoding) {
  const iconv_t conversion = ::iconv_open("UTF-8", encoding.c_str());
  if (conversion == reinterpret_cast<iconv_t>(-1)) return std::nullopt;
  std::string text;
  text.reserve(bytes.size() * 2);
  char* in = const_cast<char*>(bytes.data());  // iconv's signature: it does not write there
  std::size_t left = bytes.size();
  std::array<char, 4096> buffer{};
  for (bool more = true; more;) {
    char* out = buffer.data();
    std::size_t room = buffer.size();
    more = left > 0;
    const std::size_t done = ::iconv(conversion, more ? &in : nullptr, &left, &out, &room);
    const int reason = done == static_cast<std::size_t>(-1) ? errno : 0;
    text.append(buffer.data(), buffer.size() - room);
    if (reason == EILSEQ || reason == EINVAL) {
      io::append_utf8(text, 0xfffd);
      ++in;
      --left;
    }
  }
  ::iconv_close(conversion);
  return text;
}

}  // namespace detail

/// Whether a text is UTF-8 from its first byte to its last.
inline bool is_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t eight;  // ASCII goes in strides
    while (at + sizeof eight <= text.size() &&
           (std::memcpy(&eight, text.data() + at, sizeof eight), (eight & 0x8080808080808080u) == 0))
      at += sizeof eight;
    if (at == text.size()) break;
    const io::CodePoint point = io::decode_utf8(text, at);
    if (!point.valid) return false;
    at += point.length;
  }
  return true;
}

/// UTF-8 in which each byte that was none is U+FFFD.
inline std::string mended_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const io::CodePoint point = io::decode_utf8(text, at);
    if (point.valid) {
      result.append(text.substr(at, point.length));
      at += point.length;
    } else {
      io::append_utf8(result, 0xfffd);
      ++at;
    }
  }
  return result;
}

/// The value of `charset` in a Content-Type or the like ("text/html; charset=utf-8"), lower case; else empty.
inline std::string charset_of(std::string_view content_type) {
  for (std::size_t at = 0; (at = detail::find_ignoring_case(content_type, "charset", at)) != std::string_view::npos;) {
    std::string_view rest = detail::trimmed(content_type.substr(at + 7));
    at += 7;
    if (rest.empty() || rest.front() != '=') continue;
    rest = detail::trimmed(rest.substr(1));
    const char quote = rest.empty() ? '\0' : rest.front();
    if (quote == '"' || quote == '\'') {
      rest.remove_prefix(1);
      return detail::lowered(detail::trimmed(rest.substr(0, rest.find(quote))));
    }
    return detail::lowered(rest.substr(0, rest.find_first_of("; \t\r\n\"'/>")));
  }
  return {};
}

/// What the page says of itself: `charset` in a <meta> of its first 1024 bytes or in an XML declaration; else empty.
inline std::string declared_charset(std::string_view page) {
  page = page.substr(0, 1024);
  if (page.starts_with("<?xml")) {
    const std::string_view declaration = page.substr(0, page.find("?>"));
    if (const std::size_t at = declaration.find("encoding="); at != std::string_view::npos)
      return charset_of("charset=" + std::string(declaration.substr(at + 9)));
  }
  for (std::size_t at = 0; (at = detail::find_ignoring_case(page, "<meta", at)) != std::string_view::npos;) {
    const std::size_t end = std::min(page.find('>', at), page.size());
    if (std::string found = charset_of(page.substr(at, end - at)); !found.empty()) return found;
    at = end;
  }
  return {};
}

/// The encoding that a label means to browsers (WHATWG, "Names and labels"): Latin 1 is windows-1252, and so on.
inline std::string encoding_of_label(std::string_view label) {
  struct Alias {
    std::string_view label, encoding;
  };
  constexpr std::array aliases{
      Alias{"utf8", "utf-8"},
      Alias{"unicode-1-1-utf-8", "utf-8"},
      Alias{"iso-8859-1", "windows-1252"},
      Alias{"iso8859-1", "windows-1252"},
      Alias{"iso_8859-1", "windows-1252"},
      Alias{"latin1", "windows-1252"},
      Alias{"l1", "windows-1252"},
      Alias{"us-ascii", "windows-1252"},
      Alias{"ascii", "windows-1252"},
      Alias{"cp1252", "windows-1252"},
      Alias{"x-cp1252", "windows-1252"},
      Alias{"iso-8859-9", "windows-1254"},
      Alias{"latin5", "windows-1254"},
      Alias{"iso-8859-11", "windows-874"},
      Alias{"tis-620", "windows-874"},
      Alias{"shift_jis", "cp932"},
      Alias{"shift-jis", "cp932"},
      Alias{"sjis", "cp932"},
      Alias{"x-sjis", "cp932"},
      Alias{"windows-31j", "cp932"},
      Alias{"gb2312", "gb18030"},
      Alias{"gbk", "gb18030"},
      Alias{"x-gbk", "gb18030"},
      Alias{"euc-kr", "cp949"},
      Alias{"ks_c_5601-1987", "cp949"},
      Alias{"big5", "big5-hkscs"},
      Alias{"x-euc-jp", "euc-jp"},
      Alias{"utf-16", "utf-16le"},
      Alias{"windows-874", "cp874"},
      Alias{"utf-7", "windows-1252"},
  };
  const std::string name = detail::lowered(detail::trimmed(label));
  for (const Alias& alias : aliases)
    if (name == alias.label) return encoding_of_label(alias.encoding);
  return name;
}

/// A page as UTF-8. Its encoding is told by, in this order: a byte order mark; `header`, the Content-Type it was served
/// with; itself; UTF-8 where it is valid; else it is windows-1252.
inline std::string to_utf8(std::string_view page, std::string_view header = {}) {
  using namespace std::string_view_literals;
  if (page.starts_with("\xef\xbb\xbf"sv)) return mended_utf8(page.substr(3));
  if (page.starts_with("\xff\xfe"sv)) return detail::from_utf16(page.substr(2), false);
  if (page.starts_with("\xfe\xff"sv)) return detail::from_utf16(page.substr(2), true);
  std::string encoding = encoding_of_label(charset_of(header));
  if (encoding.empty()) {
    encoding = encoding_of_label(declared_charset(page));
    if (encoding.starts_with("utf-16")) encoding = "utf-8";  // what could be read as ASCII is not UTF-16
  }
  if (encoding == "utf-16le" || encoding == "utf-16be") return detail::from_utf16(page, encoding == "utf-16be");
  if (!encoding.empty() && encoding != "utf-8" && encoding != "windows-1252") {
    const bool harmless = encoding.size() <= 32 &&
                          encoding.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == std::string::npos;
    if (harmless)
      if (auto text = detail::by_iconv(page, encoding)) return mended_utf8(*text);
    encoding.clear();  // a label nobody knows says nothing
  }
  if (encoding == "windows-1252") return detail::from_windows_1252(page);
  if (is_utf8(page)) return std::string(page);
  return encoding == "utf-8" ? mended_utf8(page) : detail::from_windows_1252(page);
}

}  // namespace flamingo::web
