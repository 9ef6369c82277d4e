/// Samples of shards as documents: interleaved pages (our own JSON, OBELICS', MMC4's), image-text pairs and videos.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/document.hpp>
#include <flamingo/data/interleaved.hpp>
#include <flamingo/data/shards/shard.hpp>
#include <flamingo/data/shards/shard_writer.hpp>
#include <flamingo/io/json.hpp>

namespace flamingo {

/// What a sample turned out to be.
enum class RecordKind { page, pair, video };

constexpr std::string_view name_of(RecordKind kind) {
  return kind == RecordKind::page ? "page" : kind == RecordKind::pair ? "pair" : "video";
}

/// A document out of a shard, whose media are encoded files. Valid as long as the shard.
struct Record {
  struct Medium {
    std::string name;                  ///< as errors and the document call it
    std::span<const std::byte> bytes;  ///< of the shard, or of `owned`
    bool video = false;
    std::vector<std::byte> owned = {};  ///< what stood in the JSON as base64

    std::span<const std::byte> file() const { return owned.empty() ? bytes : owned; }
  };
  struct Part {
    std::string text;
    int medium = -1;  ///< index into media, or -1: a text
  };

  RecordKind kind = RecordKind::pair;
  std::string key;
  std::vector<Part> parts;
  std::vector<Medium> media;
  int missing = 0;  ///< images that the JSON names and the sample does not hold; they are left out

  /// The texts, and media by their names.
  Document document() const {
    Document result;
    for (const Part& part : parts) {
      if (part.medium < 0) {
        result.text(part.text);
        continue;
      }
      const Medium& medium = media[static_cast<std::size_t>(part.medium)];
      medium.video ? result.video({medium.name}) : result.image(medium.name);
    }
    return result;
  }

  /// Takes a medium out of the document, and what its part was.
  void drop(int medium) {
    std::erase_if(parts, [&](const Part& part) { return part.medium == medium; });
    for (Part& part : parts) part.medium -= part.medium > medium;
    media.erase(media.begin() + medium);
  }
};

namespace detail {

constexpr std::array<std::string_view, 6> image_extensions{"jpg", "jpeg", "png", "gif", "bmp", "webp"};
constexpr std::array<std::string_view, 7> video_extensions{"mp4", "webm", "avi", "mkv", "mov", "m4v", "mpg"};

/// The last part of a field's name: "0.jpg" is a jpg.
inline std::string_view last_extension(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}
template <std::size_t N>
bool is_one_of(std::string_view extension, const std::array<std::string_view, N>& all) {
  return std::find(all.begin(), all.end(), last_extension(extension)) != all.end();
}

/// Base64 with or without its padding. Throws Error, naming `source`, for other characters.
inline std::vector<std::byte> from_base64(std::string_view text, std::string_view source) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::vector<std::byte> bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  unsigned group = 0;
  int bits = 0;
  for (const char c : text) {
    const int value = c >= 'A' && c <= 'Z'     ? c - 'A'
                      : c >= 'a' && c <= 'z'   ? c - 'a' + 26
                      : c >= '0' && c <= '9'   ? c - '0' + 52
                      : c == '+' || c == '-'   ? 62
                      : c == '/' || c == '_'   ? 63
                      : c == '\n' || c == '\r' ? -1
                                               : -2;
    check(value != -2, "record", source, ": its base64 has the character of code ", static_cast<unsigned char>(c) + 0);
    if (value < 0) continue;
    group = (group << 6 | static_cast<unsigned>(value)) & 0xffffffu;
    if ((bits += 6) >= 8) {
      bits -= 8;
      bytes.push_back(static_cast<std::byte>(group >> bits & 0xff));
    }
  }
  return bytes;
}

/// The field that holds an image of the JSON: named alike, or alike but for the sample's own key in front.
inline const ShardField* image_field(const ShardSample& sample, std::string_view name) {
  const std::string own = small_letters(name);
  if (const ShardField* field = sample.find(own)) return field;
  const std::size_t slash = sample.key.rfind('/');
  const std::string base = small_letters(slash == std::string::npos ? sample.key : sample.key.substr(slash + 1)) + '.';
  return own.starts_with(base) ? sample.find(std::string_view(own).substr(base.size())) : nullptr;
}

/// An image of the JSON becomes a part where its bytes are there.
inline void add_image(Record& record, const ShardSample& sample, const std::string& name, const io::Json* base64) {
  Record::Medium medium{.name = name, .bytes = {}};
  if (base64 != nullptr && base64->is_string()) {
    medium.owned = from_base64(base64->as_string(), sample.key);
  } else if (const ShardField* field = image_field(sample, name)) {
    medium.bytes = field->bytes;
  }
  if (medium.file().empty()) {
    ++record.missing;
    return;
  }
  record.parts.push_back({{}, static_cast<int>(record.media.size())});
  record.media.push_back(std::move(medium));
}

/// MMC4: sentences, and images each with the sentence that it stands before; several at one keep their order.
inline void read_mmc4(Record& record, const ShardSample& sample, const io::Json& json) {
  const io::Json::Array& texts = json.at("text_list").as_array();
  std::vector<std::vector<const io::Json*>> before(texts.size());
  if (const io::Json* images = json.find("image_info"); images != nullptr && !images->is_null())
    for (const io::Json& image : images->as_array()) {
      const std::int64_t at = image.at("matched_text_index").as_integer();
      check(at >= 0 && at < static_cast<std::int64_t>(texts.size()), "record", sample.key,
            ": an image stands before text ", at, " of ", texts.size());
      before[static_cast<std::size_t>(at)].push_back(&image);
    }
  for (std::size_t i = 0; i < texts.size(); ++i) {
    for (const io::Json* image : before[i]) {
      const io::Json* name = image->find("image_name");
      add_image(record, sample, name != nullptr && name->is_string() ? name->as_string() : std::string(),
                image->find("image_base64"));
    }
    record.parts.push_back({(i > 0 && before[i].empty() ? " " : "") + texts[i].as_string()});
  }
}

/// Ours and OBELICS': parallel lists of texts and images.
inline void read_parallel(Record& record, const ShardSample& sample, const io::Json& json) {
  const InterleavedDocument page = InterleavedDocument::of(json, sample.key);
  for (const InterleavedDocument::Part& part : page.parts) {
    if (part.image < 0)
      record.parts.push_back({part.text});
    else
      add_image(record, sample, page.images[static_cast<std::size_t>(part.image)].name, nullptr);
  }
}

inline std::optional<std::string> caption_of(const ShardSample& sample, const io::Json& json) {
  for (const std::string_view name : {"txt", "text", "caption"})
    if (const ShardField* field = sample.find(name)) return std::string(field->text());
  for (const std::string_view name : {"caption", "text", "title"})
    if (const io::Json* value = json.is_object() ? json.find(name) : nullptr; value != nullptr && value->is_string())
      return value->as_string();
  return {};
}

}  // namespace detail

