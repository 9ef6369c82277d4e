/// Tar archives as shards are: regular files one after another. Reads ustar and what pax and GNU add for long names and
/// large sizes; writes plain ustar. Nothing is ever unpacked: entries are views of the mapped archive.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <flamingo/core/check.hpp>

namespace flamingo {

/// A file of an archive.
struct TarEntry {
  std::string name;                  ///< a relative path without "." and ".." parts
  std::span<const std::byte> bytes;  ///< lies in the archive
  std::uint64_t offset = 0;          ///< of its first header in the archive
};

namespace detail {

inline constexpr std::size_t tar_block = 512;

/// The path without "./" in front, or nothing where it is no plain relative path: absolute, with a part "..", a
/// backslash or a control character, or longer than 4096 bytes. Who trusted it could be led out of their folder.
inline std::optional<std::string> safe_path(std::string_view path) {
  while (path.starts_with("./")) path.remove_prefix(2);
  if (path.empty() || path.size() > 4096 || path.front() == '/') return {};
  for (const char c : path)
    if (static_cast<unsigned char>(c) < 0x20 || c == '\\' || c == 0x7f) return {};
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part == ".." || part == "." || (part.empty() && end != path.size())) return {};
    at = end + 1;
  }
  return std::string(path);
}

}  // namespace detail

/// Walks an archive from a header on. What is no regular file is passed over. Throws Error with the place for a damaged
/// header, a name that leads out of the folder, an entry that ends behind the archive and an archive without its end.
class TarReader {
 public:
  TarReader(std::span<const std::byte> archive, std::string source, std::uint64_t offset = 0)
      : archive_(archive), source_(std::move(source)), at_(offset) {}

  /// The next file, or none at the end of the archive.
  std::optional<TarEntry> next() {
    std::string long_name;
    std::optional<std::uint64_t> long_size;
    std::uint64_t first = at_;
    bool extended = false;
    while (true) {
      if (at_ == archive_.size()) refuse("the end of the file", "an entry or the block of zeros that ends an archive");
      if (archive_.size() - at_ < detail::tar_block)
        refuse(std::to_string(archive_.size() - at_) + " bytes", "a header of 512");
      const std::span<const std::byte> header = archive_.subspan(at_, detail::tar_block);
      if (std::all_of(header.begin(), header.end(), [](std::byte b) { return b == std::byte{0}; })) {
        if (extended) refuse("the end of the archive", "the entry that an extended header belongs to");
        return {};
      }
      check_sum(header);
      const char type = static_cast<char>(header[156]);
      const bool regular = type == '0' || type == '\0' || type == '7';
      const std::uint64_t size = long_size && regular ? *long_size : number(header.subspan(124, 12));
      const std::uint64_t left = archive_.size() - at_ - detail::tar_block;
      if (size > left)
        refuse("an entry of " + std::to_string(size) + " bytes", "at most the " + std::to_string(left) + " left");
      const std::span<const std::byte> bytes = archive_.subspan(at_ + detail::tar_block, size);
      const std::uint64_t padded = (size + detail::tar_block - 1) / detail::tar_block * detail::tar_block;
      const std::uint64_t here = at_;
      at_ += detail::tar_block + std::min(padded, left);
      switch (type) {
        case 'L':
          long_name = text(bounded(bytes, here));
          extended = true;
          continue;
        case 'x':
          read_pax(bounded(bytes, here), here, long_name, long_size);
          extended = true;
          continue;
        case 'S':
          refuse("a sparse file", "whole files", here);
        default:
          break;
      }
      if (regular) {
        const std::string path = long_name.empty() ? name_of(header) : long_name;
        auto name = detail::safe_path(path);
        if (!name) refuse("the name '" + printable(path) + "'", "a relative path that stays inside its folder", here);
        // Before POSIX a folder was a regular file whose name ends with a slash.
        if (name->back() != '/') return TarEntry{std::move(*name), bytes, first};
      }
      first = at_;
      long_name.clear();
      long_size.reset();
      extended = false;
    }
  }

  /// Where the next entry begins.
  std::uint64_t offset() const { return at_; }

 private:
  [[noreturn]] void refuse(const std::string& found, std::string_view expected) const { refuse(found, expected, at_); }
  [[noreturn]] void refuse(const std::string& found, std::string_view expected, std::uint64_t at) const {
    fail("tar", source_, ", byte ", at, ": found ", found, ", expected ", expected);
  }
  static std::string printable(std::string_view name) {
    std::string shown(name.substr(0, 100));
    for (char& c : shown)
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
    return shown;
  }

  /// Text up to its first zero.
  static std::string text(std::span<const std::byte> field) {
    std::string_view all(reinterpret_cast<const char*>(field.data()), field.size());
    return std::string(all.substr(0, all.find('\0')));
  }
  static std::string name_of(std::span<const std::byte> header) {
    const std::string name = text(header.first(100)), prefix = text(header.subspan(345, 155));
    // GNU's own format keeps other things where ustar has the prefix; its magic is "ustar ".
    const bool ustar = text(header.subspan(257, 6)) == "ustar";
    return ustar && !prefix.empty() ? prefix + '/' + name : name;
  }

  /// What describes another entry: names and a few attributes, never much.
  std::span<const std::byte> bounded(std::span<const std::byte> bytes, std::uint64_t at) const {
    if (bytes.size() > (std::size_t{1} << 20))
      refuse("an extended header of " + std::to_string(bytes.size()) + " bytes", "at most 1 MiB", at);
    return bytes;
  }

