/// Writes samples into numbered shards of bounded size, and their index.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/shards/shard.hpp>
#include <flamingo/data/shards/shard_index.hpp>
#include <flamingo/data/shards/tar.hpp>
#include <flamingo/io/atomic_file.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>

namespace flamingo {

/// Where a shard ends: before the sample that would make it larger. A sample larger than that alone is refused.
struct ShardBounds {
  std::uint64_t bytes = std::uint64_t{1} << 30;
  std::int64_t samples = 10'000;
};

/// A file of a sample to be written.
struct SampleField {
  std::string extension;
  std::string bytes;
};

/// Makes FOLDER/NAME-000000.tar and so on, and FOLDER/index.json. A shard appears under its name only when it is whole,
/// and the index after it, so a run that is killed leaves whole shards and an index of them. The next run goes on where
/// the index's `notes` say, and overwrites a shard that the index does not know.
class ShardWriter {
 public:
  /// Takes up an index that is there. Throws Error where it has another name.
  ShardWriter(std::filesystem::path folder, std::string name, ShardBounds bounds = {})
      : folder_(std::move(folder)), bounds_(bounds), index_{std::move(name), {}} {
    check(bounds_.bytes > tar_size(0) && bounds_.samples > 0, "shards", "a shard of ", bounds_.bytes, " bytes and ",
          bounds_.samples, " samples holds nothing");
    check(detail::safe_path(index_.name) == index_.name && index_.name.find_first_of("./") == std::string::npos,
          "shards", "the name '", index_.name, "' is expected without dots, slashes and control characters");
    std::filesystem::create_directories(folder_);
    std::vector<std::filesystem::path> halves;  // what killed runs left of a shard; there is one writer at a time
    for (const auto& entry : std::filesystem::directory_iterator(folder_))
      if (const std::string file = entry.path().filename().string();
          file.starts_with(index_.name + '-') && file.find(".tar.tmp-") != std::string::npos)
        halves.push_back(entry.path());
    for (const auto& half : halves) std::filesystem::remove(half);
    const auto path = folder_ / ShardIndex::file_name;
    if (!std::filesystem::exists(path)) return;
    ShardIndex found = ShardIndex::read(path);
    check(found.name == index_.name, "shards", path.string(), ": it is the index of '", found.name, "', not of '",
          index_.name, "'");
    index_ = std::move(found);
  }

  /// Appends a sample. Fields keep their order. Throws Error for a key with a dot in its last part, since what follows
  /// the first dot is the field's name, for a key or a field that occurs twice running, and for one without fields.
  void add(std::string_view key, std::span<const SampleField> fields) {
    check(!fields.empty(), "shards", "the sample ", key, " has no fields");
    check(key != last_key_, "shards", "the sample ", key, " follows one of the same key");
    std::uint64_t size = 0;
    std::vector<std::string> names;
    for (const SampleField& field : fields) {
      names.push_back(std::string(key) + '.' + field.extension);
      const auto parsed = detail::sample_name(names.back());
      check(parsed && parsed->first == key && parsed->second == detail::small_letters(field.extension) &&
                !field.extension.empty(),
            "shards", "the name '", names.back(), "' does not read back as the sample '", key, "' and its field '",
            field.extension, "'");
      for (std::size_t i = 0; i + 1 < names.size(); ++i)
        check(names[i] != names.back(), "shards", "the sample ", key, " has the field ", field.extension, " twice");
      size += tar_size(field.bytes.size());
    }
    check(size + ending <= bounds_.bytes, "shards", "the sample ", key, " takes ", size, " bytes, a shard holds ",
          bounds_.bytes);
    if (shard_ && (written_ + size + ending > bounds_.bytes || samples_ == bounds_.samples)) finish_shard();
    if (!shard_) {
      std::array<char, 32> number{};
      std::snprintf(number.data(), number.size(), "-%06zu.tar", index_.shards.size());
      file_ = index_.name + number.data();
      shard_.emplace(folder_ / file_);
    }
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const auto header = tar_header(names[i], fields[i].bytes.size());
      shard_->write(std::string_view(header.data(), header.size()));
      shard_->write(fields[i].bytes);
      const std::size_t over = fields[i].bytes.size() % detail::tar_block;
      if (over != 0) shard_->write(std::string(detail::tar_block - over, '\0'));
    }
    last_key_ = key;
    written_ += size;
    ++samples_;
  }

  /// Ends the shard that is open; `notes` then say that all is done.
  void finish(io::Json::Object notes) {
    index_.notes = std::move(notes);
    finish_shard();
    index_.write(folder_ / ShardIndex::file_name);
  }
  /// What the index keeps when a shard is full. Set before a sample is added, they tell what came before it, which is
  /// what the full shards hold: where a run that was killed goes on.
  io::Json::Object& notes() { return index_.notes; }
  const ShardIndex& index() const { return index_; }

 private:
  static constexpr std::uint64_t ending = 2 * detail::tar_block;

  void finish_shard() {
    if (!shard_) return;
    shard_->write(std::string(ending, '\0'));
    shard_->commit();
    shard_.reset();
    const io::MappedFile file(folder_ / file_);
    index_.shards.push_back(
        {file_, samples_, static_cast<std::int64_t>(written_ + ending), shard_checksum(file.data())});
    index_.write(folder_ / ShardIndex::file_name);
    written_ = 0;
    samples_ = 0;
  }

  std::filesystem::path folder_;
  ShardBounds bounds_;
  ShardIndex index_;
  std::optional<io::AtomicFile> shard_;
  std::string file_, last_key_;
  std::uint64_t written_ = 0;
  std::int64_t samples_ = 0;
};

}  // namespace flamingo
