// flamingo-data inspect: a page that shows documents as a model sees them.
#include <flamingo/data/loader/loader.hpp>
#include <flamingo/io/atomic_file.hpp>
#include <flamingo/io/gguf.hpp>
#include <flamingo/io/tokenizer.hpp>

#include <png.h>

#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "options.hpp"

namespace flamingo::data_command {

namespace {

constexpr std::string_view inspect_usage =
    "flamingo-data inspect SHARDS PAGE.html --tokenizer FILE   FILE: tokenizer.json, a .gguf, or a folder with either\n"
    "  --count N       documents (24)\n"
    "  --length L      most tokens of a window (256; 64 where --pairs is given)\n"
    "  --media N       most images of a window (5)\n"
    "  --next PERCENT  how often texts see the next image (50)\n"
    "  --pairs         windows of captions: one medium, the text not cut, half of them after a space\n"
    "  --gifs          GIFs with a caption are videos\n"
    "  --side PIXELS   (160)\n"
    "  --seed N        (1)\n"
    "  --tags BEGIN,IMAGE,END_OF_CHUNK,END   texts of the tags (the tokenizer's own begin and end, <image>, <EOC>)\n";

io::Tokenizer tokenizer_of(const std::filesystem::path& place) {
  if (place.extension() == ".gguf") return io::Tokenizer::from_gguf(io::Gguf(place));
  return std::filesystem::is_directory(place) ? io::Tokenizer::from_folder(place) : io::Tokenizer::from_json(place);
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<' || c == '>' || c == '&' || c == '"')
      out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : "&quot;";
    else
      out += c == '\n' ? "⏎\n" : std::string(1, c);
  }
  return out;
}

std::string base64(const std::vector<std::uint8_t>& bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t at) { return at < bytes.size() ? unsigned{bytes[at]} : 0u; };
    const unsigned group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    for (std::size_t d = 0; d < 4; ++d) out += i + d > bytes.size() ? '=' : digits[group >> (18 - 6 * d) & 63];
  }
  return out;
}

/// The picture as a PNG of a data address.
std::string data_address(const io::Image& image) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  check(png_image_write_to_memory(&png, nullptr, &size, 0, image.rgb.data(), 0, nullptr) != 0, "inspect", png.message);
  std::vector<std::uint8_t> bytes(size);
  check(png_image_write_to_memory(&png, bytes.data(), &size, 0, image.rgb.data(), 0, nullptr) != 0, "inspect",
        png.message);
  bytes.resize(size);
  return "data:image/png;base64," + base64(bytes);
}

/// Tokens of one φ together, each run in its medium's colour.
std::string text_of(const Sequence& s, const io::Tokenizer& tokenizer) {
  std::string out;
  for (std::size_t t = 0; t < s.ids.size();) {
    std::size_t end = t;
    while (end < s.ids.size() && s.phi[end] == s.phi[t]) ++end;
    out += "<span class=m" + std::to_string(s.phi[t] % 7) +
           (s.phi[t] > 0 ? " data-m=" + std::to_string(s.phi[t]) : "") + '>';
    out += escaped(tokenizer.decode(std::span(s.ids).subspan(t, end - t)));
    out += "</span>";
    t = end;
  }
  return out;
}

}  // namespace

