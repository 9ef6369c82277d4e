/// Builds the bytes of stored zips and of torch.save's pickles, right or wrong, for the tests of their readers.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "files.hpp"

namespace flamingo::tests {

/// One member of a zip, with what a hostile file may say about it.
struct ZipMember {
  std::string name, bytes;
  std::uint16_t flags = 0, method = 0;
  std::string local_name{};        ///< where it differs
  std::int64_t local_offset = -1;  ///< where it lies according to the directory; -1: where it does
  std::int64_t stored = -1;        ///< its compressed size according to the directory
};

struct ZipOptions {
  bool zip64 = false;    ///< 64-bit records, with saturated ones beside them
  int more_members = 0;  ///< that the end counts and the directory does not have
  std::string after{};
};

inline std::string zip_of(const std::vector<ZipMember>& members, const ZipOptions& options = {}) {
  const auto u16 = [](std::size_t value) { return bytes_of(static_cast<std::uint16_t>(value)); };
  const auto u32 = [](std::size_t value) { return bytes_of(static_cast<std::uint32_t>(value)); };
  const auto u64 = [](std::size_t value) { return bytes_of(static_cast<std::uint64_t>(value)); };
  std::string file, directory;
  for (const ZipMember& m : members) {
    const std::string& local_name = m.local_name.empty() ? m.name : m.local_name;
    const std::size_t offset = m.local_offset < 0 ? file.size() : static_cast<std::size_t>(m.local_offset);
    const std::size_t size = m.bytes.size(), stored = m.stored < 0 ? size : static_cast<std::size_t>(m.stored);
    // As torch.save does: the sizes of bit 3 follow the data.
    const std::size_t flags = m.flags | 8u;
    file += "PK\3\4" + u16(0) + u16(flags) + u16(m.method) + u32(0) + u32(0) + u32(0) + u32(0) +
            u16(local_name.size()) + u16(0) + local_name + m.bytes;
    const std::string extra = options.zip64 ? u16(1) + u16(24) + u64(size) + u64(stored) + u64(offset) : std::string{};
    const auto or_saturated = [&](std::size_t value) { return u32(options.zip64 ? 0xffffffffu : value); };
    directory += "PK\1\2" + u16(0) + u16(0) + u16(flags) + u16(m.method) + u32(0) + u32(0) + or_saturated(stored) +
                 or_saturated(size) + u16(m.name.size()) + u16(extra.size()) + u16(0) + u16(0) + u16(0) + u32(0) +
                 or_saturated(offset) + m.name + extra;
  }
  const std::size_t begin = file.size(), count = members.size() + static_cast<std::size_t>(options.more_members);
  file += directory;
  const std::size_t end = file.size();
  if (options.zip64)
    file += "PK\6\6" + u64(44) + u16(0) + u16(0) + u32(0) + u32(0) + u64(count) + u64(count) + u64(end - begin) +
            u64(begin) + "PK\6\7" + u32(0) + u64(end) + u32(1);
  const std::size_t small = options.zip64 ? 0xffffu : count;
  file += "PK\5\6" + u16(0) + u16(0) + u16(small) + u16(small) + u32(options.zip64 ? 0xffffffffu : end - begin) +
          u32(options.zip64 ? 0xffffffffu : begin) + u16(0);
  return file + options.after;
}

/// Opcodes of protocol 2, as torch.save writes them.
namespace pickle {

inline std::string text(std::string_view value) {
  return "X" + bytes_of(static_cast<std::uint32_t>(value.size())) + std::string(value);
}
inline std::string integer(std::int64_t value) {
  return value >= INT32_MIN && value <= INT32_MAX ? "J" + bytes_of(static_cast<std::int32_t>(value))
                                                  : "\x8a\x08" + bytes_of(value);
}
inline std::string tuple(const std::vector<std::int64_t>& values) {
  std::string items;
  for (const std::int64_t value : values) items += integer(value);
  return "(" + items + "t";
}
inline std::string storage(std::string_view type, std::string_view key, std::int64_t count) {
  return "(" + text("storage") + "ctorch\n" + std::string(type) + "\n" + text(key) + text("cpu") + integer(count) +
         "tQ";
}
/// A tensor of a storage, itself a pickle.
inline std::string tensor(const std::string& stored, std::int64_t offset, const std::vector<std::int64_t>& shape,
                          const std::vector<std::int64_t>& strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + stored + integer(offset) + tuple(shape) + tuple(strides) + "\x89" +
         "ccollections\nOrderedDict\n)RtR";
}
inline std::string dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string all;
  for (const auto& [name, value] : items) all += text(name) + value;
  return "}(" + all + "u";
}
inline std::string whole(const std::string& root) { return "\x80\x02" + root + "."; }

}  // namespace pickle

/// The file of a pickle's root and its storages 0, 1, ...
inline std::string torch_file_of(const std::string& root, const std::vector<std::string>& storages,
                                 const ZipOptions& options = {}) {
  std::vector<ZipMember> members{{"archive/data.pkl", pickle::whole(root)}, {"archive/byteorder", "little"}};
  for (std::size_t i = 0; i < storages.size(); ++i)
    members.push_back({"archive/data/" + std::to_string(i), storages[i]});
  members.push_back({"archive/version", "3\n"});
  return zip_of(members, options);
}

}  // namespace flamingo::tests
