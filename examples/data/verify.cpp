// flamingo-data verify: whether every sample of shards can be read and every medium decoded.
#include <flamingo/data/shards/record.hpp>
#include <flamingo/data/shards/shard_index.hpp>
#include <flamingo/train/progress.hpp>

#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>

#include "options.hpp"

namespace flamingo::data_command {

namespace {

constexpr std::string_view verify_usage =
    "flamingo-data verify SHARDS   a folder of shards, its index.json, or one .tar\n"
    "  --gifs    GIFs with a caption are videos\n"
    "  --quick   only sizes, checksums and records; pictures and videos are not decoded\n"
    "Names what is wrong, and ends with 1 where anything is.\n";

}  // namespace

int verify(Arguments arguments) {
  const Options options(arguments, {}, {"--help", "--quick", "--gifs"});
  if (options.has("--help") || options.places.size() != 1) {
    (options.has("--help") ? std::cout : std::cerr) << verify_usage;
    return options.has("--help") ? 0 : 2;
  }
  const std::filesystem::path place = options.places[0];
  const MediaReaders readers = media_readers();
  std::int64_t wrong = 0, samples = 0, media = 0, unchecked = 0;
  const auto say = [&](std::string_view what) {
    ++wrong;
    std::cout << what << '\n';
  };

  const auto index = std::filesystem::is_directory(place) ? place / ShardIndex::file_name : place;
  if (index.extension() == ".json" && std::filesystem::exists(index))
    for (const ShardInfo& shard : ShardIndex::read(index).shards) {
      if (shard.checksum.empty()) continue;
      try {
        const io::MappedFile file(index.parent_path() / shard.file);
        if (shard_checksum(file.data()) != shard.checksum)
          say(shard.file + ": its bytes differ from the index's checksum");
      } catch (const Error& error) {
        say(error.what());
      }
    }

  const ShardSet set = ShardSet::open(place);
  for (const std::string& problem : set.problems) say(problem);
  Progress progress(std::cerr, "verify", static_cast<long>(set.size()), rewrites_lines(STDERR_FILENO));
  long done = 0;
  for (std::size_t s = 0; s < set.files.size(); ++s) {
    const Shard shard(set.files[s]);
    if (static_cast<std::int64_t>(shard.size()) != set.samples[s])
      say(shard.path().string() + ": it has " + std::to_string(shard.size()) + " samples, the index says " +
          std::to_string(set.samples[s]));
    for (std::size_t i = 0; i < shard.size(); ++i, ++samples) {
      progress.report(++done, std::to_string(wrong) + " wrong");
      try {
        const Record record = read_record(shard.sample(i), options.has("--gifs"));
        if (record.missing > 0)
          say(record.key + ": " + std::to_string(record.missing) + " images are not in the shard");
        for (const Record::Medium& medium : record.media) {
          ++media;
          if (options.has("--quick")) continue;
          try {
            if (!medium.video)
              readers.image(medium.file(), medium.name, 0);
            else if (readers.video)
              readers.video(medium.file(), medium.name, training_frames, 0);
            else
              ++unchecked;
          } catch (const Error& error) {
            say(error.what());
          }
        }
      } catch (const Error& error) {
        say(error.what());
      }
    }
  }
  std::cout << samples << " samples with " << media << " pictures and videos in " << set.files.size()
            << " shards: " << (wrong == 0 ? "all whole" : std::to_string(wrong) + " wrong") << '\n';
  if (unchecked > 0) std::cout << unchecked << " videos not decoded: built without the component video\n";
  return wrong == 0 ? 0 : 1;
}

}  // namespace flamingo::data_command
