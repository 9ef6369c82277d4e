/// Zip archives whose members lie in the file as they are (stored): what torch.save writes. Read mapped. Compressed
/// members, as the code in TorchScript's archives, are listed and never unpacked.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/io/tensor_file.hpp>

namespace flamingo::io {

/// A mapped archive, with or without zip64 records. Opening it reads the central directory and refuses whatever lets
/// two readers see two archives: members that are encrypted, repeated or overlapping, names that leave the folder,
/// local headers that contradict the directory, and bytes before or after the archive. Checksums are not compared: that
/// would read every page. Views hold while this object, or the one it was moved to, lives.
class StoredZip {
 public:
  struct Member {
    std::string name;
    std::span<const std::byte> bytes;
    bool stored = true;  ///< false: the bytes are compressed
  };

  /// Throws Error with the path, the place and what is wrong.
  explicit StoredZip(const std::filesystem::path& path) : file_(path) {
    Directory directory = find_directory();
    std::unordered_set<std::string> names;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> used;
    std::uint64_t at = directory.begin;
    for (std::uint64_t i = 0; i < directory.members; ++i) read_member(at, directory, names, used);
    if (at != directory.end)
      refuse("byte ", at, ": the directory goes on after its ", directory.members, " members to byte ", directory.end);
    std::sort(used.begin(), used.end());
    for (std::size_t i = 1; i < used.size(); ++i)
      if (used[i].first < used[i - 1].second) refuse("two members overlap at byte ", used[i].first);
  }

  /// All members, in the order of the directory.
  std::span<const Member> members() const { return members_; }
  const std::filesystem::path& path() const { return file_.path(); }
  std::size_t size() const { return file_.data().size(); }

 private:
  /// Where the central directory lies.
  struct Directory {
    std::uint64_t members = 0, begin = 0, end = 0;
  };

  template <class... What>
  [[noreturn]] void refuse(const What&... what) const {
    fail("zip", path().string(), ": ", what...);
  }

  /// The number at a byte of the file, which must have it.
  template <class T>
  T number(std::uint64_t at) const {
    if (at > size() || size() - at < sizeof(T)) refuse("byte ", at, ": the file ends here, it is truncated");
    return detail::load<T>(file_.data().data() + at);
  }
  std::uint64_t u16(std::uint64_t at) const { return number<std::uint16_t>(at); }
  std::uint64_t u32(std::uint64_t at) const { return number<std::uint32_t>(at); }
  std::uint64_t u64(std::uint64_t at) const { return number<std::uint64_t>(at); }