/// Reads a sample by what it holds: a JSON with lists of texts is a page; an image or a video with a text (a field txt,
/// or `caption` or `text` of its JSON) is a pair or a video. A GIF is a video where `moving` says so. Throws Error,
/// with the key, where it is none of them, its JSON is damaged, or a text is not UTF-8.
inline Record read_record(const ShardSample& sample, bool moving = false, const io::JsonLimits& limits = {}) {
  Record record;
  record.key = sample.key;
  io::Json json;
  if (const ShardField* field = sample.find("json"))
    json = io::Json::parse(field->text(), sample.key + ".json", limits);
  const bool object = json.is_object();
  if (object && json.find("text_list") != nullptr) {
    record.kind = RecordKind::page;
    detail::read_mmc4(record, sample, json);
  } else if (object && json.find("texts") != nullptr) {
    record.kind = RecordKind::page;
    detail::read_parallel(record, sample, json);
  } else {
    const ShardField* medium = nullptr;
    for (const ShardField& field : sample.fields) {
      const bool video = detail::is_one_of(field.extension, detail::video_extensions) ||
                         (moving && detail::last_extension(field.extension) == "gif");
      if (medium != nullptr || !(video || detail::is_one_of(field.extension, detail::image_extensions))) continue;
      medium = &field;
      record.kind = video ? RecordKind::video : RecordKind::pair;
    }
    const auto caption = detail::caption_of(sample, json);
    check(medium != nullptr && caption.has_value(), "record", sample.key, ": it has ",
          medium == nullptr ? "neither texts nor an image or a video" : "no text",
          ", expected a page, a pair or a video");
    record.media.push_back({.name = sample.key + '.' + medium->extension,
                            .bytes = medium->bytes,
                            .video = record.kind == RecordKind::video});
    record.parts = {{{}, 0}, {*caption}};
  }
  for (const Record::Part& part : record.parts)
    for (std::size_t at = 0; at < part.text.size();) {
      const io::CodePoint point = io::decode_utf8(part.text, at);
      check(point.valid, "record", sample.key, ": byte ", at, " of a text is not UTF-8");
      at += point.length;
    }
  return record;
}

/// The extension that an encoded picture or video tells by its first bytes, or "bin".
inline std::string_view extension_of(std::span<const std::byte> file) {
  const std::string_view head(reinterpret_cast<const char*>(file.data()), std::min<std::size_t>(file.size(), 16));
  const auto at = [&](std::size_t place, std::string_view magic) {
    return head.size() >= place + magic.size() && head.substr(place, magic.size()) == magic;
  };
  if (at(0, "\xff\xd8\xff")) return "jpg";
  if (at(0, "\x89PNG")) return "png";
  if (at(0, "GIF8")) return "gif";
  if (at(0, "BM")) return "bmp";
  if (at(0, "RIFF") && at(8, "WEBP")) return "webp";
  if (at(0, "RIFF") && at(8, "AVI ")) return "avi";
  if (at(4, "ftyp")) return "mp4";
  if (at(0, "\x1a\x45\xdf\xa3")) return "webm";
  return "bin";
}

/// The fields of a page: its JSON, and its images as 0.jpg, 1.png and so on, by their order. Throws Error for an image
/// without bytes.
inline std::vector<SampleField> fields_of(InterleavedDocument page) {
  std::vector<SampleField> images;
  for (std::size_t i = 0; i < page.images.size(); ++i) {
    InterleavedDocument::Image& image = page.images[i];
    check(!image.bytes.empty(), "record", page.id, ": the image ", image.name, " has no bytes");
    image.name = std::to_string(i) + '.' + std::string(extension_of(image.bytes));
    images.push_back({image.name, std::string(reinterpret_cast<const char*>(image.bytes.data()), image.bytes.size())});
  }
  std::vector<SampleField> fields{{"json", page.json().dump()}};
  for (SampleField& image : images) fields.push_back(std::move(image));
  return fields;
}

/// The fields of a pair or a video as LAION's tools name them: the file under its own extension, txt, and json where
/// there is more to tell.
inline std::vector<SampleField> fields_of(std::span<const std::byte> medium, std::string_view caption,
                                          const io::Json& more = {}) {
  std::vector<SampleField> fields{
      {std::string(extension_of(medium)), std::string(reinterpret_cast<const char*>(medium.data()), medium.size())},
      {"txt", std::string(caption)}};
  if (!more.is_null()) fields.push_back({"json", more.dump()});
  return fields;
}

}  // namespace flamingo
