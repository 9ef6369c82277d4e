/// A shard: a tar archive of samples, as webdataset names them. Files that follow one another and agree up to the first
/// dot of their names are the fields of one sample: 000017.jpg, 000017.txt.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/shards/tar.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo {

/// A field of a sample; `bytes` lie in the shard.
struct ShardField {
  std::string extension;  ///< behind the name's first dot, in small letters: "jpg", "0.png"
  std::span<const std::byte> bytes;

  std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

/// Valid as long as the shard that it was read from.
struct ShardSample {
  std::string key;  ///< folder and name before the first dot
  std::vector<ShardField> fields;

  const ShardField* find(std::string_view extension) const {
    for (const ShardField& field : fields)
      if (field.extension == extension) return &field;
    return nullptr;
  }
};

namespace detail {

/// Key and extension of a file in a shard, or nothing where it belongs to no sample: without a dot, hidden, or under a
/// name __like this__ (webdataset keeps such for itself).
inline std::optional<std::pair<std::string_view, std::string_view>> sample_name(std::string_view path) {
  const std::size_t slash = path.rfind('/'), base = slash == std::string_view::npos ? 0 : slash + 1;
  const std::size_t dot = path.find('.', base);
  const std::string_view first = path.substr(0, path.find('/'));
  const bool meta = first.size() >= 4 && first.starts_with("__") && first.ends_with("__");
  if (dot == std::string_view::npos || dot == base || meta) return {};
  return std::pair(path.substr(0, dot), path.substr(dot + 1));
}

inline std::string small_letters(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

}  // namespace detail

/// A mapped shard whose samples are read by number. Opening it walks its headers once and keeps one offset a sample.
class Shard {
 public:
  static constexpr std::size_t max_fields = 4096;  ///< of one sample

  /// A shard that is damaged in its middle has the samples before that place, and a `problem`. Throws Error when the
  /// file cannot be opened, or is compressed.
  explicit Shard(const std::filesystem::path& path) : file_(path) {
    const auto magic = file_.text().substr(0, 4);
    check(!magic.starts_with("\x1f\x8b") && !magic.starts_with("\x28\xb5\x2f\xfd") && !magic.starts_with("BZh"),
          "shard", path.string(),
          ": it is compressed, expected a plain tar archive (pictures and videos are compressed already)");
    try {
      TarReader reader(file_.data(), path.string());
      std::string key;
      while (const auto entry = reader.next()) {
        const auto name = detail::sample_name(entry->name);
        if (!name || (!starts_.empty() && name->first == key)) continue;
        key = name->first;
        starts_.push_back(entry->offset);
      }
    } catch (const Error& error) {
      problem_ = error.what();
      if (!starts_.empty()) {  // the last sample may have lost fields
        end_ = starts_.back();
        starts_.pop_back();
      }
    }
  }

  std::size_t size() const { return starts_.size(); }
  std::uint64_t bytes() const { return file_.data().size(); }
  const std::filesystem::path& path() const { return file_.path(); }
  /// Why the shard ends before its end; empty where it is whole.
  const std::string& problem() const { return problem_; }
  /// The byte at which a sample begins.
  std::uint64_t offset(std::size_t sample) const { return starts_.at(sample); }

  /// Throws Error for a field that occurs twice, as webdataset does, and for more than max_fields of them.
  ShardSample sample(std::size_t number) const {
    check(number < starts_.size(), "shard", file_.path().string(), ": sample ", number, " is asked for, it has ",
          starts_.size());
    TarReader reader(file_.data(), file_.path().string(), starts_[number]);
    const std::uint64_t end = number + 1 < starts_.size() ? starts_[number + 1] : end_;
    ShardSample sample;
    while (reader.offset() < end) {
      const auto entry = reader.next();
      if (!entry) break;
      const auto name = detail::sample_name(entry->name);
      if (!name) continue;
      if (sample.fields.empty()) sample.key = name->first;
      if (name->first != sample.key) break;
      std::string extension = detail::small_letters(name->second);
      check(sample.find(extension) == nullptr, "shard", file_.path().string(), ": sample ", sample.key,
            " has the field ", extension, " twice, expected each once");
      check(sample.fields.size() < max_fields, "shard", file_.path().string(), ": sample ", sample.key,
            " has more than ", max_fields, " fields");
      sample.fields.push_back({std::move(extension), entry->bytes});
    }
    return sample;
  }

 private:
  io::MappedFile file_;
  std::vector<std::uint64_t> starts_;
  std::uint64_t end_ = UINT64_MAX;  ///< what lies behind it is not read
  std::string problem_;
};

}  // namespace flamingo