  std::span<const std::byte> range(std::uint64_t at, std::uint64_t length) const {
    if (at > size() || length > size() - at)
      refuse("byte ", at, ": ", length, " bytes are expected here but the file has ", size(), ": it is truncated");
    return file_.data().subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(length));
  }
  std::string_view text(std::uint64_t at, std::uint64_t length) const {
    const auto bytes = range(at, length);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  Directory find_directory() const {
    constexpr std::uint64_t end_size = 22, locator_size = 20, end64_size = 56;
    if (size() < end_size || u32(size() - end_size) != 0x06054b50u || u16(size() - 2) != 0)
      refuse(
          "the last 22 bytes are no end of a zip archive (is it truncated, or no torch file of PyTorch 1.6 or later?)");
    const std::uint64_t end = size() - end_size;
    if (u16(end + 4) != 0 || u16(end + 6) != 0) refuse("the archive has several parts, expected one");
    Directory found{.members = u16(end + 10), .begin = u32(end + 16), .end = end};
    std::uint64_t here = u16(end + 8), length = u32(end + 12);
    if (end >= locator_size && u32(end - locator_size) == 0x07064b50u) {
      const std::uint64_t locator = end - locator_size, end64 = u64(locator + 8);
      if (locator < end64_size || end64 != locator - end64_size || u32(end64) != 0x06064b50u)
        refuse("byte ", locator, ": the zip64 locator points to byte ", end64, ", where no zip64 end lies before it");
      const Directory large{.members = u64(end64 + 32), .begin = u64(end64 + 48), .end = end64};
      const auto agrees = [](std::uint64_t brief, std::uint64_t saturated, std::uint64_t large_value) {
        return brief == saturated || brief == large_value;
      };
      if (u32(locator + 4) != 0 || u32(end64 + 16) != 0 || u32(end64 + 20) != 0)
        refuse("the archive has several parts, expected one");
      if (!agrees(found.members, 0xffff, large.members) || !agrees(found.begin, 0xffffffff, large.begin) ||
          !agrees(length, 0xffffffff, u64(end64 + 40)))
        refuse("its two ends contradict each other");
      found = large;
      here = u64(end64 + 24);
      length = u64(end64 + 40);
    }
    if (here != found.members) refuse("the archive has several parts, expected one");
    if (found.begin > found.end || length != found.end - found.begin)
      refuse("the directory says that it has ", length, " bytes from byte ", found.begin, ", but it ends at byte ",
             found.end);
    // A member takes at least 46 bytes of the directory.
    if (found.members > length / 46)
      refuse("the directory of ", length, " bytes cannot hold ", found.members, " members");
    return found;
  }

  void read_member(std::uint64_t& at, const Directory& directory, std::unordered_set<std::string>& names,
                   std::vector<std::pair<std::uint64_t, std::uint64_t>>& used) {
    if (u32(at) != 0x02014b50u) refuse("byte ", at, ": no member of the directory begins here");
    const std::uint64_t flags = u16(at + 8), method = u16(at + 10);
    std::uint64_t stored = u32(at + 20), length = u32(at + 24), local = u32(at + 42);
    const std::uint64_t name_size = u16(at + 28), extra_size = u16(at + 30), comment_size = u16(at + 32);
    const std::string name(text(at + 46, name_size));
    const std::string where = "member '" + name.substr(0, 200) + "' ";
    check_name(name, where);
    if (!names.insert(name).second) refuse(where, "occurs twice");
    if ((flags & 0x2041u) != 0) refuse(where, "is encrypted");
    if (method != 0 && method != 8) refuse(where, "has the method ", method, ", expected 0 (stored) or 8 (deflated)");
    widen(at + 46 + name_size, extra_size, where, length, stored, local);
    if (method == 0 && stored != length)
      refuse(where, "takes ", stored, " bytes for ", length, ", expected it stored as it is");
    at += 46 + name_size + extra_size + comment_size;
    if (at > directory.end) refuse(where, "leaves the directory");

    if (local > directory.begin || u32(local) != 0x04034b50u) refuse(where, "does not begin at byte ", local);
    const std::uint64_t local_name = u16(local + 26), local_extra = u16(local + 28);
    if (text(local + 30, local_name) != name || u16(local + 8) != method || ((u16(local + 6) ^ flags) & 1u) != 0)
      refuse(where, "has another name or method in its local header, at byte ", local);
    // With bit 3 the sizes follow the data; saturated ones stand in the extra field.
    const std::uint64_t local_size = u32(local + 22);
    if ((u16(local + 6) & 8u) == 0 && local_size != length && local_size != 0xffffffffu)
      refuse(where, "has ", length, " bytes, but its local header says ", local_size);
    const std::uint64_t begin = local + 30 + local_name + local_extra;
    if (begin > directory.begin || stored > directory.begin - begin)
      refuse(where, "has ", stored, " bytes from byte ", begin, ", which runs into the directory at byte ",
             directory.begin);
    used.emplace_back(local, begin + stored);
    members_.push_back({name, range(begin, stored), method == 0});
  }

  void check_name(std::string_view name, const std::string& where) const {
    if (name.empty() || name.front() == '/' || name.find_first_of(std::string_view("\\:\0", 3)) != name.npos)
      refuse(where, "has no relative name");
    for (std::size_t at = 0; at <= name.size();) {
      const std::size_t slash = std::min(name.find('/', at), name.size());
      if (name.substr(at, slash - at) == "..") refuse(where, "names a place outside the archive");
      at = slash + 1;
    }
  }

  /// Replaces saturated numbers by those of the zip64 extra field.
  void widen(std::uint64_t at, std::uint64_t size, const std::string& where, std::uint64_t& length,
             std::uint64_t& stored, std::uint64_t& local) const {
    const std::uint64_t end = at + size;
    for (std::uint64_t next = at; end - at >= 4; at = next) {
      const std::uint64_t field = u16(at + 2);
      next = at + 4 + field;
      if (next > end) refuse(where, "has an extra field that leaves its record");
      if (u16(at) != 1) continue;
      at += 4;
      for (std::uint64_t* value : {&length, &stored, &local}) {
        if (*value != 0xffffffffu) continue;
        if (next - at < 8) refuse(where, "has a zip64 field that is too short");
        *value = u64(at);
        at += 8;
      }
    }
  }

  MappedFile file_;
  std::vector<Member> members_;
};

}  // namespace flamingo::io