int inspect(Arguments arguments) {
  const Options options(arguments,
                        {"--tokenizer", "--count", "--length", "--media", "--next", "--side", "--seed", "--tags"},
                        {"--help", "--pairs", "--gifs"});
  if (options.has("--help") || options.places.size() != 2 || !options.has("--tokenizer")) {
    (options.has("--help") ? std::cout : std::cerr) << inspect_usage;
    return options.has("--help") ? 0 : 2;
  }
  const io::Tokenizer tokenizer = tokenizer_of(options.text("--tokenizer"));
  std::vector<std::string> texts{tokenizer.bos() ? tokenizer.token(*tokenizer.bos()) : "", "<image>", "<EOC>",
                                 tokenizer.eos() ? tokenizer.token(*tokenizer.eos()) : ""};
  if (std::string rest = options.text("--tags"); !rest.empty())
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::size_t comma = rest.find(',');
      check((comma == std::string::npos) == (i == 3), "inspect", "--tags is '", options.text("--tags"),
            "', expected four");
      texts[i] = rest.substr(0, comma);
      rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
    }
  const bool pairs = options.has("--pairs");
  DatasetOptions dataset{.name = "inspect", .shards = options.places[0]};
  dataset.window = pairs ? WindowOptions::pairs() : WindowOptions::pages();
  dataset.window.tokens = static_cast<int>(options.number("--length", pairs ? 64 : 256));
  dataset.window.media = static_cast<int>(options.number("--media", dataset.window.media));
  dataset.window.next = static_cast<float>(options.number("--next", pairs ? 0 : 50)) / 100;
  dataset.batch.documents = 1;
  dataset.image = {.side = static_cast<int>(options.number("--side", 160))};
  dataset.moving_gifs = options.has("--gifs");
  dataset.seed = static_cast<std::uint64_t>(options.number("--seed", 1));
  dataset.epochs = 1;
  Loader loader(dataset, tokenizer, Tags::of(tokenizer, texts[0], texts[1], texts[2], texts[3]), media_readers());

  std::string page =
      "<!doctype html><html lang=en><meta charset=utf-8><title>Documents as a model sees them</title><style>"
      "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;background:#fafafa;color:#222}"
      "article{background:#fff;border:1px solid #ddd;border-radius:.5rem;padding:.75rem;margin:1rem 0}"
      "p{white-space:pre-wrap;overflow-wrap:anywhere}figure{display:inline-block;margin:0 .6rem .4rem 0}"
      "img{height:110px;border-bottom:6px solid}figcaption,small{color:#777}span{border-radius:.2rem}"
      "span[data-m]::before{content:attr(data-m);font-size:.65em;vertical-align:super;color:#555}";
  constexpr std::string_view colours[] = {"#cfe8cf", "#ffe3b8", "#d4dcff", "#ffd6e2", "#d2f1f1", "#eadcff", "#f1efb6"};
  for (std::size_t m = 1; m < 7; ++m)
    page += ".m" + std::to_string(m) + "{background:" + std::string(colours[m]) +
            ";border-color:" + std::string(colours[m]) + "}";
  page +=
      ".m0{background:none;border-color:#ccc}span.m0[data-m]{background:#cfe8cf}</style>"
      "<h1>Documents as a model sees them</h1><p>Text has the colour of the medium that it sees (its number before "
      "it); "
      "text without a colour sees none. Pictures are the squares that the encoder gets.</p>";
  const std::int64_t count = options.number("--count", 24);
  for (std::int64_t n = 0; n < count; ++n) {
    const auto batch = loader.next();
    if (!batch) break;
    page +=
        "<article><small>" + escaped(batch->keys[0]) + ", " + std::to_string(batch->tokens()) + " tokens</small><div>";
    for (const LoadedMedium& medium : batch->media)
      for (int f = 0; f < medium.frames; ++f) {
        const io::Image& frame = batch->frames[static_cast<std::size_t>(medium.first_frame + f)];
        page += "<figure><img alt=\"\" class=m" + std::to_string((medium.place + 1) % 7) + " src=\"" +
                data_address(frame) + "\"><figcaption>" + (f == 0 ? std::to_string(medium.place + 1) : "") +
                "</figcaption></figure>";
      }
    page += "</div><p>" + text_of(batch->sequences[0], tokenizer) + "</p></article>";
  }
  for (const Skipped& what : loader.skipped())
    page += "<small>skipped " + escaped(what.name + ": " + what.reason) + "</small><br>";
  io::AtomicFile file(options.places[1]);
  file.write(page + "</html>\n");
  file.commit();
  return 0;
}

}  // namespace flamingo::data_command
