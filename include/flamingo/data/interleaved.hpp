/// A document as it lies on disk: texts and images in their order, with where they came from. Extraction makes such
/// records, shards hold them, `document()` is what training reads.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/data/document.hpp>
#include <flamingo/io/json.hpp>

namespace flamingo {

/// One record. `texts` and `images` of its JSON are parallel lists of parts, as OBELICS has them: a part is a text and
/// no image, or an image and no text; `metadata` tells what is known of each image.
struct InterleavedDocument {
  struct Image {
    std::string name{};              ///< of its file, beside the record: what Document calls it
    std::string url{};               ///< where it was found
    std::string alt{}, caption{};    ///< what the page says of it, whether or not the texts repeat it
    int width = 0, height = 0;       ///< pixels; 0 where nobody has looked
    std::uint64_t hash = 0;          ///< perceptual; 0 where nobody has looked
    std::vector<std::byte> bytes{};  ///< the encoded file, where the record carries it; never in the JSON

    friend bool operator==(const Image&, const Image&) = default;
  };
  struct Part {
    std::string text{};
    int image = -1;  ///< index into images, or -1: a text

    friend bool operator==(const Part&, const Part&) = default;
  };

  std::string id{};  ///< unique within a data set
  std::string url{}, title{}, license{};
  std::vector<Part> parts{};
  std::vector<Image> images{};

  InterleavedDocument& text(std::string_view t) {
    parts.push_back({std::string(t), -1});
    return *this;
  }
  InterleavedDocument& image(Image i) {
    parts.push_back({{}, static_cast<int>(images.size())});
    images.push_back(std::move(i));
    return *this;
  }

  /// What a model reads: the texts, and the images by their names.
  Document document() const {
    Document result;
    for (const Part& part : parts)
      part.image < 0 ? result.text(part.text) : result.image(images[static_cast<std::size_t>(part.image)].name);
    return result;
  }

  io::Json json() const;
  /// Throws Error where a member is missing or of another type, a part is both or neither; `source` names the record.
  static InterleavedDocument of(const io::Json& json, std::string_view source = "record");

  friend bool operator==(const InterleavedDocument&, const InterleavedDocument&) = default;
};

namespace detail {

inline std::string hexadecimal(std::uint64_t value) {
  std::string text(16, '0');
  for (std::size_t i = 16; i-- > 0; value >>= 4) text[i] = "0123456789abcdef"[value & 15];
  return text;
}

inline std::uint64_t from_hexadecimal(std::string_view text, std::string_view source) {
  check(text.size() == 16 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos, "record", source,
        ": the hash '", text.substr(0, 40), "' is not 16 hexadecimal digits");
  std::uint64_t value = 0;
  for (const char c : text) value = value << 4 | static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  return value;
}

}  // namespace detail

inline io::Json InterleavedDocument::json() const {
  io::Json::Array texts, names, metadata;
  for (const Part& part : parts) {
    if (part.image < 0) {
      texts.emplace_back(part.text);
      names.emplace_back();
      metadata.emplace_back();
      continue;
    }
    const Image& image = images[static_cast<std::size_t>(part.image)];
    texts.emplace_back();
    names.emplace_back(image.name);
    io::Json::Object known{{"url", image.url}, {"alt", image.alt}, {"caption", image.caption}};
    known.push_back({"width", image.width});
    known.push_back({"height", image.height});
    known.push_back({"hash", detail::hexadecimal(image.hash)});
    metadata.emplace_back(std::move(known));
  }
  return io::Json::Object{{"id", id},
                          {"url", url},
                          {"title", title},
                          {"license", license},
                          {"texts", std::move(texts)},
                          {"images", std::move(names)},
                          {"metadata", std::move(metadata)}};
}

inline InterleavedDocument InterleavedDocument::of(const io::Json& json, std::string_view source) {
  const auto optional = [](const io::Json& object, std::string_view name) {
    const io::Json* found = object.find(name);
    return found && !found->is_null() ? found->as_string() : std::string();
  };
  InterleavedDocument result;
  result.id = optional(json, "id");
  result.url = optional(json, "url");
  result.title = optional(json, "title");
  result.license = optional(json, "license");
  const io::Json::Array &texts = json.at("texts").as_array(), &names = json.at("images").as_array();
  const io::Json* metadata = json.find("metadata");
  check(texts.size() == names.size(), "record", source, ": it has ", texts.size(), " texts and ", names.size(),
        " images, expected lists of one length");
  for (std::size_t i = 0; i < texts.size(); ++i) {
    check(texts[i].is_null() != names[i].is_null(), "record", source, ": part ", i, " is ",
          texts[i].is_null() ? "neither text nor image" : "both text and image", ", expected one of them");
    if (names[i].is_null()) {
      result.text(texts[i].as_string());
      continue;
    }
    Image image{.name = names[i].as_string()};
    if (metadata && metadata->is_array() && i < metadata->as_array().size() && metadata->as_array()[i].is_object()) {
      const io::Json& known = metadata->as_array()[i];
      image.url = optional(known, "url");
      image.alt = optional(known, "alt");
      image.caption = optional(known, "caption");
      const auto pixels = [&](std::string_view name) {
        const io::Json* found = known.find(name);
        const std::int64_t value = found ? found->as_integer() : 0;
        check(value >= 0 && value < (1 << 30), "record", source, ": part ", i, " has the ", name, ' ', value,
              ", expected pixels");
        return static_cast<int>(value);
      };
      image.width = pixels("width");
      image.height = pixels("height");
      if (const std::string hash = optional(known, "hash"); !hash.empty())
        image.hash = detail::from_hexadecimal(hash, source);
    }
    result.image(std::move(image));
  }
  return result;
}

}  // namespace flamingo
