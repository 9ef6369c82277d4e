// flamingo-data stats: what shards hold.
#include <flamingo/data/shards/record.hpp>
#include <flamingo/data/shards/shard_index.hpp>
#include <flamingo/train/progress.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "options.hpp"

namespace flamingo::data_command {

namespace {

constexpr std::string_view stats_usage =
    "flamingo-data stats SHARDS   a folder of shards, its index.json, or one .tar\n"
    "  --gifs   GIFs with a caption are videos\n"
    "  --json   for programs\n";

/// Numbers of one kind, to be told by their quantiles.
struct Spread {
  std::vector<double> values;
  io::Json json() {
    std::sort(values.begin(), values.end());
    const auto quantile = [&](double q) {
      return values.empty() ? 0.0 : values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
    };
    double sum = 0;
    for (const double v : values) sum += v;
    return io::Json::Object{{"mean", values.empty() ? 0.0 : sum / static_cast<double>(values.size())},
                            {"least", quantile(0)},
                            {"median", quantile(0.5)},
                            {"nine_tenths", quantile(0.9)},
                            {"most", quantile(1)}};
  }
};

}  // namespace

int stats(Arguments arguments) {
  const Options options(arguments, {}, {"--help", "--json", "--gifs"});
  if (options.has("--help") || options.places.size() != 1) {
    (options.has("--help") ? std::cout : std::cerr) << stats_usage;
    return options.has("--help") ? 0 : 2;
  }
  const ShardSet set = ShardSet::open(options.places[0]);
  std::map<std::string, std::int64_t> counts;
  std::map<std::int64_t, std::int64_t> media_of_pages;
  Spread words, characters, width, height;
  std::int64_t bytes = 0, media_bytes = 0;
  Progress progress(std::cerr, "stats", static_cast<long>(set.size()), rewrites_lines(STDERR_FILENO));
  long done = 0;
  for (const auto& file : set.files) {
    const Shard shard(file);
    bytes += static_cast<std::int64_t>(shard.bytes());
    for (std::size_t i = 0; i < shard.size(); ++i) {
      progress.report(++done, file.filename().string());
      try {
        const Record record = read_record(shard.sample(i), options.has("--gifs"));
        ++counts[std::string(name_of(record.kind)) + "s"];
        counts["missing images"] += record.missing;
        if (record.kind == RecordKind::page) ++media_of_pages[static_cast<std::int64_t>(record.media.size())];
        std::size_t letters = 0, words_here = 0;
        for (const Record::Part& part : record.parts) {
          letters += part.text.size();
          bool in_word = false;
          for (const char c : part.text) {
            const bool space = c == ' ' || c == '\n' || c == '\t';
            words_here += !space && !in_word;
            in_word = !space;
          }
        }
        words.values.push_back(static_cast<double>(words_here));
        characters.values.push_back(static_cast<double>(letters));
        for (const Record::Medium& medium : record.media) {
          media_bytes += static_cast<std::int64_t>(medium.file().size());
          ++counts[medium.video ? "video files" : "image files"];
          if (medium.video) continue;
          const auto header = io::Codecs::header(medium.file());
          if (!header.problem.empty()) {
            ++counts["images of no known kind"];
            continue;
          }
          width.values.push_back(header.size.width);
          height.values.push_back(header.size.height);
        }
      } catch (const Error&) {
        ++counts["broken samples"];
      }
    }
  }
  io::Json::Object result{
      {"shards", static_cast<std::int64_t>(set.files.size())}, {"bytes", bytes}, {"media bytes", media_bytes}};
  for (const auto& [name, count] : counts) result.push_back({name, count});
  if (!media_of_pages.empty()) {
    io::Json::Object histogram;
    for (const auto& [media, pages] : media_of_pages) histogram.push_back({std::to_string(media), pages});
    result.push_back({"pages by their images", std::move(histogram)});
  }
  result.push_back({"words", words.json()});
  result.push_back({"bytes of text", characters.json()});
  result.push_back({"width", width.json()});
  result.push_back({"height", height.json()});
  if (options.has("--json")) {
    std::cout << io::Json(std::move(result)).dump(1) << '\n';
    return 0;
  }
  for (const auto& [name, value] : result) {
    std::cout << name << ": ";
    if (!value.is_object()) {
      std::cout << value.dump() << '\n';
      continue;
    }
    for (std::size_t i = 0; i < value.as_object().size(); ++i) {
      const io::JsonMember& member = value.as_object()[i];
      std::array<char, 40> number{};
      std::snprintf(number.data(), number.size(), "%.6g", member.value.as_double());
      std::cout << (i > 0 ? ", " : "") << member.name << ' ' << number.data();
    }
    std::cout << '\n';
  }
  return 0;
}

}  // namespace flamingo::data_command
