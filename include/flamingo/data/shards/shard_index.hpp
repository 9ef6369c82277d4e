/// The index of a folder of shards: which files, how many samples and bytes each. A JSON file that webdataset's `wids`
/// reads too, with fields of ours beside its own.
#pragma once
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/shards/shard.hpp>
#include <flamingo/io/atomic_file.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo {

/// One shard as the index knows it.
struct ShardInfo {
  std::string file;  ///< relative to the index's folder
  std::int64_t samples = 0, bytes = 0;
  std::string checksum = {};  ///< of the file's bytes (shard_checksum); empty: not known

  friend bool operator==(const ShardInfo&, const ShardInfo&) = default;
};

/// FNV-1a of 8 bytes at a time, as 16 hexadecimal digits: finds damage, not malice.
inline std::string shard_checksum(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  const auto mix = [&](std::uint64_t word) { hash = (hash ^ word) * 0x100000001b3u; };
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < 8; ++i) word |= std::to_integer<std::uint64_t>(bytes[at + i]) << (8 * i);
    mix(word);
  }
  for (; at < bytes.size(); ++at) mix(std::to_integer<std::uint64_t>(bytes[at]));
  mix(bytes.size());
  std::string digits(16, '0');
  for (std::size_t i = 0; i < 16; ++i) digits[i] = "0123456789abcdef"[hash >> (60 - 4 * i) & 15];
  return digits;
}

struct ShardIndex {
  std::string name;  ///< of the collection
  std::vector<ShardInfo> shards;
  io::Json::Object notes = {};  ///< whatever its maker wants to find again

  std::int64_t samples() const {
    std::int64_t sum = 0;
    for (const ShardInfo& shard : shards) sum += shard.samples;
    return sum;
  }

  io::Json json() const {
    io::Json::Array list;
    for (const ShardInfo& shard : shards) {
      io::Json::Object entry{{"url", shard.file}, {"nsamples", shard.samples}, {"filesize", shard.bytes}};
      if (!shard.checksum.empty()) entry.push_back({"checksum", shard.checksum});
      list.emplace_back(std::move(entry));
    }
    return io::Json::Object{{"__kind__", "wids-shard-index-v1"},
                            {"wids_version", 1},
                            {"name", name},
                            {"shardlist", std::move(list)},
                            {"notes", notes}};
  }

  /// Throws Error, naming `source`, for what is no such index, a shard outside its folder, and numbers below 0.
  static ShardIndex of(const io::Json& json, std::string_view source) {
    const io::Json* list = json.is_object() ? json.find("shardlist") : nullptr;
    check(list != nullptr && list->is_array(), "shard_index", source, ": it has no array 'shardlist'");
    ShardIndex index;
    if (const io::Json* name = json.find("name"); name != nullptr && name->is_string()) index.name = name->as_string();
    if (const io::Json* notes = json.find("notes"); notes != nullptr && notes->is_object())
      index.notes = notes->as_object();
    for (const io::Json& entry : list->as_array()) {
      check(entry.is_object(), "shard_index", source, ": an entry of 'shardlist' is ", entry.type_name(),
            ", expected an object");
      ShardInfo shard;
      const std::string& file = entry.at("url").as_string();
      const auto safe = detail::safe_path(file);
      check(safe && safe->back() != '/', "shard_index", source, ": the shard '", file,
            "' does not lie in the index's folder");
      shard.file = *safe;
      shard.samples = entry.at("nsamples").as_integer();
      if (const io::Json* bytes = entry.find("filesize"); bytes != nullptr) shard.bytes = bytes->as_integer();
      if (const io::Json* sum = entry.find("checksum"); sum != nullptr) shard.checksum = sum->as_string();
      check(shard.samples >= 0 && shard.samples < std::int64_t{1} << 40 && shard.bytes >= 0, "shard_index", source,
            ": the shard ", file, " has ", shard.samples, " samples and ", shard.bytes, " bytes");
      index.shards.push_back(std::move(shard));
    }
    return index;
  }

  static ShardIndex read(const std::filesystem::path& path) {
    const io::MappedFile file(path);
    return of(io::Json::parse(file.text(), path.string()), path.string());
  }
  /// Written beside and renamed.
  void write(const std::filesystem::path& path) const {
    io::AtomicFile file(path);
    file.write(json().dump(1) + '\n');
    file.commit();
  }

  static constexpr std::string_view file_name = "index.json";
};

/// Shards to read from: files and how many samples each has.
struct ShardSet {
  std::vector<std::filesystem::path> files;
  std::vector<std::int64_t> samples;
  std::vector<std::string> problems;  ///< shards that are not whole, each with its reason

  std::int64_t size() const {
    std::int64_t sum = 0;
    for (const std::int64_t n : samples) sum += n;
    return sum;
  }

  /// A folder with an index.json, such an index itself, a folder of .tar files (walked once to count their samples, in
  /// the order of their names), or one .tar file. What an index promises and the disk has not, in bytes, is a problem,
  /// and its shard is counted anew. Throws Error where there is no sample at all.
  static ShardSet open(const std::filesystem::path& path) {
    ShardSet set;
    const bool folder = std::filesystem::is_directory(path);
    const std::filesystem::path index = folder ? path / ShardIndex::file_name : path;
    if (std::filesystem::exists(index) && index.extension() == ".json") {
      for (const ShardInfo& shard : ShardIndex::read(index).shards) {
        const std::filesystem::path file = index.parent_path() / shard.file;
        std::error_code error;
        const auto bytes = std::filesystem::file_size(file, error);
        if (!error && (shard.bytes == 0 || bytes == static_cast<std::uintmax_t>(shard.bytes))) {
          set.add(file, shard.samples);
        } else {
          set.problems.push_back(file.string() + ": the index says " + std::to_string(shard.bytes) + " bytes, " +
                                 (error ? "the file is missing" : "it has " + std::to_string(bytes)));
          if (!error) set.count(file);
        }
      }
    } else if (folder) {
      std::vector<std::filesystem::path> found;
      for (const auto& entry : std::filesystem::directory_iterator(path))
        if (entry.path().extension() == ".tar") found.push_back(entry.path());
      std::sort(found.begin(), found.end());
      for (const auto& file : found) set.count(file);
    } else {
      set.count(path);
    }
    check(set.size() > 0, "shards", path.string(), ": there is no sample",
          set.problems.empty() ? "" : " (" + set.problems.front() + ")");
    return set;
  }

 private:
  void add(std::filesystem::path file, std::int64_t count) {
    files.push_back(std::move(file));
    samples.push_back(count);
  }
  void count(const std::filesystem::path& file) {
    try {
      const Shard shard(file);
      if (!shard.problem().empty()) problems.push_back(shard.problem());
      if (shard.size() > 0) add(file, static_cast<std::int64_t>(shard.size()));
    } catch (const Error& error) {
      problems.emplace_back(error.what());
    }
  }
};

}  // namespace flamingo
