// flamingo-data pack: documents, pictures and videos to shards.
#include <flamingo/data/captions.hpp>
#include <flamingo/data/contamination.hpp>
#include <flamingo/data/shards/record.hpp>
#include <flamingo/data/shards/shard_writer.hpp>
#include <flamingo/train/progress.hpp>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "options.hpp"

namespace flamingo::data_command {

namespace {

constexpr std::string_view pack_usage =
    "flamingo-data pack OUTPUT NAME INPUT...   shards OUTPUT/NAME-000000.tar, ... and OUTPUT/index.json\n"
    "INPUT: a folder that `extract` wrote, or a list (.jsonl): lines of documents, or of {\"path\", \"caption\"}\n"
    "  --media FOLDER       where the paths of a list begin (the list's own folder)\n"
    "  --only KEY=VALUE     lines of a list whose member KEY is VALUE; may be repeated\n"
    "  --samples N          samples a shard (10000)\n"
    "  --megabytes N        bytes a shard (1024)\n"
    "  --without-dates, --without-places   take them out of captions\n"
    "  --against FOLDER     pictures of evaluations: what copies them is left out\n"
    "Killed, it goes on when called again in the same way.\n";

/// A file of lines, and where its pictures lie.
struct Source {
  std::filesystem::path lines, media;
};

std::vector<Source> sources_of(const std::vector<std::string>& places, const std::string& media) {
  std::vector<Source> sources;
  for (const std::filesystem::path place : places) {
    if (!std::filesystem::is_directory(place)) {
      sources.push_back({place, media.empty() ? place.parent_path() : std::filesystem::path(media)});
      continue;
    }
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(place))
      if (entry.path().extension() == ".jsonl") found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    check(!found.empty(), "pack", place.string(), ": there are no .jsonl files");
    for (const auto& lines : found)
      sources.push_back({lines, media.empty() ? place / "images" : std::filesystem::path(media)});
  }
  return sources;
}

class Packer {
 public:
  Packer(const Options& options, ShardWriter& writer) : options_(options), writer_(writer), readers_(media_readers()) {
    for (const io::JsonMember& note : writer.notes()) {
      if (note.name == "taken") taken_ = note.value.as_integer();
      if (note.name == "dropped")
        for (const auto& [reason, count] : note.value.as_object()) dropped_[reason] = count.as_integer();
      if (note.name == "names") names_ = note.value.as_array();
    }
    if (const std::string folder = options.text("--against"); !folder.empty()) learn(folder);
  }

  std::int64_t taken() const { return taken_; }
  void skip(std::int64_t lines) { number_ += lines; }

  void line(const Source& source, std::string_view text) {
    if (number_++ < taken_) return;
    writer_.notes() = notes();
    const std::string place = source.lines.filename().string() + " line " + std::to_string(number_);
    try {
      const io::Json json = io::Json::parse(text, place);
      if (chosen(json)) json.find("texts") != nullptr ? page(source, json, place) : captioned(source, json, place);
    } catch (const Error& error) {
      drop("broken", place + ": " + error.what());
    }
    taken_ = number_;
  }
  void finish() { writer_.finish(notes()); }

  void report() const {
    std::cout << writer_.index().samples() << " samples in " << writer_.index().shards.size() << " shards\n";
    for (const auto& [reason, count] : dropped_) std::cout << "  " << count << ' ' << reason << '\n';
    for (std::size_t i = 0; i < std::min<std::size_t>(names_.size(), 5); ++i)
      std::cout << "    " << names_[i].as_string() << '\n';
  }

 private:
  static constexpr std::size_t max_names = 200;

  io::Json::Object notes() const {
    io::Json::Object dropped;
    for (const auto& [reason, count] : dropped_) dropped.push_back({reason, count});
    return {{"taken", taken_}, {"dropped", std::move(dropped)}, {"names", names_}};
  }
  void drop(const std::string& reason, const std::string& name) {
    ++dropped_[reason];
    if (names_.size() < max_names) names_.emplace_back(reason + ": " + printable(name));
  }
  /// Names of files need not be UTF-8; JSON needs it.
  static std::string printable(const std::string& text) {
    std::string shown;
    for (std::size_t at = 0; at < text.size();) {
      const io::CodePoint point = io::decode_utf8(text, at);
      shown += point.valid ? text.substr(at, point.length) : "?";
      at += point.length;
    }
    return shown;
  }

