// Pages from strangers, whatever their encoding: a text and pictures within it, or the rule that drops the page.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <flamingo/data/web/page.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace flamingo::web;
  static PageReader reader({.html = {.bytes = 1 << 16, .depth = 256, .memory = std::size_t{16} << 20},
                            .english_only = false,
                            .text = {.least_words = 1, .least_word_length = 0, .least_stop_words = 0}});
  std::string_view page(reinterpret_cast<const char*>(data), size);
  const std::string_view header = page.starts_with('=') ? page.substr(0, page.find('\n')) : std::string_view();
  const ReadPage read = reader.read(page, "http://a.org/b/c.html", header);
  if (!is_utf8(read.content.text) || !is_utf8(read.content.title)) std::abort();
  std::size_t before = 0;
  for (const ContentImage& image : read.content.images) {
    if (image.offset < before || image.offset > read.content.text.size()) std::abort();
    before = image.offset;
    static_cast<void>(data_url_bytes(resolve_url(read.base, image.source)));
  }
  return 0;
}
