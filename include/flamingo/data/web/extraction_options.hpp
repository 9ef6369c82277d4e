/// Everything that an extraction can be told, with the paper's numbers where it has some.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/data/web/image_loader.hpp>
#include <flamingo/data/web/page.hpp>
#include <flamingo/io/json.hpp>

namespace flamingo::web {

/// Whether a picture's alt text becomes a text after it.
enum class AltText : std::uint8_t { drop, without_caption, always };

struct ExtractionOptions {
  PageOptions page{};
  ImageLoaderOptions images{};
  std::vector<Site> sites{};  ///< where pictures of addresses lie, besides the input folders
  AltText alt = AltText::drop;
  bool images_needed = true;  ///< pages left without pictures are dropped, as the paper does
  bool write_images = true;
  std::size_t most_pages_of_image = 20;  ///< a picture on more pages of one site is decoration
  std::string license{};                 ///< of pages that declare none
  // How, not what: these change no byte of the documents' texts.
  std::size_t pages_a_shard = 512;                       ///< of a folder; an archive is a shard
  std::size_t counting_memory = std::size_t{256} << 20;  ///< of the counting of pictures
  int processes = 1;

  /// What decides on the result.
  io::Json json() const {
    const auto number = [](std::size_t n) { return io::Json(static_cast<std::int64_t>(n)); };
    const auto list = [](const auto& values) {
      io::Json::Array array;
      for (const double value : values) array.emplace_back(value);
      return io::Json(std::move(array));
    };
    const TextRules& t = page.text;
    const RepetitionRules& r = page.repetition;
    const ContentOptions& c = page.content;
    io::Json::Object text{{"least_words", number(t.least_words)},
                          {"most_words", number(t.most_words)},
                          {"least_word_length", t.least_word_length},
                          {"most_word_length", t.most_word_length},
                          {"most_hashes", t.most_hashes},
                          {"most_ellipses", t.most_ellipses},
                          {"most_bullet_lines", t.most_bullet_lines},
                          {"most_ellipsis_lines", t.most_ellipsis_lines},
                          {"least_alphabetic_words", t.least_alphabetic_words},
                          {"least_stop_words", number(t.least_stop_words)},
                          {"english_only", page.english_only},
                          {"least_english_share", page.language.least_share}};
    io::Json::Object repetition{{"duplicate_lines", r.duplicate_lines},
                                {"duplicate_paragraphs", r.duplicate_paragraphs},
                                {"duplicate_line_characters", r.duplicate_line_characters},
                                {"duplicate_paragraph_characters", r.duplicate_paragraph_characters},
                                {"top_ngram_characters", list(r.top_ngram_characters)},
                                {"duplicate_ngram_characters", list(r.duplicate_ngram_characters)}};
    io::Json::Object content{{"guess_share", c.guess_share},         {"semantic_share", c.semantic_share},
                             {"container_share", c.container_share}, {"sidebar_links", c.sidebar_links},
                             {"link_density", c.link_density},       {"title_in_text", page.title_in_text},
                             {"most_width", c.images.most_width},    {"density_width", c.images.density_width}};
    io::Json::Object pictures{{"least_edge", images.rules.least_edge},
                              {"most_aspect", images.rules.most_aspect},
                              {"least_entropy", images.rules.least_entropy},
                              {"most_pixels", images.reading.max_pixels},
                              {"most_bytes", number(images.reading.max_bytes)},
                              {"most_pages", number(most_pages_of_image)},
                              {"copies_bits", images.copies.most_bits},
                              {"copies_levels", images.copies.most_levels},
                              {"needed", images_needed},
                              {"alt", static_cast<int>(alt)}};
    io::Json::Object limits{{"page_bytes", number(page.html.bytes)},
                            {"depth", number(page.html.depth)},
                            {"tree_memory", number(page.html.memory)}};
    return io::Json::Object{{"text", std::move(text)},
                            {"repetition", std::move(repetition)},
                            {"content", std::move(content)},
                            {"images", std::move(pictures)},
                            {"limits", std::move(limits)},
                            {"shingle", number(page.minhash.shingle)},
                            {"least_similarity", page.minhash.least_similarity},
                            {"license", license}};
  }
};

}  // namespace flamingo::web