  void learn(const std::filesystem::path& folder) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      try {
        evaluations_.add(entry.path().string(), io::read_image<io::Codecs>(entry.path(), {.at_least = 64}));
      } catch (const Error&) {  // another kind of file
      }
    }
    check(evaluations_.size() > 0, "pack", "--against ", folder.string(), ": there is no picture");
    std::cerr << evaluations_.size() << " pictures of evaluations\n";
  }

  bool chosen(const io::Json& json) const {
    for (const std::string& only : options_.all("--only")) {
      const std::size_t equals = only.find('=');
      check(equals != std::string::npos, "pack", "--only is '", only, "', expected KEY=VALUE");
      const io::Json* value = json.find(std::string_view(only).substr(0, equals));
      if (value == nullptr || !value->is_string() || value->as_string() != only.substr(equals + 1)) return false;
    }
    return true;
  }

  /// The bytes of a picture that can be decoded and is in no evaluation; empty and counted otherwise.
  std::string picture(const std::filesystem::path& path, const std::string& place) {
    std::string why = "broken picture";
    try {
      const io::MappedFile file(path);
      const io::RawImage raw = readers_.image(file.data(), path.string(), 64);
      const auto copy = evaluations_.size() > 0 ? evaluations_.find(io::over(raw)) : std::nullopt;
      if (!copy) return std::string(file.text());
      why = "picture of an evaluation";
      fail("pack", path.string(), ": copies ", copy->name, " (", copy->bits, " bits, cosine ", copy->cosine, ')');
    } catch (const Error& error) {
      drop(why, place + ": " + error.what());
    }
    return {};
  }

  void page(const Source& source, const io::Json& json, const std::string& place) {
    const InterleavedDocument whole = InterleavedDocument::of(json, place);
    InterleavedDocument kept{.id = whole.id, .url = whole.url, .title = whole.title, .license = whole.license};
    for (const InterleavedDocument::Part& part : whole.parts) {
      if (part.image < 0) {
        kept.text(part.text);
        continue;
      }
      InterleavedDocument::Image image = whole.images[static_cast<std::size_t>(part.image)];
      const std::string bytes = picture(source.media / image.name, place);
      if (bytes.empty()) continue;
      const auto view = std::as_bytes(std::span(bytes));
      image.bytes.assign(view.begin(), view.end());
      kept.image(std::move(image));
    }
    if (kept.images.empty()) return drop("page without pictures", place);
    writer_.add(key(), fields_of(std::move(kept)));
  }

  void captioned(const Source& source, const io::Json& json, const std::string& place) {
    const std::string path = json.at("path").as_string();
    std::string caption = json.at("caption").as_string();
    if (options_.has("--without-dates")) caption = without_dates(caption);
    if (options_.has("--without-places")) caption = without_places(caption);
    if (caption.empty()) return drop("caption that is empty", place);
    const std::string_view extension = detail::last_extension(path);
    std::string bytes;
    if (detail::is_one_of(extension, detail::video_extensions) || extension == "gif") {
      bytes = std::string(io::MappedFile(source.media / path).text());
      if (readers_.video) {
        try {
          readers_.video(std::as_bytes(std::span(bytes)), path, {.rate = 1, .frames = 1}, 0);
        } catch (const Error& error) {
          return drop("broken video", place + ": " + error.what());
        }
      }
    } else {
      bytes = picture(source.media / path, place);
    }
    if (bytes.empty()) return;
    io::Json::Object more{{"path", path}};
    if (const io::Json* from = json.find("source"); from != nullptr) more.push_back({"source", *from});
    writer_.add(key(), fields_of(std::as_bytes(std::span(bytes)), caption, std::move(more)));
  }

  std::string key() const {
    std::string digits = std::to_string(number_ - 1);
    return std::string(digits.size() < 9 ? 9 - digits.size() : 0, '0') + digits;
  }

  const Options& options_;
  ShardWriter& writer_;
  MediaReaders readers_;
  ContaminationIndex evaluations_;
  std::int64_t taken_ = 0, number_ = 0;  ///< lines done by all runs; lines seen by this one
  std::map<std::string, std::int64_t> dropped_;
  io::Json::Array names_;
};

}  // namespace

int pack(Arguments arguments) {
  const Options options(arguments, {"--media", "--only", "--samples", "--megabytes", "--against"},
                        {"--help", "--without-dates", "--without-places"});
  if (options.has("--help") || options.places.size() < 3) {
    (options.has("--help") ? std::cout : std::cerr) << pack_usage;
    return options.has("--help") ? 0 : 2;
  }
  const auto sources = sources_of({options.places.begin() + 2, options.places.end()}, options.text("--media"));
  std::vector<io::MappedFile> files;
  std::int64_t lines = 0;
  for (const Source& source : sources) {
    files.emplace_back(source.lines);
    lines += std::count(files.back().text().begin(), files.back().text().end(), '\n');
  }
  ShardWriter writer(options.places[0], options.places[1],
                     {.bytes = static_cast<std::uint64_t>(options.number("--megabytes", 1024)) << 20,
                      .samples = options.number("--samples", 10'000)});
  Packer packer(options, writer);
  if (packer.taken() > 0) std::cerr << "going on after line " << packer.taken() << '\n';
  Progress progress(std::cerr, "pack", static_cast<long>(lines), rewrites_lines(STDERR_FILENO));
  const long begun = static_cast<long>(packer.taken());
  long done = 0;
  for (std::size_t s = 0; s < sources.size(); ++s)
    for (std::string_view rest = files[s].text(); !rest.empty();) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      packer.line(sources[s], line);
      if (++done > begun) progress.report(done, std::to_string(writer.index().shards.size()) + " shards", begun);
    }
  packer.finish();
  packer.report();
  return 0;
}

}  // namespace flamingo::data_command