  /// Octal digits between spaces and zeros, or GNU's big-endian number behind a byte 0x80.
  std::uint64_t number(std::span<const std::byte> field) const {
    std::uint64_t value = 0;
    if (field[0] == std::byte{0x80}) {
      for (const std::byte b : field.subspan(1)) {
        if (value >> 55 != 0) refuse("a size beyond 2^63", "one that a file can have");
        value = value << 8 | std::to_integer<std::uint64_t>(b);
      }
      return value;
    }
    bool begun = false, ended = false;
    for (const std::byte b : field) {
      const auto c = std::to_integer<char>(b);
      if (c >= '0' && c <= '7' && !ended) {
        value = value * 8 + static_cast<std::uint64_t>(c - '0');  // 12 digits at most
        begun = true;
      } else if (c == ' ' || c == '\0') {
        ended = begun;
      } else {
        refuse("a number that is not octal", "octal digits");
      }
    }
    return value;
  }

  /// The sum of the header's bytes, its own field taken as spaces; some old programs summed signed bytes.
  void check_sum(std::span<const std::byte> header) const {
    std::int64_t sum = 0, signed_sum = 0;
    for (std::size_t i = 0; i < header.size(); ++i) {
      const int byte = i >= 148 && i < 156 ? ' ' : std::to_integer<int>(header[i]);
      sum += byte;
      signed_sum += static_cast<signed char>(byte);
    }
    const auto stated = static_cast<std::int64_t>(number(header.subspan(148, 8)));
    if (stated != sum && stated != signed_sum)
      refuse("a header whose checksum is " + std::to_string(stated), "the sum of its bytes, " + std::to_string(sum));
  }

  /// Records "LENGTH KEY=VALUE\n" of a pax header; the path and the size of the entry that follows are kept.
  void read_pax(std::span<const std::byte> bytes, std::uint64_t at, std::string& path,
                std::optional<std::uint64_t>& size) const {
    std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    while (!rest.empty() && rest.front() != '\0') {
      std::size_t length = 0, digits = 0;
      while (digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9' && digits < 8)
        length = length * 10 + static_cast<std::size_t>(rest[digits++] - '0');
      if (digits == 0 || digits >= rest.size() || rest[digits] != ' ' || length <= digits + 2 || length > rest.size() ||
          rest[length - 1] != '\n')
        refuse("a damaged extended header", "records of 'LENGTH KEY=VALUE'", at);
      const std::string_view record = rest.substr(digits + 1, length - digits - 2);
      rest.remove_prefix(length);
      const std::size_t equals = record.find('=');
      if (equals == std::string_view::npos) refuse("a damaged extended header", "records of 'LENGTH KEY=VALUE'", at);
      const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
      if (key == "path") path = value;
      if (key == "size") size = decimal(value, at);
      if (key.starts_with("GNU.sparse")) refuse("a sparse file", "whole files", at);
    }
  }
  std::uint64_t decimal(std::string_view digits, std::uint64_t at) const {
    std::uint64_t value = 0;
    if (digits.empty() || digits.size() > 18) refuse("the size '" + printable(digits) + "'", "up to 18 digits", at);
    for (const char c : digits) {
      if (c < '0' || c > '9') refuse("the size '" + printable(digits) + "'", "digits", at);
      value = value * 10 + static_cast<std::uint64_t>(c - '0');
    }
    return value;
  }

  std::span<const std::byte> archive_;
  std::string source_;
  std::uint64_t at_;
};

/// Bytes that an entry takes in an archive: header, data, padding.
constexpr std::uint64_t tar_size(std::uint64_t bytes) {
  return detail::tar_block + (bytes + detail::tar_block - 1) / detail::tar_block * detail::tar_block;
}

/// The ustar header of a file. Owner, time and mode are the same for all, so the same content makes the same archive.
/// Throws Error for a name that is no plain relative path or longer than ustar holds (100 bytes, or more where it can
/// be cut at a slash), and beyond 8 GiB.
inline std::array<char, detail::tar_block> tar_header(std::string_view name, std::uint64_t size) {
  check(detail::safe_path(name) == std::string(name) && name.back() != '/', "tar", "cannot write the name '", name,
        "', expected a relative path that stays inside its folder");
  check(size < std::uint64_t{1} << 33, "tar", name, " has ", size, " bytes, less than 8 GiB are expected");
  std::array<char, detail::tar_block> header{};
  const auto put = [&](std::size_t at, std::string_view what) {
    std::copy(what.begin(), what.end(), header.begin() + static_cast<std::ptrdiff_t>(at));
  };
  const auto octal = [&](std::size_t at, std::size_t digits, std::uint64_t value) {
    for (std::size_t i = digits; i-- > 0; value /= 8) header[at + i] = static_cast<char>('0' + value % 8);
  };
  std::string_view prefix;
  if (name.size() > 100) {
    const std::size_t slash = name.find('/', name.size() - 101);
    check(slash != std::string_view::npos && slash <= 155, "tar", "the name '", name, "' has ", name.size(),
          " bytes, expected at most 100 behind the last slash that may cut it");
    prefix = name.substr(0, slash);
    name.remove_prefix(slash + 1);
  }
  put(0, name);
  octal(100, 7, 0644);
  octal(108, 7, 0);
  octal(116, 7, 0);
  octal(124, 11, size);
  octal(136, 11, 0);
  put(148, "        ");
  header[156] = '0';
  put(257, std::string_view("ustar\00000", 8));
  put(265, "flamingo");
  put(297, "flamingo");
  put(345, prefix);
  std::uint64_t sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  octal(148, 6, sum);
  header[154] = '\0';
  return header;
}

}  // namespace flamingo
